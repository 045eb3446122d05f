import org.apache.kafka.common.security.ssl.SslPrincipalMapper;

/** Prints what Kafka makes of names, given pairs of rules and name. */
public class Mapper {
    public static void main(String[] args) {
        for (int i = 0; i < args.length; i += 2) {
            String out;
            try {
                out = SslPrincipalMapper.fromRules(args[i]).getName(args[i + 1]);
            } catch (Exception e) {
                out = "!";
            }
            System.out.println(out);
        }
    }
}
