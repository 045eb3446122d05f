import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

/** The producing half, and topic creation where the version has an admin client. */
class Producing {
    static void produce(String topic, String codec, List<Adapter.Line> lines, Map<String, String> options) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", Adapter.bootstrap);
        p.putAll(Adapter.security);
        p.put("acks", options.containsKey("acks") ? options.get("acks") : "all");
        p.put("compression.type", codec);
        p.put("linger.ms", "5");
        p.put("batch.size", "4096");
        p.put("retries", "20");
        p.put("retry.backoff.ms", "50");
        if (!Adapter.has("org.apache.kafka.common.header.Headers")) {
            p.put("max.in.flight.requests.per.connection", "1"); // or a retry would change the order
        } else if (options.containsKey("idempotent")) {
            p.put("enable.idempotence", options.get("idempotent"));
        }
        if (options.containsKey("give.up.ms")) {
            p.put("max.block.ms", options.get("give.up.ms"));
            p.put("delivery.timeout.ms", options.get("give.up.ms"));
            p.put("request.timeout.ms", "1000");
            p.put("linger.ms", "0");
        }
        String serializer = "org.apache.kafka.common.serialization.ByteArraySerializer";
        p.put("key.serializer", serializer);
        p.put("value.serializer", serializer);
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<byte[], byte[]>(p);
        try {
            List<Future<RecordMetadata>> sent = new ArrayList<Future<RecordMetadata>>();
            for (Adapter.Line line : lines) sent.add(producer.send(record(topic, line)));
            for (Future<RecordMetadata> f : sent) f.get();
        } finally {
            producer.close();
        }
    }

    @SuppressWarnings("unchecked")
    private static ProducerRecord<byte[], byte[]> record(String topic, Adapter.Line line) throws Exception {
        if (line.timestamp == null && line.headerNames.isEmpty()) {
            return new ProducerRecord<byte[], byte[]>(topic, line.partition, line.key, line.value);
        }
        for (Constructor<?> c : ProducerRecord.class.getConstructors()) {
            if (line.headerNames.isEmpty() && c.getParameterCount() == 5 && c.getParameterTypes()[2] == Long.class) {
                return (ProducerRecord<byte[], byte[]>) c.newInstance(topic, line.partition, line.timestamp, line.key, line.value);
            }
            if (!line.headerNames.isEmpty() && c.getParameterCount() == 6) {
                return (ProducerRecord<byte[], byte[]>) c.newInstance(topic, line.partition, line.timestamp, line.key, line.value, headers(line));
            }
        }
        throw new IllegalArgumentException("this client has no headers or timestamps");
    }

    private static Object headers(Adapter.Line line) throws Exception {
        Constructor<?> one = Class.forName("org.apache.kafka.common.header.internals.RecordHeader").getConstructor(String.class, byte[].class);
        List<Object> all = new ArrayList<Object>();
        for (int i = 0; i < line.headerNames.size(); i++) all.add(one.newInstance(line.headerNames.get(i), line.headerValues.get(i)));
        return all;
    }

    static void create(String topic, int partitions) throws Exception {
        Class<?> admin;
        try {
            admin = Class.forName("org.apache.kafka.clients.admin.AdminClient");
        } catch (ClassNotFoundException e) {
            throw new UnsupportedOperationException("this client cannot create topics");
        }
        Map<String, Object> config = new HashMap<String, Object>();
        config.put("bootstrap.servers", Adapter.bootstrap);
        for (String name : Adapter.security.stringPropertyNames()) config.put(name, Adapter.security.getProperty(name));
        Object client = admin.getMethod("create", Map.class).invoke(null, config);
        try {
            Object wanted = Class.forName("org.apache.kafka.clients.admin.NewTopic")
                .getConstructor(String.class, int.class, short.class).newInstance(topic, partitions, (short) 1);
            Object result = admin.getMethod("createTopics", java.util.Collection.class).invoke(client, Collections.singleton(wanted));
            Object all = Class.forName("org.apache.kafka.clients.admin.CreateTopicsResult").getMethod("all").invoke(result);
            Method get = Future.class.getMethod("get");
            // KafkaFuture implements Future in all versions.
            get.invoke(all);
        } finally {
            ((AutoCloseable) client).close();
        }
    }
}
