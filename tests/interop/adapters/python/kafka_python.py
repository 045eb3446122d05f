"""The newest kafka-python behind the line protocol."""
import logging
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

import lines

bootstrap = sys.argv[1]
logging.basicConfig(level=logging.WARNING)


def produce(topic, codec, records, options):
    acks = options.get("acks", "all")
    config = {}
    if "idempotent" in options:
        config["enable_idempotence"] = options["idempotent"] == "true"
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, acks="all" if acks == "all" else int(acks),
        compression_type=None if codec == "none" else codec, linger_ms=5, batch_size=4096, **config)
    try:
        futures = [producer.send(topic, value=r.value, key=r.key, headers=r.headers,
                                 partition=r.partition, timestamp_ms=r.timestamp) for r in records]
        for f in futures:
            f.get(timeout=60)
    finally:
        producer.close()


def consume(group, topics, count, timeout, options):
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False,
        auto_offset_reset="earliest", max_partition_fetch_bytes=65536)
    try:
        if group is None:
            consumer.assign([TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t)])
        else:
            for topic in topics:  # or its assignor may find that it knows no partitions
                consumer.partitions_for_topic(topic)
            consumer.subscribe(topics)
        deadline, seen = time.time() + timeout, 0
        while seen < count:
            if time.time() > deadline:
                raise RuntimeError("read %d of %d records within %s s" % (seen, count, timeout))
            for batch in consumer.poll(timeout_ms=200).values():
                for r in batch:
                    lines.put(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, r.headers)
                    seen += 1
        if group is not None:
            consumer.commit()
    finally:
        consumer.close()


def create(topic, partitions):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        try:
            from kafka.admin import NewTopic
            admin.create_topics([NewTopic(topic, partitions, 1)])
        except (ImportError, TypeError, AttributeError):
            admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
    finally:
        admin.close()


lines.serve(produce, consume, create)
