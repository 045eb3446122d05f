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
import org.apache.kafka.storage.internals.utils.Throttler;

/**
 * Makes golden files with Apache Kafka 3.9's own log and cleaner, on a clock of our own.
 * README.md beside it tells how to run it.
 *
 *   Golden compact DIR SEED CODEC OPS   rounds of appends and compactions; per round a copy of the
 *                                       log before (inN) and after (outN), and meta lines
 *   Golden producers DIR SEED OPS       a trace of appends by producers, right and wrong, and what
 *                                       became of each, and the snapshots at the end
 *   Golden legacy DIR SEED CODEC OPS    as compact, with messages of magic 0 and 1
 *   Golden files DIR 0                  checkpoints and meta.properties
 */
public class Golden {
    static final class Clock implements Time {
        long now = 1700000000000L;
        public long milliseconds() { return now; }
        public long hiResClockMs() { return now; }
        public long nanoseconds() { return now * 1000000L; }
        public void sleep(long ms) { now += ms; }
        public void waitObject(Object o, Supplier<Boolean> c, long d) { throw new UnsupportedOperationException(); }
    }

    static final class Now implements Scheduler {
        public void startup() {}
        public void shutdown() {}
        public void resizeThreadPool(int n) {}
        public ScheduledFuture<?> schedule(String name, Runnable task, long delay, long period) {
            if (period < 0) task.run();
            return null;
        }
    }

    static final Clock clock = new Clock();
    static final TopicPartition tp = new TopicPartition("t", 0);
    static Path root;
    static Random random;
    static UnifiedLog log;
    static PrintWriter meta;

    public static void main(String[] args) throws Exception {
        root = Paths.get(args[1]);
        random = new Random(Long.parseLong(args[2]));
        Files.createDirectories(root.resolve("t-0"));
        meta = new PrintWriter(Files.newBufferedWriter(root.resolve("meta.txt")));
        if (args[0].equals("files")) files();
        else if (args[0].equals("producers")) producers(Integer.parseInt(args[3]));
        else compact(args[0].equals("legacy"), args[3], Integer.parseInt(args[4]));
        meta.close();
    }

    static void files() throws Exception {
        scala.collection.mutable.HashMap<TopicPartition, Object> offsets = new scala.collection.mutable.HashMap<>();
        offsets.put(tp, 0L);
        offsets.put(new TopicPartition("__consumer_offsets", 49), 123456789012L);
        offsets.put(new TopicPartition("a.b_c-d", 7), Long.MAX_VALUE);
        new kafka.server.checkpoints.OffsetCheckpointFile(root.resolve("recovery-point-offset-checkpoint").toFile(), null).write(offsets);
        offsets.clear();
        new kafka.server.checkpoints.OffsetCheckpointFile(root.resolve("cleaner-offset-checkpoint").toFile(), null).write(offsets);
        org.apache.kafka.metadata.properties.MetaProperties.Builder b = new org.apache.kafka.metadata.properties.MetaProperties.Builder()
            .setClusterId("z0Yy1Xx2Ww3Vv4Uu5Tt6Ss").setNodeId(7);
        write(b, "meta.properties.v0");
        write(b.setDirectoryId(Uuid.fromString("JTGg2i9kTU-RxKQ0x8E6Gw")), "meta.properties.v0-directory");
        b.setVersion(org.apache.kafka.metadata.properties.MetaPropertiesVersion.V1);
        write(b, "meta.properties.v1-directory");
        write(b.setDirectoryId(Optional.empty()), "meta.properties.v1");
        write(b.setClusterId(" odd: cluster=id\\ #!\u00e9"), "meta.properties.v1-odd");
        Files.delete(root.resolve("t-0"));
    }

    static void write(org.apache.kafka.metadata.properties.MetaProperties.Builder b, String name) throws Exception {
        org.apache.kafka.metadata.properties.PropertiesUtils.writePropertiesFile(b.build().toProperties(), root.resolve(name).toString(), false);
    }

