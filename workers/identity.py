"""What a process that works on jobs, or on schedules, says of itself."""

import os
import secrets
import socket

import psutil
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.queue_pb2 import Worker

from base.release import release
from base.settings import Settings
from base.storage import StorageRoots


class Identity:
    """One process, from its start."""

    def __init__(self, settings: Settings) -> None:
        self._roots = StorageRoots(settings)
        self._storage: dict[str, str] = {}
        self.host = socket.gethostname()
        self.id = f"{self.host}-{os.getpid()}-{secrets.token_hex(3)}"
        self._process = psutil.Process()
        self._started = Timestamp()
        self._started.GetCurrentTime()

    def report(self) -> Worker:
        """Its report, without what it works on."""
        if not self._storage or not all(self._storage.values()):
            # Until they are found: later a file server that hangs must not hold up the report.
            self._storage = self._roots.marks()
        return Worker(
            id=self.id,
            host=self.host,
            pid=self._process.pid,
            version=release(),
            start_time=self._started,
            memory_bytes=self._process.memory_info().rss,
            storage_ids=self._storage,
        )
