import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/** The consuming half: the consumer of 0.9 and later. */
class Consuming {
    static void consume(String group, String[] topics, int count, long timeoutMs, Map<String, String> options) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", Adapter.bootstrap);
        p.putAll(Adapter.security);
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        p.put("max.partition.fetch.bytes", "65536"); // several fetches
        String deserializer = "org.apache.kafka.common.serialization.ByteArrayDeserializer";
        p.put("key.deserializer", deserializer);
        p.put("value.deserializer", deserializer);
        if (!group.equals("-")) p.put("group.id", group);
        if (options.containsKey("protocol")) p.put("group.protocol", options.get("protocol"));
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<byte[], byte[]>(p);
        try {
            if (group.equals("-")) {
                List<TopicPartition> all = new ArrayList<TopicPartition>();
                for (String topic : topics) {
                    for (PartitionInfo i : consumer.partitionsFor(topic)) all.add(new TopicPartition(topic, i.partition()));
                }
                consumer.assign(all);
            } else {
                consumer.subscribe(Arrays.asList(topics));
            }
            long deadline = System.currentTimeMillis() + timeoutMs;
            int seen = 0;
            while (seen < count) {
                if (System.currentTimeMillis() > deadline) {
                    throw new IllegalStateException("read " + seen + " of " + count + " records within " + timeoutMs + " ms");
                }
                for (ConsumerRecord<byte[], byte[]> r : poll(consumer)) {
                    Adapter.out.println(line(r).format());
                    seen++;
                }
            }
            if (!group.equals("-")) consumer.commitSync();
        } finally {
            consumer.close();
        }
    }

    @SuppressWarnings("unchecked")
    private static ConsumerRecords<byte[], byte[]> poll(KafkaConsumer<byte[], byte[]> consumer) throws Exception {
        try {
            Method m = KafkaConsumer.class.getMethod("poll", Class.forName("java.time.Duration"));
            return (ConsumerRecords<byte[], byte[]>) m.invoke(consumer, java.time.Duration.ofMillis(200));
        } catch (NoSuchMethodException e) {
            Method m = KafkaConsumer.class.getMethod("poll", long.class);
            return (ConsumerRecords<byte[], byte[]>) m.invoke(consumer, 200L);
        }
    }

    private static Adapter.Line line(ConsumerRecord<byte[], byte[]> r) throws Exception {
        Adapter.Line line = new Adapter.Line();
        line.topic = r.topic();
        line.partition = r.partition();
        line.offset = r.offset();
        line.key = r.key();
        line.value = r.value();
        try {
            line.timestamp = (Long) ConsumerRecord.class.getMethod("timestamp").invoke(r);
        } catch (NoSuchMethodException e) {
            line.timestamp = null; // before 0.10
        }
        try {
            Object headers = ConsumerRecord.class.getMethod("headers").invoke(r);
            Class<?> header = Class.forName("org.apache.kafka.common.header.Header");
            for (Object h : (Iterable<?>) headers) {
                line.headerNames.add((String) header.getMethod("key").invoke(h));
                line.headerValues.add((byte[]) header.getMethod("value").invoke(h));
            }
        } catch (NoSuchMethodException e) {
            // before 0.11
        }
        return line;
    }
}