    static void open(long segmentBytes) {
        Map<String, Object> props = new HashMap<>();
        props.put("cleanup.policy", "compact");
        props.put("segment.bytes", (int) segmentBytes);
        props.put("index.interval.bytes", 200);
        props.put("segment.index.bytes", 4096);
        props.put("delete.retention.ms", 10000L);
        props.put("message.timestamp.type", random.nextInt(5) == 0 ? "LogAppendTime" : "CreateTime");
        LogConfig config = new LogConfig(props);
        log = UnifiedLog.apply(root.resolve("t-0").toFile(), config, 0L, 0L, new Now(), new BrokerTopicStats(false), clock,
            900000, new ProducerStateManagerConfig(3600000, false), 600000, new LogDirFailureChannel(10), true,
            scala.Option.apply(Uuid.fromString("AAAAAAAAAAAAAAAAAAAAKg")), true, new ConcurrentHashMap<String, Object>(), false,
            LogOffsetsListener.NO_OP_OFFSETS_LISTENER);
    }

    static int epoch = 0;

    static LogAppendInfo append(MemoryRecords records, AppendOrigin origin) {
        return log.appendAsLeader(records, epoch, origin, log.appendAsLeader$default$4(), log.appendAsLeader$default$5(), VerificationGuard.SENTINEL);
    }

    static byte[] bytes(String s) { return s.getBytes(StandardCharsets.UTF_8); }

    static SimpleRecord[] records(int most, int keys) {
        SimpleRecord[] rs = new SimpleRecord[1 + random.nextInt(most)];
        for (int i = 0; i < rs.length; i++) {
            byte[] key = bytes("key-" + random.nextInt(keys));
            byte[] value = random.nextInt(5) == 0 ? null : bytes("value-" + random.nextInt(1000000) + "x".repeat(random.nextInt(60)));
            long ts = clock.now - random.nextInt(2000);
            rs[i] = random.nextInt(4) == 0
                ? new SimpleRecord(ts, key, value, new org.apache.kafka.common.header.Header[]{
                    new org.apache.kafka.common.header.internals.RecordHeader("h", bytes("v" + i)),
                    new org.apache.kafka.common.header.internals.RecordHeader("n", (byte[]) null)})
                : new SimpleRecord(ts, key, value);
        }
        return rs;
    }

    static CompressionType codec(String name) {
        if (!name.equals("mixed")) return CompressionType.forName(name);
        return CompressionType.values()[random.nextInt(5)];
    }

