import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.function.Consumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.*;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.errors.UnsupportedCompressionTypeException;
import org.apache.kafka.common.utils.*;
import org.apache.kafka.server.common.MetadataVersion;
import org.apache.kafka.server.record.*;
import org.apache.kafka.storage.internals.log.*;

/** Writes what Apache Kafka's own classes write, read and refuse, one line a case. README.md says how it is run. */
public class Capture {
    static PrintStream out;
    static final long T = 1_700_000_000_000L;

    static String hex(ByteBuffer b) {
        b = b.duplicate();
        StringBuilder s = new StringBuilder();
        while (b.hasRemaining()) s.append(String.format("%02x", b.get()));
        return s.toString();
    }

    static ByteBuffer copy(ByteBuffer b) {
        ByteBuffer c = ByteBuffer.allocate(b.remaining());
        c.put(b.duplicate());
        c.flip();
        return c;
    }

    static Compression codec(String name, Integer level) {
        switch (name) {
            case "gzip": return level == null ? Compression.gzip().build() : Compression.gzip().level(level).build();
            case "snappy": return Compression.snappy().build();
            case "lz4": return level == null ? Compression.lz4().build() : Compression.lz4().level(level).build();
            case "zstd": return level == null ? Compression.zstd().build() : Compression.zstd().level(level).build();
            default: return Compression.NONE;
        }
    }

    static byte[] key(int i) { return i % 5 == 4 ? null : ("key-" + i).getBytes(); }

    static byte[] value(int i, int times) {
        if (i % 7 == 6) return null;
        StringBuilder s = new StringBuilder();
        for (int k = 0; k < times * (i % 3 + 1); k++) s.append("value of record ").append(i).append(' ');
        return s.toString().getBytes();
    }

    static long time(int i) { return T + i * 10L - (i % 3) * 25L; }

    static Header[] headers(int i) {
        if (i % 4 != 3) return new Header[0];
        return new Header[]{new RecordHeader("h" + i, new byte[]{(byte) i, 0}), new RecordHeader("n", (byte[]) null)};
    }

    static ByteBuffer build(int magic, Compression c, TimestampType type, long base, int n, int times, boolean keys) {
        MemoryRecordsBuilder b = MemoryRecords.builder(ByteBuffer.allocate(1 << 16), (byte) magic, c, type, base, T + 5);
        for (int i = 0; i < n; i++)
            b.appendWithOffset(base + i, time(i), keys && key(i) == null ? "k".getBytes() : key(i), value(i, times),
                magic == 2 ? headers(i) : new Header[0]);
        return b.build().buffer();
    }

    static void line(Object... parts) {
        StringJoiner j = new StringJoiner("\t");
        for (Object p : parts) j.add(String.valueOf(p));
        out.println(j);
    }

    /** Batches and message sets, and the same down-converted. */
    static void batches() {
        for (int magic = 0; magic <= 2; magic++)
            for (String name : new String[]{"none", "gzip", "snappy", "lz4", "zstd"}) {
                if (magic < 2 && name.equals("zstd")) continue;
                for (TimestampType type : new TimestampType[]{TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME}) {
                    if (magic == 0 && type == TimestampType.LOG_APPEND_TIME) continue;
                    ByteBuffer b = build(magic, codec(name, null), type, 42, 12, 1, false);
                    line("batch", magic, name, type, 42, 12, 1, hex(b));
                    for (int to = 0; to < magic && !name.equals("zstd"); to++) {
                        ConvertedRecords<MemoryRecords> c = MemoryRecords.readableRecords(copy(b)).downConvert((byte) to, 45, Time.SYSTEM);
                        line("down", magic, name, type, to, 45, hex(b), hex(c.records().buffer()));
                    }
                }
                if (!name.equals("none")) line("batch", magic, name, TimestampType.CREATE_TIME, 7, 300, 40,
                    hex(build(magic, codec(name, null), TimestampType.CREATE_TIME, 7, 300, 40, false)));
            }
        for (int level : new int[]{1, 9}) line("batch", 2, "gzip", "CreateTime", 0, 12, 30, hex(build(2, codec("gzip", level), TimestampType.CREATE_TIME, 0, 12, 30, false)));
        for (int level : new int[]{1, 17}) line("batch", 2, "lz4", "CreateTime", 0, 12, 30, hex(build(2, codec("lz4", level), TimestampType.CREATE_TIME, 0, 12, 30, false)));
        for (int level : new int[]{-100, 1, 19, 22}) line("batch", 2, "zstd", "CreateTime", 0, 300, 40, hex(build(2, codec("zstd", level), TimestampType.CREATE_TIME, 0, 300, 40, false)));
        for (ControlRecordType t : new ControlRecordType[]{ControlRecordType.ABORT, ControlRecordType.COMMIT})
            line("marker", t, hex(MemoryRecords.withEndTransactionMarker(0L, T, -1, 4711L, (short) 3, new EndTransactionMarker(t, 9)).buffer()));
        MemoryRecords tx = MemoryRecords.withTransactionalRecords(1000L, Compression.NONE, 4711L, (short) 3, 2147483646, 5,
            new SimpleRecord(T, "a".getBytes(), "1".getBytes()), new SimpleRecord(T + 1, "b".getBytes(), null), new SimpleRecord(T + 2, null, new byte[0]));
        line("transactional", hex(tx.buffer()));
    }

