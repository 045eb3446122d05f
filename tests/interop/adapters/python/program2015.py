"""The program of 2015: one thread sends, one thread receives and prints, and nobody has
created the topic. Arguments: the bootstrap address and how many rounds to send.

It is what a user of kafka-python 0.9.4 would have written, except that it ends: once every
message of this run was printed, or after a minute.
"""
import sys
import threading
import time

from kafka import KafkaClient, SimpleConsumer, SimpleProducer

bootstrap, rounds = sys.argv[1], int(sys.argv[2])
printed = []
consumers = []


class Producer(threading.Thread):
    daemon = True

    def run(self):
        client = KafkaClient(bootstrap)
        producer = SimpleProducer(client)
        for _ in range(rounds):
            producer.send_messages(b"my-topic", b"test")
            producer.send_messages(b"my-topic", b"\xc2Hola, mundo!")
            time.sleep(0.2)


class Consumer(threading.Thread):
    daemon = True

    def run(self):
        client = KafkaClient(bootstrap)
        consumer = SimpleConsumer(client, "test-group", "my-topic")
        consumers.append(consumer)
        for message in consumer:
            print(message)
            sys.stdout.flush()
            printed.append(message)


threads = [Producer(), Consumer()]
for thread in threads:
    thread.start()
deadline = time.time() + 60
while time.time() < deadline and len(printed) < 2 * rounds and all(c.is_alive() for c in threads[1:]):
    time.sleep(0.1)
time.sleep(1)  # more than was sent would show up now
for consumer in consumers:
    consumer.commit()