    static void compact(boolean legacy, String codecName, int ops) throws Exception {
        open(1500);
        Map<Long, Integer> sequences = new HashMap<>();
        Map<Long, Integer> producerEpochs = new HashMap<>();
        Set<Long> open = new TreeSet<>();
        long firstDirty = 0;
        for (int round = 0; round < 4; round++) {
            for (int op = 0; op < ops; op++) {
                clock.now += random.nextInt(100);
                Compression c = Compression.of(codec(codecName)).build();
                if (random.nextInt(40) == 0) { epoch++; log.maybeAssignEpochStartOffset(epoch, log.logEndOffset()); }
                switch (random.nextInt(7)) {
                    case 0: case 1:
                        if (legacy) {
                            byte magic = (byte) random.nextInt(2);
                            CompressionType type = codec(codecName);
                            if (type == CompressionType.ZSTD) type = CompressionType.NONE;
                            Compression lc = Compression.of(type).build();
                            MemoryRecordsBuilder b = MemoryRecords.builder(ByteBuffer.allocate(4096), magic, lc, magic == 0 ? TimestampType.CREATE_TIME
                                : random.nextInt(3) == 0 ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME, log.logEndOffset(), clock.now);
                            for (SimpleRecord r : records(6, 40)) b.append(r.timestamp(), r.key(), r.value());
                            log.appendAsFollower(b.build(), epoch);
                        } else append(MemoryRecords.withRecords(c, records(6, 40)), AppendOrigin.CLIENT);
                        break;
                    case 2: { // idempotent
                        long pid = 100 + random.nextInt(4);
                        SimpleRecord[] rs = records(4, 40);
                        int seq = sequences.getOrDefault(pid, 0);
                        if (random.nextInt(20) == 0) { producerEpochs.merge(pid, 1, Integer::sum); seq = 0; }
                        append(MemoryRecords.withIdempotentRecords(c, pid, (short) (int) producerEpochs.getOrDefault(pid, 0), seq, rs), AppendOrigin.CLIENT);
                        sequences.put(pid, seq + rs.length);
                        break;
                    }
                    case 3: case 4: { // transactional
                        long pid = 200 + random.nextInt(5);
                        SimpleRecord[] rs = records(4, 40);
                        int seq = sequences.getOrDefault(pid, 0);
                        append(MemoryRecords.withTransactionalRecords(c, pid, (short) (int) producerEpochs.getOrDefault(pid, 0), seq, rs), AppendOrigin.CLIENT);
                        sequences.put(pid, seq + rs.length);
                        open.add(pid);
                        break;
                    }
                    case 5: { // end of a transaction
                        if (open.isEmpty()) break;
                        Long[] pids = open.toArray(new Long[0]);
                        end(pids[random.nextInt(pids.length)], producerEpochs);
                        break;
                    }
                    case 6:
                        if (random.nextInt(10) == 0) log.roll(scala.Option.empty());
                        break;
                }
                for (Iterator<Long> it = open.iterator(); it.hasNext(); ) if (!log.producerStateManager().activeProducers().containsKey(it.next())) it.remove();
                open.removeIf(p -> log.producerStateManager().activeProducers().get(p).currentTxnFirstOffset().isEmpty());
                log.updateHighWatermark(log.logEndOffset());
            }
            // Some transactions stay open into the next round.
            for (Long pid : new ArrayList<>(open)) if (random.nextInt(3) != 0) { end(pid, producerEpochs); open.remove(pid); }
            log.updateHighWatermark(log.logEndOffset());
            log.roll(scala.Option.empty());
            log.flush(true);
            copy("in" + round);
            boolean small = random.nextInt(3) == 0; // a map too small for all keys
            int mapBytes = small ? 24 * 30 : 1 << 16;
            Cleaner cleaner = new Cleaner(0, new SkimpyOffsetMap(mapBytes), 64 * 1024, 64 * 1024, 0.9,
                new Throttler(Double.MAX_VALUE, 300, "x", "bytes", clock), clock, t -> scala.runtime.BoxedUnit.UNIT);
            long uncleanable = Math.min(log.lastStableOffset(), log.activeSegment().baseOffset());
            LogToClean ltc = LogToClean.apply(tp, log, firstDirty, Math.max(firstDirty, uncleanable), false);
            StringBuilder last = new StringBuilder();
            for (Map.Entry<Long, ProducerStateEntry> e : new TreeMap<>(log.producerStateManager().activeProducers()).entrySet())
                last.append(' ').append(e.getKey()).append(':').append(e.getValue().lastDataOffset()).append(':').append(e.getValue().producerEpoch());
            Object next = cleaner.doClean(ltc, clock.now)._1();
            meta.println("round " + round + " now " + clock.now + " dirty " + firstDirty + " uncleanable " + ltc.firstUncleanableOffset()
                + " cleanBytes " + ltc.cleanBytes() + " cleanableBytes " + ltc.cleanableBytes() + " lso " + log.lastStableOffset() + " leo " + log.logEndOffset()
                + " mapBytes " + mapBytes + " segmentBytes 1500 next " + next + " producers" + last);
            firstDirty = (Long) next;
            copy("out" + round);
            if (round == 1) clock.now += 20000; // tombstones and markers become old
        }
        log.takeProducerSnapshot();
    }

    static void end(long pid, Map<Long, Integer> producerEpochs) {
        append(MemoryRecords.withEndTransactionMarker(clock.now, pid, (short) (int) producerEpochs.getOrDefault(pid, 0),
            new EndTransactionMarker(random.nextBoolean() ? ControlRecordType.COMMIT : ControlRecordType.ABORT, 0)), AppendOrigin.COORDINATOR);
    }

    static void copy(String name) throws IOException {
        Path to = root.resolve(name);
        Files.createDirectories(to);
        try (DirectoryStream<Path> files = Files.newDirectoryStream(root.resolve("t-0"))) {
            for (Path f : files) {
                if (f.toString().endsWith(".deleted")) continue;
                Files.copy(f, to.resolve(f.getFileName()), StandardCopyOption.COPY_ATTRIBUTES);
                if (f.toString().endsWith(".log")) meta.println("mtime " + name + " " + f.getFileName() + " " + Files.getLastModifiedTime(f).toMillis());
            }
        }
    }

