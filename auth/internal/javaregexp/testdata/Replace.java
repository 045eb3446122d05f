/** Prints replaceAll and replaceFirst of each triple of pattern, replacement and text. */
public class Replace {
    public static void main(String[] args) {
        for (int i = 0; i < args.length; i += 3) {
            System.out.println(args[i + 2].replaceAll(args[i], args[i + 1]));
            System.out.println(args[i + 2].replaceFirst(args[i], args[i + 1]));
        }
    }
}
