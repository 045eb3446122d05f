import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.net.Socket;
import java.security.PrivilegedExceptionAction;
import java.util.HexFormat;
import java.util.Map;
import javax.security.auth.Subject;
import javax.security.auth.login.LoginContext;
import javax.security.sasl.Sasl;
import javax.security.sasl.SaslClient;

/** Logs in with bare GSSAPI tokens, as clients of Kafka 0.9 do, and sends one request. */
public class GSSAPIClient {
    public static void main(String[] args) throws Exception {
        int port = Integer.parseInt(args[0]);
        byte[] request = HexFormat.of().parseHex(args[2]);
        LoginContext login = new LoginContext("Client");
        login.login();
        Subject subject = login.getSubject();
        String self = subject.getPrincipals().iterator().next().getName();
        Subject.doAs(subject, (PrivilegedExceptionAction<Void>) () -> {
            SaslClient sasl = Sasl.createSaslClient(new String[] {"GSSAPI"}, self, "kafka", "localhost",
                Map.of(Sasl.SERVER_AUTH, args[1]), null);
            try (Socket socket = new Socket("127.0.0.1", port)) {
                DataOutputStream out = new DataOutputStream(socket.getOutputStream());
                DataInputStream in = new DataInputStream(socket.getInputStream());
                byte[] token = sasl.evaluateChallenge(new byte[0]);
                while (true) {
                    if (token != null) {
                        out.writeInt(token.length);
                        out.write(token);
                    }
                    if (sasl.isComplete())
                        break;
                    byte[] challenge = new byte[in.readInt()];
                    in.readFully(challenge);
                    token = sasl.evaluateChallenge(challenge);
                }
                out.write(request);
                in.readFully(new byte[in.readInt()]);
            }
            return null;
        });
    }
}
