import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;

/** Apache's Java client behind the line protocol, for every version from 0.8.2 to 4.3. */
public class Adapter {
    static String bootstrap;
    static PrintStream out;
    static Properties security = new Properties();

    /** One record as the protocol carries it. */
    static class Line {
        String topic = "";
        int partition;
        long offset;
        Long timestamp;
        byte[] key;
        byte[] value;
        List<String> headerNames = new ArrayList<String>();
        List<byte[]> headerValues = new ArrayList<byte[]>();

        static Line parse(String text) {
            String[] f = text.split("\t", -1);
            Line r = new Line();
            r.partition = Integer.parseInt(f[0]);
            r.timestamp = f[1].equals("-") ? null : Long.valueOf(f[1]);
            r.key = unhex(f[2]);
            r.value = unhex(f[3]);
            if (!f[4].isEmpty()) {
                for (String h : f[4].split(",")) {
                    int colon = h.indexOf(':');
                    r.headerNames.add(h.substring(0, colon));
                    r.headerValues.add(unhex(h.substring(colon + 1)));
                }
            }
            return r;
        }

        String format() {
            StringBuilder b = new StringBuilder("R\t").append(topic).append('\t').append(partition).append('\t').append(offset);
            b.append('\t').append(timestamp == null ? "-" : timestamp.toString());
            b.append('\t').append(hex(key)).append('\t').append(hex(value)).append('\t');
            for (int i = 0; i < headerNames.size(); i++) {
                b.append(i > 0 ? "," : "").append(headerNames.get(i)).append(':').append(hex(headerValues.get(i)));
            }
            return b.toString();
        }
    }

    static String hex(byte[] bytes) {
        if (bytes == null) return "-";
        StringBuilder b = new StringBuilder(bytes.length * 2);
        for (byte x : bytes) b.append(Character.forDigit(x >> 4 & 15, 16)).append(Character.forDigit(x & 15, 16));
        return b.toString();
    }

    static byte[] unhex(String text) {
        if (text.equals("-")) return null;
        byte[] bytes = new byte[text.length() / 2];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) Integer.parseInt(text.substring(2 * i, 2 * i + 2), 16);
        return bytes;
    }

    static Map<String, String> options(String[] words, int from) {
        Map<String, String> options = new HashMap<String, String>();
        for (int i = from; i < words.length; i++) {
            int equals = words[i].indexOf('=');
            options.put(words[i].substring(0, equals), words[i].substring(equals + 1));
        }
        return options;
    }

    static boolean has(String className) {
        try {
            Class.forName(className);
            return true;
        } catch (ClassNotFoundException e) {
            return false;
        }
    }

    /** Calls a static method of a class that this version of the client may lack. */
    static void call(String className, String method, Class<?>[] types, Object... args) throws Exception {
        try {
            Class.forName(className).getDeclaredMethod(method, types).invoke(null, args);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Exception) throw (Exception) e.getCause();
            throw e;
        }
    }

    static void serve(String command, BufferedReader in) throws Exception {
        String[] w = command.split(" ");
        if (w[0].equals("produce")) {
            List<Line> lines = new ArrayList<Line>();
            for (int i = Integer.parseInt(w[3]); i > 0; i--) lines.add(Line.parse(in.readLine()));
            Producing.produce(w[1], w[2], lines, options(w, 4));
        } else if (w[0].equals("consume")) {
            call("Consuming", "consume", new Class<?>[] {String.class, String[].class, int.class, long.class, Map.class},
                w[1], w[2].split(","), Integer.parseInt(w[3]), Long.parseLong(w[4]), options(w, 5));
        } else if (w[0].equals("create")) {
            Producing.create(w[1], Integer.parseInt(w[2]));
        } else {
            throw new IllegalArgumentException("no such command: " + w[0]);
        }
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        String file = System.getenv("ADAPTER_SECURITY");
        if (file != null) {
            FileInputStream from = new FileInputStream(file);
            security.load(from);
            from.close();
        }
        out = System.out;
        System.setOut(System.err); // some log bindings write there
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null && !line.equals("quit"); line = in.readLine()) {
            try {
                serve(line, in);
                out.println("OK");
            } catch (Throwable e) {
                e.printStackTrace();
                Throwable root = e;
                while (root.getCause() != null) root = root.getCause();
                out.println(("ERR " + e + (root == e ? "" : ": " + root)).replace('\n', ' '));
            }
            out.flush();
        }
        System.exit(0);
    }
}
