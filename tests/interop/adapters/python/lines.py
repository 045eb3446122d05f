"""The line protocol of the adapters (see PROTOCOL.md), for Python clients."""
import binascii
import sys
import traceback


def unhex(text):
    return None if text == "-" else binascii.unhexlify(text)


def tohex(data):
    return "-" if data is None else binascii.hexlify(bytes(data)).decode()


class Line(object):
    """One record on its way to the broker."""

    def __init__(self, text):
        partition, timestamp, key, value, headers = text.split("\t")
        self.partition = int(partition)
        self.timestamp = None if timestamp == "-" else int(timestamp)
        self.key = unhex(key)
        self.value = unhex(value)
        self.headers = []
        for header in headers.split(",") if headers else []:
            name, value = header.split(":")
            self.headers.append((name, unhex(value)))


def put(topic, partition, offset, timestamp, key, value, headers=()):
    """Prints one record that came from the broker."""
    sys.stdout.write("R\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n" % (
        topic, partition, offset, "-" if timestamp is None else timestamp, tohex(key), tohex(value),
        ",".join("%s:%s" % (name, tohex(v)) for name, v in headers)))


def serve(produce, consume, create):
    """Reads commands until the end of the input. The three functions do the work."""
    while True:
        words = sys.stdin.readline().rstrip("\n").split(" ")
        if words[0] in ("", "quit"):
            return
        try:
            if words[0] == "produce":
                lines = [Line(sys.stdin.readline().rstrip("\n")) for _ in range(int(words[3]))]
                produce(words[1], words[2], lines, dict(o.split("=") for o in words[4:]))
            elif words[0] == "consume":
                group = None if words[1] == "-" else words[1]
                consume(group, words[2].split(","), int(words[3]), int(words[4]) / 1000.0,
                        dict(o.split("=") for o in words[5:]))
            elif words[0] == "create":
                create(words[1], int(words[2]))
            else:
                raise ValueError("no such command: " + words[0])
            sys.stdout.write("OK\n")
        except Exception as e:  # every failure is an answer
            traceback.print_exc()
            sys.stdout.write(("ERR %s: %s" % (type(e).__name__, e)).replace("\n", " ") + "\n")
        sys.stdout.flush()
