import java.io.*;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.Supplier;
import kafka.log.*;
import kafka.server.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.*;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.server.util.Scheduler;
import org.apache.kafka.storage.internals.log.*;

/**
 * Writes a log with Apache Kafka 3.9's UnifiedLog, on a clock of our own, and tells in trace.txt all
 * that was done to it and what came of it. README.md beside it tells how to run it.
 *
 *   Segments DIR SEED OPS
 */
public class Segments {
    static final class Clock implements Time {
        long now = 1700000000000L;
        public long milliseconds() { return now; }
        public long hiResClockMs() { return now; }
        public long nanoseconds() { return now * 1000000L; }
        public void sleep(long ms) { now += ms; }
        public void waitObject(Object o, Supplier<Boolean> c, long d) { throw new UnsupportedOperationException(); }
    }

    static final Clock clock = new Clock();
    static Path root;
    static Random random;
    static UnifiedLog log;
    static PrintWriter trace;
    static LogConfig config;
    static int epoch = 0;
    static long recoveryPoint = 0, logStart = 0;

    static void open() {
        Scheduler scheduler = new Scheduler() {
            public void startup() {}
            public void shutdown() {}
            public void resizeThreadPool(int n) {}
            public ScheduledFuture<?> schedule(String name, Runnable task, long delay, long period) {
                if (period < 0) task.run();
                return Executors.newSingleThreadScheduledExecutor(r -> { Thread t = new Thread(r); t.setDaemon(true); return t; })
                    .schedule(() -> { }, 1, TimeUnit.DAYS);
            }
        };
        log = UnifiedLog.apply(root.resolve("t-0").toFile(), config, logStart, recoveryPoint, scheduler, new BrokerTopicStats(false), clock,
            900000, new ProducerStateManagerConfig(86400000, false), 600000, new LogDirFailureChannel(10), true,
            scala.Option.apply(Uuid.fromString("AAAAAAAAAAAAAAAAAAAAKg")), true, new ConcurrentHashMap<String, Object>(), false,
            LogOffsetsListener.NO_OP_OFFSETS_LISTENER);
    }

    static String base64(MemoryRecords r) {
        ByteBuffer b = r.buffer().duplicate();
        byte[] bytes = new byte[b.remaining()];
        b.get(bytes);
        return Base64.getEncoder().encodeToString(bytes);
    }

    static long recordTime() {
        switch (random.nextInt(12)) {
            case 0: return clock.now - random.nextInt(20000);
            case 1: return clock.now + random.nextInt(3000);
            default: return clock.now;
        }
    }

    static SimpleRecord[] records() {
        SimpleRecord[] rs = new SimpleRecord[1 + random.nextInt(4)];
        int size = random.nextInt(10) == 0 ? random.nextInt(1200) : random.nextInt(150);
        for (int i = 0; i < rs.length; i++)
            rs[i] = new SimpleRecord(recordTime(), ("k" + random.nextInt(100)).getBytes(), "v".repeat(size).getBytes());
        return rs;
    }