    static void crc(ByteBuffer b) {
        int end = 12 + b.getInt(8);
        b.putInt(17, (int) Crc32C.compute(b, 21, end - 21));
    }

    static final List<String> NAMES = new ArrayList<>();
    static final List<ByteBuffer> INPUTS = new ArrayList<>();

    static void input(String name, ByteBuffer b, Consumer<ByteBuffer> change) {
        b = copy(b);
        if (change != null) {
            change.accept(b);
            crc(b);
        }
        NAMES.add(name);
        INPUTS.add(b);
    }

    static ByteBuffer concat(ByteBuffer... bs) {
        ByteBuffer all = ByteBuffer.allocate(1 << 16);
        for (ByteBuffer b : bs) all.put(b.duplicate());
        all.flip();
        return copy(all);
    }

    /** What the LogValidator makes of all inputs under many settings. */
    static void validations() {
        TimestampType create = TimestampType.CREATE_TIME, append = TimestampType.LOG_APPEND_TIME;
        for (String name : new String[]{"none", "gzip", "snappy", "lz4", "zstd"}) {
            ByteBuffer good = build(2, codec(name, null), create, 0, 6, 1, false);
            input("good-" + name, good, null);
            input("keys-" + name, build(2, codec(name, null), create, 0, 6, 1, true), null);
            input("appendtime-" + name, build(2, codec(name, null), append, 0, 6, 1, true), null);
            input("maxtime-wrong-" + name, good, b -> b.putLong(35, 5));
            input("count-low-" + name, good, b -> b.putInt(57, 5));
            input("count-and-delta-low-" + name, good, b -> { b.putInt(57, 5); b.putInt(23, 4); });
            input("count-and-delta-high-" + name, good, b -> { b.putInt(57, 7); b.putInt(23, 6); });
            input("delta-negative-" + name, good, b -> b.putInt(23, -1));
            input("control-" + name, good, b -> b.putShort(21, (short) (b.getShort(21) | 0x20)));
            input("no-sequence-" + name, good, b -> b.putLong(43, 5));
            input("idempotent-" + name, good, b -> { b.putLong(43, 5); b.putShort(51, (short) 1); b.putInt(53, 77); });
            input("transactional-" + name, good, b -> { b.putLong(43, 5); b.putShort(51, (short) 1); b.putInt(53, 77); b.putShort(21, (short) (b.getShort(21) | 0x10)); });
            MemoryRecordsBuilder gaps = MemoryRecords.builder(ByteBuffer.allocate(1 << 10), (byte) 2, codec(name, null), create, 0, T);
            gaps.appendWithOffset(0, T, "a".getBytes(), "1".getBytes(), new Header[0]);
            gaps.appendWithOffset(2, T, "b".getBytes(), "2".getBytes(), new Header[0]);
            ByteBuffer g = copy(gaps.build().buffer());
            if (!name.equals("none")) input("gap-" + name, g, b -> b.putInt(23, 1));
            input("two-" + name, concat(good, good), null);
            if (name.equals("zstd")) continue;
            for (int magic = 0; magic < 2; magic++) {
                ByteBuffer old = build(magic, codec(name, null), create, 0, 6, 1, false);
                input("magic" + magic + "-" + name, old, null);
                input("magic" + magic + "-keys-" + name, build(magic, codec(name, null), create, 0, 6, 1, true), null);
                if (magic == 1) input("magic1-appendtime-" + name, build(1, codec(name, null), append, 0, 6, 1, true), null);
                if (!name.equals("none")) input("magic" + magic + "-two-" + name, concat(old, old), null);
            }
        }
        input("magics-mixed", concat(build(0, Compression.NONE, create, 0, 1, 1, true), build(1, Compression.NONE, create, 0, 1, 1, true)), null);

        TopicPartition tp = new TopicPartition("t", 3);
        for (int i = 0; i < INPUTS.size(); i++)
            for (String target : new String[]{"producer", "none", "gzip"})
                for (TimestampType type : new TimestampType[]{create, append})
                    for (boolean compact : new boolean[]{false, true})
                        for (long[] window : new long[][]{{Long.MAX_VALUE, Long.MAX_VALUE}, {20, 1000}}) {
                            if (window[0] == 20 && (compact || type == append)) continue;
                            for (AppendOrigin origin : new AppendOrigin[]{AppendOrigin.CLIENT, AppendOrigin.COORDINATOR}) {
                                if (origin == AppendOrigin.COORDINATOR && !(NAMES.get(i).startsWith("control") || NAMES.get(i).startsWith("no-seq"))) continue;
                                ByteBuffer b = copy(INPUTS.get(i));
                                line("validate", NAMES.get(i), target, type, compact, window[0], window[1], origin, hex(b),
                                    validate(b, tp, target, type, compact, window, origin));
                            }
                        }
    }

