import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.internals.secured.AccessTokenValidator;
import org.apache.kafka.common.security.oauthbearer.internals.secured.CloseableVerificationKeyResolver;
import org.apache.kafka.common.security.oauthbearer.internals.secured.JwksFileVerificationKeyResolver;
import org.apache.kafka.common.security.oauthbearer.internals.secured.ValidatorAccessTokenValidator;

/** Prints what Kafka 3.9 says of tokens: args are key set, audiences by commas, issuer, tokens. */
public class Validate {
    public static void main(String[] args) throws Exception {
        JwksFileVerificationKeyResolver keys = new JwksFileVerificationKeyResolver(Path.of(args[0]));
        keys.init();
        Set<String> audiences = args[1].isEmpty() ? Set.of() : Set.of(args[1].split(","));
        AccessTokenValidator v = new ValidatorAccessTokenValidator(30, audiences, args[2].isEmpty() ? null : args[2], keys, "scope", "sub");
        for (String token : Arrays.asList(args).subList(3, args.length)) {
            try {
                OAuthBearerToken t = v.validate(token);
                System.out.println("good " + t.principalName() + " " + t.lifetimeMs());
            } catch (Exception e) {
                System.out.println("bad " + (e.getMessage() + "").replace("\n", " "));
            }
        }
    }
}