    static void producers(int ops) throws Exception {
        open(1 << 20);
        Map<Long, int[]> state = new HashMap<>(); // pid -> epoch, next sequence
        List<long[]> sent = new ArrayList<>();
        for (int op = 0; op < ops; op++) {
            clock.now += random.nextInt(200);
            long pid = random.nextInt(6);
            int[] s = state.computeIfAbsent(pid, p -> new int[]{0, random.nextInt(4) == 0 ? Integer.MAX_VALUE - 3 : 0});
            String result;
            StringBuilder line = new StringBuilder();
            int kind = random.nextInt(20);
            if (kind == 0) { // the high watermark moves
                long hw = log.highWatermark() + random.nextInt((int) (log.logEndOffset() - log.highWatermark()) + 1);
                log.updateHighWatermark(hw);
                meta.println("watermark " + hw + " -> lso " + log.lastStableOffset());
                continue;
            }
            try {
                if (kind < 4) {
                    short pe = (short) (s[0] + (random.nextInt(8) == 0 ? random.nextInt(3) - 1 : 0));
                    if (pe < 0) pe = 0;
                    int ce = random.nextInt(6) == 0 ? 0 : 1;
                    boolean commit = random.nextBoolean();
                    line.append("marker ").append(pid).append(' ').append(pe).append(' ').append(ce).append(' ').append(commit ? "commit" : "abort").append(' ').append(clock.now);
                    LogAppendInfo info = append(MemoryRecords.withEndTransactionMarker(clock.now, pid, pe,
                        new EndTransactionMarker(commit ? ControlRecordType.COMMIT : ControlRecordType.ABORT, ce)), AppendOrigin.COORDINATOR);
                    if (pe > s[0]) { s[0] = pe; s[1] = 0; }
                    result = "ok " + info.firstOffset();
                } else {
                    int count = 1 + random.nextInt(3);
                    int e = s[0], seq = s[1];
                    boolean txn = pid >= 3;
                    if (random.nextInt(30) == 0) txn = !txn;
                    switch (random.nextInt(12)) {
                        case 0: e++; seq = random.nextInt(3) == 0 ? 1 : 0; break;
                        case 1: e = Math.max(0, e - 1); break;
                        case 2: seq = seq + 1 + random.nextInt(3); if (seq < 0) seq = 0; break;
                        case 3: case 4:
                            if (!sent.isEmpty()) {
                                long[] again = sent.get(Math.max(0, sent.size() - 1 - random.nextInt(12)));
                                pid = again[0]; e = (int) again[1]; seq = (int) again[2]; count = (int) again[3]; txn = again[4] == 1;
                                s = state.get(pid);
                            }
                            break;
                    }
                    SimpleRecord[] rs = new SimpleRecord[count];
                    for (int i = 0; i < count; i++) rs[i] = new SimpleRecord(clock.now, bytes("k"), bytes("v"));
                    line.append("data ").append(pid).append(' ').append(e).append(' ').append(seq).append(' ').append(count).append(' ').append(txn).append(' ').append(clock.now);
                    boolean coordinator = random.nextInt(10) == 0;
                    line.append(coordinator ? " coordinator" : " client");
                    MemoryRecords r = txn ? MemoryRecords.withTransactionalRecords(Compression.NONE, pid, (short) e, seq, rs)
                        : MemoryRecords.withIdempotentRecords(Compression.NONE, pid, (short) e, seq, rs);
                    long before = log.logEndOffset();
                    LogAppendInfo info = append(r, coordinator ? AppendOrigin.COORDINATOR : AppendOrigin.CLIENT);
                    if (log.logEndOffset() == before) result = "duplicate " + info.firstOffset() + " " + info.lastOffset() + " " + info.logAppendTime();
                    else {
                        result = "ok " + info.firstOffset();
                        s[0] = e;
                        s[1] = DefaultRecordBatch.incrementSequence(seq, count);
                        sent.add(new long[]{pid, e, seq, count, txn ? 1 : 0});
                    }
                }
            } catch (org.apache.kafka.common.errors.ApiException x) {
                result = "error " + org.apache.kafka.common.protocol.Errors.forException(x).name();
            }
            meta.println(line + " -> " + result + " lso " + log.lastStableOffset());
        }
        log.takeProducerSnapshot();
    }
}