    static String validate(ByteBuffer b, TopicPartition tp, String target, TimestampType type, boolean compact, long[] window, AppendOrigin origin) {
        MemoryRecords records = MemoryRecords.readableRecords(b);
        CompressionType source = CompressionType.NONE;
        for (RecordBatch batch : records.batches())
            if (batch.compressionType() != CompressionType.NONE) source = batch.compressionType();
        Compression to = target.equals("producer") ? Compression.of(source).build() : codec(target, null);
        try {
            LogValidator.ValidationResult r = new LogValidator(records, tp, CLOCK, source, to, compact, (byte) 2, type, window[0], window[1], 8, origin,
                MetadataVersion.latestProduction()).validateMessagesAndAssignOffsets(PrimitiveRef.ofLong(1234), new Nothing(), BufferSupplier.NO_CACHING);
            return "ok\t" + r.maxTimestampMs + "\t" + r.messageSizeMaybeChanged + "\t" + hex(r.validatedRecords.buffer());
        } catch (RecordValidationException e) {
            StringJoiner indexes = new StringJoiner(",");
            e.recordErrors().forEach(x -> indexes.add(String.valueOf(x.batchIndex)));
            return "refused\t" + Errors.forException(e.invalidException()).code() + "\t" + indexes + "\t" + e.invalidException().getMessage().replace("\t", " ");
        } catch (Throwable e) {
            return "refused\t" + Errors.forException(e).code() + "\t\t" + e.getMessage();
        }
    }

    /** The system's clock, stopped. */
    static final Time CLOCK = (Time) java.lang.reflect.Proxy.newProxyInstance(Capture.class.getClassLoader(), new Class<?>[]{Time.class},
        (proxy, method, args) -> method.getName().equals("milliseconds") ? (Object) (T + 50) : method.invoke(Time.SYSTEM, args));

    static class Nothing implements LogValidator.MetricsRecorder {
        public void recordInvalidMagic() { }
        public void recordInvalidOffset() { }
        public void recordInvalidSequence() { }
        public void recordInvalidChecksums() { }
        public void recordNoKeyCompactedTopic() { }
    }

    /** What ProduceRequest makes of some inputs before the log sees them. */
    static void requests() {
        String[][] cases = {{"empty", ""}, {"short", "00000000"}};
        for (String[] c : cases) request(c[0], ByteBuffer.allocate(c[1].length() / 2));
        for (int i = 0; i < INPUTS.size(); i++)
            if (NAMES.get(i).startsWith("good") || NAMES.get(i).startsWith("two") || NAMES.get(i).equals("magic0-none") || NAMES.get(i).equals("magic1-gzip"))
                request(NAMES.get(i), INPUTS.get(i));
        ByteBuffer tail = concat(INPUTS.get(0), ByteBuffer.wrap(new byte[]{1, 2, 3, 4, 5}));
        request("partial-tail", tail);
        ByteBuffer three = copy(INPUTS.get(0));
        three.put(16, (byte) 3);
        request("magic3", three);
    }

    static void request(String name, ByteBuffer b) {
        for (short version : new short[]{2, 3, 6, 7, 9}) {
            String result = "ok";
            try {
                ProduceRequest.validateRecords(version, MemoryRecords.readableRecords(copy(b)));
            } catch (Throwable e) {
                result = Errors.forException(e).code() + "\t" + e.getMessage();
            }
            line("request", name, version, hex(b), result);
        }
    }

    /** Reads batches written by somebody else, hex in a file, and prints what Java finds. */
    static void read(String file) throws Exception {
        for (String line : java.nio.file.Files.readAllLines(java.nio.file.Paths.get(file))) {
            String[] f = line.split("\t");
            byte[] bytes = new byte[f[1].length() / 2];
            for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) Integer.parseInt(f[1].substring(2 * i, 2 * i + 2), 16);
            StringBuilder s = new StringBuilder();
            try {
                for (RecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
                    batch.ensureValid();
                    s.append(batch).append('\n');
                    for (org.apache.kafka.common.record.Record r : batch) {
                        r.ensureValid();
                        s.append(r.offset()).append(' ').append(r.timestamp()).append(' ').append(r.hasKey() ? hex(r.key()) : "null").append(' ')
                            .append(r.hasValue() ? hex(r.value()) : "null");
                        for (Header h : r.headers()) s.append(' ').append(h.key()).append('=').append(h.value() == null ? "null" : hex(ByteBuffer.wrap(h.value())));
                        s.append('\n');
                    }
                }
            } catch (Throwable e) {
                s.append("FAILED ").append(e).append('\n');
            }
            System.out.println("== " + f[0]);
            System.out.print(s);
        }
    }

    public static void main(String[] args) throws Exception {
        if (args.length > 1) {
            read(args[1]);
            return;
        }
        out = new PrintStream(args[0], "UTF-8");
        batches();
        validations();
        requests();
        out.close();
    }
}
