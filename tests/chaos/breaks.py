"""`python -m tests.chaos.breaks`: breaks a promise in a copy of the project for each kind of fault, and shows what catches it.

A break is a line of the project that is replaced. The copy runs under the kind of fault that tests the promise, and no other.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.settings import PROJECT


@dataclass(frozen=True)
class Break:
    """One promise broken."""

    fault: str
    what: str
    file: str
    old: str
    new: str
    options: tuple[str, ...] = ("--store", "one")


_NOT_FENCED = (
    "engine/lua/include/loss.lua",
    "record[WORKER] == worker and record[STARTS] == starts then",
    "record[STATE] == 'a' then return '' end\n  if record then",
)
_ACKNOWLEDGED = (
    "engine/intake.py",
    "                return [error] * len(jobs)\n        except StoreFullError",
    "                return [Enqueued(job.id, None, 0) for job in jobs]\n        except StoreFullError",
)
_NOT_REPEATABLE = ("engine/lua/include/requests.lua", "if not entry or", "if true or not entry or")
_NO_PATIENCE = ("engine/connecting.py", '"socket_timeout": 5,', '"socket_timeout": None,')
_SCRIPTS_LOST = ("engine/store.py", "except redis_errors.NoScriptError:", "except ZeroDivisionError:")

BREAKS = (
    Break(
        "kill worker",
        "jobs whose lease ran out are not put back",
        "engine/lua/reap.lua",
        "      record[READY] = now\n      enter_wait(id, record)",
        "      record[READY] = now",
    ),
    Break(
        "kill service",
        "jobs are acknowledged half a second before they are stored",
        "engine/intake.py",
        "        parcel = self._of(job.queue).add(job)\n        await parcel.answered\n",
        "        asyncio.get_running_loop().call_later(0.5, self._of(job.queue).add, job)\n"
        "        return Enqueued(job.id, None, 0)\n",
    ),
    Break(
        "kill scheduler",
        "a slot is noted before its job is enqueued",
        "engine/firing.py",
        "            # Another scheduler may",
        '            await self._store.run("schedule_fired", SCOPE, record.name, milliseconds(slot), job_id, "0")\n'
        "            await asyncio.sleep(2)\n"
        "            # Another scheduler may",
    ),
    Break(
        "kill store",
        "the store writes nothing to its disk",
        "tests/chaos/stores.py",
        '_ALWAYS = ("--appendfsync", "always",',
        '_ALWAYS = ("--appendonly", "no",',
    ),
    Break("stop worker", "reports of starts that are over are taken", *_NOT_FENCED),
    Break(
        "stop worker",
        "a worker does not hear that a job is no longer its own",
        "workers/pump.py",
        "        job = self.running.get(job_id)\n        if job is not None and job.claimed.fence == fence and not job.ended:",
        "        job = self.running.get(job_id)\n        if job is None:",
    ),
    Break("stop service", "a request under an id is carried out each time", *_NOT_REPEATABLE),
    Break(
        "stop scheduler",
        "a slot's job has another id each time",
        "engine/firing.py",
        'job_id = f"{RESERVED_PREFIX}{record.name}-{slot:%Y%m%dT%H%M%SZ}"\n        attributes',
        'job_id = f"{RESERVED_PREFIX}{record.name}-{slot:%Y%m%dT%H%M%S}.{time.monotonic_ns()}Z"\n        attributes',
    ),
    Break(
        "stop store",
        "what could not be settled is forgotten",
        "workers/pump.py",
        "            self._ended[:0] = ended\n",
        "",
    ),
    Break("cut", "a request under an id is carried out each time", *_NOT_REPEATABLE),
    Break(
        "cut service from store",
        "a lost connection is an error of the service's own",
        "engine/store.py",
        "    redis_errors.ConnectionError,\n",
        "",
    ),
    Break("half-open", "who waits for the store waits for good", *_NO_PATIENCE),
    Break("delay", "reports of starts that are over are taken", *_NOT_FENCED),
    Break(
        "black hole",
        "clients do not ask whether a silent connection lives",
        "client/connection.py",
        "KEEPALIVE_MS = 20_000",
        "KEEPALIVE_MS = 20_000_000",
    ),
    Break("restart store", "scripts that a restarted store does not know are not sent again", *_SCRIPTS_LOST),
    Break(
        "slow store",
        "counts are those of a moment ago",
        "service/servicers/queues.py",
        "        return GetQueueStatsResponse(stats=await self._stats(request.queue_name))",
        '        kept: dict[str, QueueStats] = self.__dict__.setdefault("kept", {})\n'
        "        told = kept.get(request.queue_name)\n"
        "        kept[request.queue_name] = await self._stats(request.queue_name)\n"
        "        return GetQueueStatsResponse(stats=told or kept[request.queue_name])",
    ),
    Break(
        "full store",
        "jobs that a full store refuses are acknowledged",
        "engine/intake.py",
        "        except StoreFullError as error:\n            return [error] * len(jobs)",
        "        except StoreFullError:\n            return [Enqueued(job.id, None, 0) for job in jobs]",
    ),
    Break(
        "unable store",
        "a store without its replicas is an error of the service's own",
        "engine/store.py",
        "MISCONF|NOREPLICAS|",
        "MISCONF|",
    ),
    Break(
        "read-only store",
        "a store that only reads is an error of the service's own",
        "engine/store.py",
        "    redis_errors.ReadOnlyError,\n",
        "",
    ),
    Break("full disk", "jobs that a store does not take are acknowledged", *_ACKNOWLEDGED),
    Break("partition", "reports of starts that are over are taken", *_NOT_FENCED),
    Break(
        "fail over",
        "the Sentinel is not asked who is the primary",
        "tests/chaos/stores.py",
        '        return f"redis+sentinel://{LOOPBACK}:{self._port}/mymaster/0"',
        "        return self.servers[0].url",
        ("--store", "sentinel"),
    ),
    Break(
        "kill worker",
        "delays are counted by the service's clock, which is behind",
        "contract/admission.py",
        '"run_at": _milliseconds(options.run_at) if options.HasField("run_at") else 0,',
        '"run_at": int(__import__("time").time() * 1000 + options.delay) if options.delay else 0,',
        ("--store", "one", "--ahead", "-2"),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.breaks", description=__doc__)
    parser.add_argument("--only", default="", help="the beginning of a kind of fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=45.0)
    told = parser.parse_args()
    missed = 0
    for each in BREAKS:
        if each.fault.startswith(told.only):
            caught = _caught(each, told.seed, told.seconds)
            missed += not caught
            print(f"{each.fault}: {each.what}: {'; '.join(caught) or 'NOT CAUGHT'}", flush=True)
    return int(bool(missed))


def _caught(each: Break, seed: int, seconds: float) -> list[str]:
    """What the checker found."""
    copy = Path(tempfile.mkdtemp(prefix="qjobs-broken-"))
    try:
        _copy_to(copy)
        file = copy / each.file
        text = file.read_text("utf-8")
        assert text.count(each.old) == 1, f"{each.file} has {text.count(each.old)} of {each.old!r}"
        file.write_text(text.replace(each.old, each.new), "utf-8")
        return _found(copy, each, seed, seconds)
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _copy_to(copy: Path) -> None:
    names = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        if (PROJECT / name).is_file() and not name.startswith("dashboard/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, copy / name)


def _found(copy: Path, each: Break, seed: int, seconds: float) -> list[str]:
    command = [
        *(sys.executable, "-m", "tests.chaos", "--faults", each.fault, "--seed", str(seed)),
        *("--minutes", str(seconds / 60), "--part-seconds", str(seconds), "--settle", "30", *each.options),
    ]
    paths = ":".join(str(copy / folder) for folder in (".", "gen", "tests/plugin"))
    done = subprocess.run(
        command, cwd=copy, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    results = copy / "build" / "chaos" / "results.jsonl"
    assert results.exists(), done.stdout + done.stderr
    result: dict[str, Any] = json.loads(results.read_text().splitlines()[-1])
    broken = [f"{name.replace('_', ' ')} ({count})" for name, count in result["broken"].items()]
    return broken + result["errors"]


if __name__ == "__main__":
    sys.exit(main())
