"""kafka-python 0.9.4, of 2015, behind the line protocol."""
import logging
import sys
import time

from kafka import KafkaClient, SimpleConsumer
from kafka.common import OffsetRequest
from kafka.producer.base import Producer
from kafka.protocol import CODEC_GZIP, CODEC_NONE, CODEC_SNAPPY

import lines

bootstrap = sys.argv[1]
logging.basicConfig(level=logging.WARNING)
codecs = {"none": CODEC_NONE, "gzip": CODEC_GZIP, "snappy": CODEC_SNAPPY}


def produce(topic, codec, records, options):
    client = KafkaClient(bootstrap)
    acks = {"0": 0, "1": 1, "all": -1}[options.get("acks", "1")]
    producer = Producer(client, codec=codecs[codec], req_acks=acks)
    try:
        client.ensure_topic_exists(topic)
        topic = topic.encode()
        for at in range(0, len(records), 10):  # ten of one partition make one request
            some = records[at:at + 10]
            for partition in sorted(set(r.partition for r in some)):
                for r in [r for r in some if r.partition == partition]:
                    producer._send_messages(topic, partition, r.value, key=r.key)
    finally:
        producer.stop()
        client.close()


def consume(group, topics, count, timeout, options):
    deadline, seen = time.time() + timeout, 0
    for topic in topics:
        client = KafkaClient(bootstrap)
        consumer = SimpleConsumer(client, group, topic, auto_commit=False, max_buffer_size=None)
        consumer.provide_partition_info()
        try:
            ends = end_offsets(client, consumer, topic.encode())
            while seen < count and time.time() < deadline:
                if len(topics) > 1 and all(consumer.offsets[p] >= end for p, end in ends.items()):
                    break  # on to the next topic
                got = consumer.get_messages(count=100, block=True, timeout=0.2)
                for partition, m in got:
                    lines.put(topic, partition, m.offset, None, m.message.key, m.message.value)
                    seen += 1
            if group is not None:
                consumer.commit()
        finally:
            consumer.stop()
            client.close()
    if seen < count:
        raise RuntimeError("read %d of %d records within %s s" % (seen, count, timeout))


def end_offsets(client, consumer, topic):
    """Where each partition ends, as ListOffsets v0 says."""
    requests = [OffsetRequest(topic, p, -1, 1) for p in consumer.offsets]
    return dict((r.partition, r.offsets[0]) for r in client.send_offset_request(requests))


def create(topic, partitions):
    raise NotImplementedError("this client cannot create topics")


lines.serve(produce, consume, create)
