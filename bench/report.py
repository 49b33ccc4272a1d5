"""What the rounds came to: medians, and ratios between systems that were measured in the same round."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Samples = Mapping[str, Sequence[float]]
"""By system and name, such as `own.drain_1`: one value for each round."""

SYSTEMS: Final = {
    "own": "this project",
    "bull": "Bull",
    "bullmq": "BullMQ",
    "echo": "bare gRPC",
    "uncounted": "without metrics",
    "fastcsv": "fast-csv",
    "jsonstream": "JSONStream",
    "exceljs": "exceljs",
    "sharp": "sharp",
    "nodemailer": "nodemailer",
}


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure of this project, and what it is held against."""

    label: str
    own: str
    other: str = ""
    """The figure of the other systems; empty if it has the same name."""
    unit: str = "/s"
    aim: str = ""
    digits: int = 0

    def figure(self, system: str) -> str:
        return self.own if system == "own" else f"{system}.{self.other or self.own.partition('.')[2]}"


ENGINE: Final = (
    Row("enqueue: unary, one at a time", "own.enqueue_1"),
    Row("enqueue: unary, 64 in flight", "own.enqueue_64", aim="0.6 of bare gRPC"),
    Row("enqueue: batches of 1,000, one at a time", "own.batch_1", aim="1.5 x BullMQ"),
    Row("enqueue: batches of 1,000, 4 in flight", "own.batch_4", aim="1.5 x BullMQ"),
    Row("enqueue: stream", "own.stream", "batch_1"),
    Row("enqueue: REST, one at a time", "own.rest_1", "enqueue_1"),
    Row("enqueue: REST, 64 in flight", "own.rest_64", "enqueue_64"),
    Row("drain: one worker process", "own.drain_1", aim="1.0 x Bull, better 1.5"),
    Row("— CPU of the worker a job", "own.drain_1_worker_us", unit="µs"),
    Row("— CPU of Valkey a job", "own.drain_1_server_us", unit="µs"),
    Row("drain: two worker processes", "own.drain_2"),
    Row("— CPU of the workers a job", "own.drain_2_worker_us", unit="µs"),
    Row("enqueue to start, p50: in process", "own.start_p50", unit="ms", digits=2, aim="below BullMQ"),
    Row("enqueue to start, p99: in process", "own.start_p99", unit="ms", digits=2),
    Row("enqueue to start, p50: over gRPC", "grpc.start_p50", unit="ms", digits=2, aim="below BullMQ"),
    Row("enqueue to start, p99: over gRPC", "grpc.start_p99", unit="ms", digits=2),
    Row("1,000 watchers: events delivered", "own.watch_rate"),
    Row("— from the telling to the watcher, p50", "own.watch_p50", unit="ms", digits=1),
    Row("— from the telling to the watcher, p99", "own.watch_p99", unit="ms", digits=1),
    Row("— CPU of the service an event", "own.watch_us", unit="µs"),
    Row("— CPU of the service", "own.watch_cores", unit="cores", digits=2),
    Row("one watcher, another type drains: CPU of the service", "own.bystander_cores", unit="cores", digits=2),
    Row("— that drain", "own.bystander_drain", "drain_1"),
    Row("metrics: drain, one worker process", "own.metrics_drain"),
    Row("— CPU of the worker a job", "own.metrics_drain_us", unit="µs", digits=1),
    Row("— CPU of the worker a page for Prometheus", "own.metrics_worker_scrape", unit="ms", digits=1),
    Row("metrics: enqueue, unary, 64 in flight", "own.metrics_enqueue"),
    Row("— CPU of the service a call", "own.metrics_enqueue_us", unit="µs"),
    Row("— CPU of the service a page for Prometheus", "own.metrics_service_scrape", unit="ms", digits=1),
    Row("a million jobs, in over gRPC and drained", "own.million_rate"),
    Row("— service, at the end", "own.million_service_mb", unit="MB"),
    Row("— worker, at the end", "own.million_worker_mb", unit="MB"),
    Row("— Valkey, at the end", "own.million_valkey_mb", unit="MB"),
    Row("— service, from job 200,000 on", "own.million_service_growth", unit="x", digits=2, aim="flat"),
    Row("— worker, from job 200,000 on", "own.million_worker_growth", unit="x", digits=2, aim="flat"),
    Row("— Valkey, from job 200,000 on", "own.million_valkey_growth", unit="x", digits=2, aim="flat"),
)

EXPORTS: Final = (
    Row("200,000 rows to CSV", "own.csv_rate", aim="2 x fast-csv"),
    Row("— CPU", "own.csv_cpu", unit="s", digits=1),
    Row("— peak memory", "own.csv_mb", unit="MB"),
    Row("200,000 rows to JSON", "own.json_rate", aim="3 x JSONStream"),
    Row("— CPU", "own.json_cpu", unit="s", digits=1),
    Row("— peak memory", "own.json_mb", unit="MB"),
    Row("200,000 rows to XLSX", "own.xlsx_rate", aim="near exceljs"),
    Row("— CPU", "own.xlsx_cpu", unit="s", digits=1),
    Row("— peak memory", "own.xlsx_mb", unit="MB"),
    Row("a million rows to CSV: peak memory by that of 200,000", "own.csv_growth", unit="x", digits=2, aim="flat"),
    Row("a million rows to JSON: peak memory by that of 200,000", "own.json_growth", unit="x", digits=2, aim="flat"),
    Row("a million rows to XLSX: peak memory by that of 200,000", "own.xlsx_growth", unit="x", digits=2, aim="flat"),
)
IMAGES: Final = (
    Row("12-megapixel JPEG to all outputs", "own.image_seconds", unit="s", aim="1.0 x sharp", digits=2),
    Row("— CPU", "own.image_cpu", unit="s", digits=2),
    Row("— peak memory", "own.image_megabytes", unit="MB", aim="a third of sharp's"),
)
MAILS: Final = (
    Row("2,000 templated mails", "own.mails_rate", aim="2 x nodemailer"),
    Row("— CPU a mail", "own.mails_cpu", unit="µs"),
    Row("— peak memory", "own.mails_mb", unit="MB"),
)


def tables(samples: Samples) -> Iterator[str]:
    """Markdown, a table for each subject that was measured."""
    for rows in (ENGINE, EXPORTS, IMAGES, MAILS):
        if any(row.own in samples for row in rows):
            yield _table(rows, samples)


def _table(rows: Sequence[Row], samples: Samples) -> str:
    """A ratio is this project's figure by the other's."""
    others = [system for system in SYSTEMS if system != "own" and any(row.figure(system) in samples for row in rows)]
    head = [
        "",
        *(SYSTEMS[system] for system in ("own", *others)),
        *(f"÷ {SYSTEMS[system]}" for system in others),
        "aim",
    ]
    lines = [head, ["---"] + ["--:"] * (2 * len(others) + 1) + ["---"]]
    lines += [list(_cells(row, others, samples)) for row in rows if row.own in samples]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cells(row: Row, others: Sequence[str], samples: Samples) -> Iterator[str]:
    yield row.label
    for system in ("own", *others):
        values = samples.get(row.figure(system), ())
        yield f"{statistics.median(values):,.{row.digits}f} {row.unit}" if values else ""
    for system in others:
        values = samples.get(row.figure(system), ())
        yield f"{ratio(samples[row.own], values):.2f}" if values else ""
    yield row.aim


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios within each round, in which the machine was the same for both."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
