import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.security.auth.SecurityProtocol;
import org.apache.kafka.metadata.authorizer.StandardAcl;
import org.apache.kafka.metadata.authorizer.StandardAuthorizer;
import org.apache.kafka.server.authorizer.Action;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.authorizer.AuthorizationResult;

/**
 * Asks Apache's StandardAuthorizer. Reads commands, one a line, fields parted by tabs:
 *
 *   reset  super.users  allow.everyone.if.no.acl.found
 *   acl    type name pattern principal host operation permission
 *   ask    principal host operation type name
 *   any    principal host operation type
 *
 * and writes A or D for each question, and nothing else.
 */
public class Authorize {
    static StandardAuthorizer authorizer;
    static Map<Uuid, StandardAcl> acls = new HashMap<>();
    static boolean loaded;

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        StringBuilder out = new StringBuilder();
        String line;
        while ((line = in.readLine()) != null) {
            String[] f = line.split("\t", -1);
            switch (f[0]) {
                case "reset": {
                    authorizer = new StandardAuthorizer();
                    Map<String, Object> c = new HashMap<>();
                    c.put("super.users", f[1]);
                    c.put("allow.everyone.if.no.acl.found", f[2]);
                    c.put("node.id", "1");
                    authorizer.configure(c);
                    acls = new HashMap<>();
                    loaded = false;
                    break;
                }
                case "acl":
                    acls.put(Uuid.randomUuid(), new StandardAcl(ResourceType.fromCode(Byte.parseByte(f[1])), f[2],
                        PatternType.fromCode(Byte.parseByte(f[3])), f[4], f[5], AclOperation.fromCode(Byte.parseByte(f[6])),
                        AclPermissionType.fromCode(Byte.parseByte(f[7]))));
                    break;
                case "ask": {
                    load();
                    Action action = new Action(AclOperation.fromCode(Byte.parseByte(f[3])),
                        new ResourcePattern(ResourceType.fromCode(Byte.parseByte(f[4])), f[5], PatternType.LITERAL), 1, false, false);
                    out.append(letter(authorizer.authorize(context(f[1], f[2]), Collections.singletonList(action)).get(0)));
                    break;
                }
                case "any":
                    load();
                    out.append(letter(authorizer.authorizeByResourceType(context(f[1], f[2]),
                        AclOperation.fromCode(Byte.parseByte(f[3])), ResourceType.fromCode(Byte.parseByte(f[4])))));
                    break;
                default:
                    throw new IllegalArgumentException(line);
            }
        }
        System.out.println(out);
    }

    static void load() throws Exception {
        if (!loaded) {
            authorizer.loadSnapshot(acls);
            authorizer.completeInitialLoad();
            loaded = true;
        }
    }

    static char letter(AuthorizationResult r) {
        return r == AuthorizationResult.ALLOWED ? 'A' : 'D';
    }

    static AuthorizableRequestContext context(String principal, String host) throws Exception {
        int colon = principal.indexOf(':');
        KafkaPrincipal who = new KafkaPrincipal(principal.substring(0, colon), principal.substring(colon + 1));
        InetAddress address = InetAddress.getByName(host);
        return new AuthorizableRequestContext() {
            public String listenerName() { return "PLAINTEXT"; }
            public SecurityProtocol securityProtocol() { return SecurityProtocol.PLAINTEXT; }
            public KafkaPrincipal principal() { return who; }
            public InetAddress clientAddress() { return address; }
            public int requestType() { return 3; }
            public int requestVersion() { return 9; }
            public String clientId() { return "test"; }
            public int correlationId() { return 1; }
        };
    }
}
