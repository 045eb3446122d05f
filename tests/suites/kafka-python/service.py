"""Stands in for a module of kafka-python's test suite that its package leaves out.

The broker runs already; nothing is started from within the suite.
"""


class ExternalService:
    def __init__(self, host, port):
        self.host = host
        self.port = port

    def open(self):
        pass

    def close(self):
        pass

    stop = close


class SpawnedService:
    def __init__(self, *args, **kwargs):
        raise RuntimeError('these tests run against a broker that runs already')
