"""What happens while somebody looks at the board: jobs made and asked after over REST."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stack.ports import LOOPBACK
from tests.conftest import until


@dataclass(frozen=True)
class Backstage:
    """A caller with a token."""

    port: int
    token: str

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call under /api/v1, which must succeed."""
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{self.port}/api/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self.token}", "content-type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(error.read().decode()) from None

    def enqueue(self, job_type: str, data: Mapping[str, Any], queue: str = "test:work", **options: Any) -> str:
        body = {"queueName": queue, "jobType": job_type, "data": data, "options": options}
        return str(self.call("POST", "queue/jobs", body)["jobId"])

    def script(self, *steps: Mapping[str, Any], **options: Any) -> str:
        """A job of the tests that does what its steps say."""
        return self.enqueue("script", {"steps": list(steps)}, **options)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Jobs complete all the time."""
        over = threading.Event()

        def enqueue() -> None:
            while not over.wait(0.1):
                self.enqueue("noop", {})

        worker = threading.Thread(target=enqueue)
        worker.start()
        try:
            yield
        finally:
            over.set()
            worker.join()

    def job(self, job_id: str, queue: str = "test:work") -> Any:
        return self.call("GET", f"queue/{queue}/jobs/{job_id}")["data"]

    def until(self, job_id: str, states: Sequence[str], queue: str = "test:work") -> Any:
        """The job, once it is in one of these states."""

        def arrived() -> Any:
            job = self.job(job_id, queue)
            return job if job["state"].removeprefix("JOB_STATE_") in states else None

        return until(arrived, every=0.05, what=lambda: f"{' or '.join(states)}: {self.job(job_id, queue)}")