    public static void main(String[] args) throws Exception {
        root = Paths.get(args[0]);
        random = new Random(Long.parseLong(args[1]));
        int ops = Integer.parseInt(args[2]);
        Files.createDirectories(root.resolve("t-0"));
        trace = new PrintWriter(Files.newBufferedWriter(root.resolve("trace.txt")));
        Map<String, Object> props = new TreeMap<>();
        props.put("segment.bytes", 2000 + random.nextInt(12000));
        props.put("index.interval.bytes", 50 + random.nextInt(1000));
        props.put("segment.index.bytes", random.nextInt(3) == 0 ? 60 + random.nextInt(100) : 10485760);
        props.put("segment.ms", random.nextInt(2) == 0 ? 5000L + random.nextInt(20000) : 604800000L);
        props.put("retention.ms", random.nextInt(2) == 0 ? 40000L : -1L);
        props.put("retention.bytes", random.nextInt(2) == 0 ? 20000L : -1L);
        props.put("message.timestamp.type", random.nextInt(3) == 0 ? "LogAppendTime" : "CreateTime");
        config = new LogConfig(props);
        for (Map.Entry<String, Object> e : props.entrySet()) trace.println("config " + e.getKey() + " " + e.getValue());
        open();
        Map<Long, Integer> sequences = new HashMap<>();
        Set<Long> openTxns = new TreeSet<>();
        int closes = 0;
        for (int op = 0; op < ops; op++) {
            clock.now += random.nextInt(15) == 0 ? random.nextInt(8000) : random.nextInt(200);
            trace.println("now " + clock.now);
            switch (random.nextInt(30)) {
                case 0: {
                    long to = Math.max(0, log.logEndOffset() - random.nextInt(random.nextInt(4) == 0 ? 100 : 12));
                    to = Math.max(to, log.logStartOffset());
                    trace.println("truncate " + to + " -> " + log.truncateTo(to));
                    openTxns.clear();
                    sequences.clear();
                    for (Map.Entry<Long, ProducerStateEntry> e : log.producerStateManager().activeProducers().entrySet()) {
                        sequences.put(e.getKey(), e.getValue().isEmpty() ? 0 : e.getValue().lastSeq() + 1);
                        if (e.getValue().currentTxnFirstOffset().isPresent()) openTxns.add(e.getKey());
                    }
                    break;
                }
                case 1:
                    trace.println("watermark " + log.updateHighWatermark(log.logEndOffset() - random.nextInt(5)));
                    break;
                case 2:
                    log.updateHighWatermark(log.logEndOffset());
                    trace.println("watermark " + log.logEndOffset());
                    trace.println("retain -> " + log.deleteOldSegments());
                    break;
                case 3:
                    if (log.highWatermark() > log.logStartOffset() && random.nextInt(3) == 0) {
                        long to = log.logStartOffset() + random.nextInt((int) Math.min(30, log.highWatermark() - log.logStartOffset()));
                        trace.println("start " + to);
                        log.maybeIncrementLogStartOffset(to, LogStartOffsetIncrementReason.ClientRecordDeletion);
                    }
                    break;
                case 4: case 5: {
                    long ts = random.nextInt(5) == 0 ? -3 : clock.now - random.nextInt(60000);
                    scala.Option<FileRecords.TimestampAndOffset> found = log.fetchOffsetByTimestamp(ts, scala.Option.empty());
                    trace.println("time " + ts + " -> " + (found.isEmpty() ? "none" : found.get().timestamp + " " + found.get().offset + " " + found.get().leaderEpoch.orElse(-1)));
                    break;
                }
                case 6:
                    if (random.nextInt(3) == 0) {
                        epoch += 1 + random.nextInt(2);
                        log.maybeAssignEpochStartOffset(epoch, log.logEndOffset());
                        trace.println("epoch " + epoch + " " + log.logEndOffset());
                    }
                    break;
                case 7: {
                    int e = random.nextInt(epoch + 3);
                    scala.Option<org.apache.kafka.server.common.OffsetAndEpoch> end = log.endOffsetForEpoch(e);
                    trace.println("epochend " + e + " -> " + (end.isEmpty() ? "none" : end.get().leaderEpoch() + " " + end.get().offset()));
                    break;
                }
                case 8:
                    if (random.nextInt(3) == 0) { // clean shutdown and start
                        logStart = log.logStartOffset();
                        log.updateHighWatermark(log.logEndOffset());
                        trace.println("watermark " + log.logEndOffset());
                        log.flush(true);
                        log.close();
                        recoveryPoint = log.logEndOffset();
                        String name = "out" + closes++;
                        copy(name);
                        trace.println("close " + name + " start " + log.logStartOffset() + " end " + log.logEndOffset());
                        long hw = log.highWatermark();
                        open();
                        log.updateHighWatermark(hw);
                    }
                    break;
                case 9: case 10: case 11: { // as a follower: several batches at once
                    int n = 1 + random.nextInt(4);
                    ByteBuffer all = ByteBuffer.allocate(65536);
                    long at = log.logEndOffset() + (random.nextInt(20) == 0 ? random.nextInt(5) : 0);
                    for (int i = 0; i < n; i++) {
                        SimpleRecord[] rs = records();
                        MemoryRecords r = MemoryRecords.withRecords((byte) 2, at, Compression.NONE, TimestampType.CREATE_TIME, RecordBatch.NO_PRODUCER_ID,
                            RecordBatch.NO_PRODUCER_EPOCH, RecordBatch.NO_SEQUENCE, epoch, false, rs);
                        all.put(r.buffer().duplicate());
                        at += rs.length;
                    }
                    all.flip();
                    MemoryRecords r = MemoryRecords.readableRecords(all);
                    trace.print("follow " + base64(r));
                    LogAppendInfo info = log.appendAsFollower(r, epoch);
                    trace.println(" -> " + info.firstOffset() + " " + info.lastOffset());
                    break;
                }
                case 12:
                    if (!openTxns.isEmpty()) {
                        long pid = openTxns.iterator().next();
                        openTxns.remove(pid);
                        boolean commit = random.nextBoolean();
                        MemoryRecords r = MemoryRecords.withEndTransactionMarker(clock.now, pid, (short) 0,
                            new EndTransactionMarker(commit ? ControlRecordType.COMMIT : ControlRecordType.ABORT, 0));
                        lead(r, AppendOrigin.COORDINATOR);
                    }
                    break;
                case 13: case 14: {
                    long pid = 1000 + random.nextInt(3);
                    boolean txn = pid == 1000;
                    int seq = sequences.getOrDefault(pid, 0);
                    SimpleRecord[] rs = records();
                    MemoryRecords r = txn ? MemoryRecords.withTransactionalRecords(Compression.NONE, pid, (short) 0, seq, rs)
                        : MemoryRecords.withIdempotentRecords(Compression.NONE, pid, (short) 0, seq, rs);
                    if (lead(r, AppendOrigin.CLIENT)) {
                        sequences.put(pid, seq + rs.length);
                        if (txn) openTxns.add(pid);
                    }
                    break;
                }
                default:
                    lead(MemoryRecords.withRecords(random.nextInt(4) == 0 ? Compression.gzip().build() : Compression.NONE, records()), AppendOrigin.CLIENT);
            }
        }
        logStart = log.logStartOffset();
        log.updateHighWatermark(log.logEndOffset());
        trace.println("watermark " + log.logEndOffset());
        log.flush(true);
        log.close();
        copy("out" + closes);
        trace.println("close out" + closes + " start " + log.logStartOffset() + " end " + log.logEndOffset());
        trace.close();
        System.exit(0);
    }

    static boolean lead(MemoryRecords r, AppendOrigin origin) {
        trace.print("lead " + (origin == AppendOrigin.CLIENT ? "client " : "coordinator ") + epoch + " " + base64(r));
        try {
            LogAppendInfo info = log.appendAsLeader(r, epoch, origin, log.appendAsLeader$default$4(), log.appendAsLeader$default$5(), VerificationGuard.SENTINEL);
            trace.println(" -> " + info.firstOffset() + " " + info.lastOffset() + " " + info.logAppendTime() + " lso " + log.lastStableOffset());
            return true;
        } catch (org.apache.kafka.common.errors.ApiException x) {
            trace.println(" -> error " + org.apache.kafka.common.protocol.Errors.forException(x).name());
            return false;
        }
    }

    static void copy(String name) throws IOException {
        Path to = root.resolve(name);
        Files.createDirectories(to);
        try (DirectoryStream<Path> files = Files.newDirectoryStream(root.resolve("t-0"))) {
            for (Path f : files) {
                if (f.toString().endsWith(".deleted")) continue;
                Files.copy(f, to.resolve(f.getFileName()), StandardCopyOption.COPY_ATTRIBUTES);
            }
        }
    }
}
