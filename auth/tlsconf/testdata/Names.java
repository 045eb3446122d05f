import java.util.HexFormat;
import javax.security.auth.x500.X500Principal;

/** Prints what Java makes of DER-encoded names. */
public class Names {
    public static void main(String[] args) {
        for (String hex : args)
            System.out.println(new X500Principal(HexFormat.of().parseHex(hex)).getName().replace("\n", "<LF>").replace("\r", "<CR>"));
    }
}
