"""A batch whose worker process is killed: every mail goes out, and only what was under way goes out twice."""

import signal
from collections import Counter
from pathlib import Path

from qcollector.jobs.v1.email_pb2 import EmailBatch, EmailBatchOptions, EmailBatchResult

from base.settings import Settings
from contract.catalog import Catalog
from engine.jobs import State
from engine.store import Store
from tests.conftest import eventually
from tests.desk import desk_of
from tests.mail.mailserver import MailServer
from tests.workers.conftest import LEASE, workers_for

MAILS, AT_ONCE = 60, 5


async def test_a_batch_whose_worker_is_killed_is_completed_by_another(
    mail_settings: Settings, server: MailServer, store: Store, catalog: Catalog, tmp_path: Path
) -> None:
    desk = desk_of(mail_settings.model_copy(update={"queue_lease_seconds": LEASE}), store, catalog)
    payload = EmailBatch(options=EmailBatchOptions(batch_size=AT_ONCE, delay=50))
    for number in range(MAILS):
        payload.emails.add(to=[f"r{number}@example.com"], subject=f"mail {number}", text="t")
    told = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": server.port, "EMAIL_FROM": "forms@example.com"}
    with workers_for(desk.settings, tmp_path, "email:batch", **told) as new_worker:
        first = new_worker()
        job_id = await desk.enqueue(payload)
        await eventually(lambda: len(server.taken) >= 3 * AT_ONCE, every=0.001, what="some mails are sent")
        first.signal(signal.SIGKILL)
        first.process.wait(10)
        assert len(server.taken) < MAILS
        new_worker()
        record = await desk.end(job_id)
    assert (record.state, record.starts) == (State.COMPLETED, 2), record.failed_reason
    result = EmailBatchResult.FromString(record.result)
    assert (result.total, result.successful, result.failed) == (MAILS, MAILS, 0)
    sent = Counter(server.subjects)
    assert set(sent) == {f"mail {number}" for number in range(MAILS)}
    assert sum(sent.values()) - MAILS <= AT_ONCE
    ids = {(str(taken.message["Subject"]), taken.message["Message-ID"]) for taken in server.taken}
    assert len(ids) == MAILS, "who gets a mail twice sees by its id that it is the same"
