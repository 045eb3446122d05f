import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;

/** Logs in with each pair of mechanism and JAAS line, and prints how it went. */
public class Login {
    public static void main(String[] args) throws Exception {
        for (int i = 1; i < args.length; i += 2) {
            try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", args[0],
                    "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", args[i], "sasl.jaas.config", args[i + 1],
                    "request.timeout.ms", "20000", "default.api.timeout.ms", "20000"))) {
                admin.describeCluster().nodes().get();
                System.out.println(args[i] + " in");
            } catch (ExecutionException e) {
                System.out.println(args[i] + " " + e.getCause().getMessage());
            }
        }
    }
}
