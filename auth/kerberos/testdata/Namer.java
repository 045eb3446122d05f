import java.util.List;
import org.apache.kafka.common.security.kerberos.KerberosName;
import org.apache.kafka.common.security.kerberos.KerberosShortNamer;

/** Prints what Kafka makes of names, given pairs of rules (parted by |) and name. */
public class Namer {
    public static void main(String[] args) {
        for (int i = 0; i < args.length; i += 2) {
            String out;
            try {
                out = KerberosShortNamer.fromUnparsedRules("R", List.of(args[i].split("\\|"))).shortName(KerberosName.parse(args[i + 1]));
            } catch (Exception e) {
                out = "!";
            }
            System.out.println(out);
        }
    }
}
