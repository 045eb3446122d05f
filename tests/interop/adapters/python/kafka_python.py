"""The newest kafka-python behind the line protocol."""
import json
import logging
import os
import runpy
import sys
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

import lines

bootstrap = sys.argv[1]
logging.basicConfig(level=logging.WARNING)


def security():
    """What ADAPTER_SECURITY asks for, in kafka-python's words."""
    if "ADAPTER_SECURITY" not in os.environ:
        return {}
    with open(os.environ["ADAPTER_SECURITY"]) as f:
        s = json.load(f)
    if "ConfigFile" in s:
        return runpy.run_path(s["ConfigFile"])["config"]
    config = {"security_protocol": ("SASL_" if s["Mechanism"] else "") + ("SSL" if s["TLS"] else "PLAINTEXT")}
    if s["TLS"]:
        config.update(ssl_cafile=s["CA"], ssl_certfile=s.get("Certificate"), ssl_keyfile=s.get("Key"))
    if s["Mechanism"] == "OAUTHBEARER":
        from kafka.net.sasl.oauth import AbstractTokenProvider

        class Given(AbstractTokenProvider):
            def token(self):
                return s["Token"]

        config.update(sasl_mechanism="OAUTHBEARER", sasl_oauth_token_provider=Given())
    elif s["Mechanism"] == "GSSAPI":
        config.update(sasl_mechanism="GSSAPI", sasl_kerberos_service_name="kafka", sasl_kerberos_domain_name="localhost")
    elif s["Mechanism"]:
        config.update(sasl_mechanism=s["Mechanism"], sasl_plain_username=s["User"], sasl_plain_password=s["Password"])
    return config


secure = dict({"bootstrap_servers": bootstrap}, **security())


def produce(topic, codec, records, options):
    acks = options.get("acks", "all")
    config = {}
    if "give.up.ms" in options:
        limit = int(options["give.up.ms"])
        config.update(max_block_ms=limit, delivery_timeout_ms=limit, request_timeout_ms=limit - 10, bootstrap_timeout_ms=limit)
    if "idempotent" in options:
        config["enable_idempotence"] = options["idempotent"] == "true"
    producer = KafkaProducer(
        acks="all" if acks == "all" else int(acks),
        compression_type=None if codec == "none" else codec, linger_ms=5, batch_size=4096, **dict(secure, **config))
    try:
        futures = [producer.send(topic, value=r.value, key=r.key, headers=r.headers,
                                 partition=r.partition, timestamp_ms=r.timestamp) for r in records]
        for f in futures:
            f.get(timeout=60)
    finally:
        producer.close()


def consume(group, topics, count, timeout, options):
    consumer = KafkaConsumer(
        group_id=group, enable_auto_commit=False,
        auto_offset_reset="earliest", max_partition_fetch_bytes=65536, **secure)
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
    admin = KafkaAdminClient(**secure)
    try:
        try:
            from kafka.admin import NewTopic
            admin.create_topics([NewTopic(topic, partitions, 1)])
        except (ImportError, TypeError, AttributeError):
            admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1}})
    finally:
        admin.close()


lines.serve(produce, consume, create)
