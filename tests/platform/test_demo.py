"""A stack runs with a plugin's server, and `qjobs demo` runs its samples; with no family where this copy has none."""

import os
import subprocess
import sys
from pathlib import Path

from base.plugins import families
from base.settings import PROJECT, settings_class


def test_the_demonstration_runs_the_plugins_sample_on_a_stack_with_its_server(tmp_path: Path) -> None:
    known = {name.upper() for name in settings_class(("greetings",)).model_fields}
    told = {name: value for name, value in os.environ.items() if name not in known}
    path = os.pathsep.join(str(PROJECT / folder) for folder in ("tests/plugin", "gen"))
    done = subprocess.run(
        [sys.executable, "-m", "stack.cli", "demo"],
        env={**told, "JOB_PLUGINS": "greetings", "TMPDIR": str(tmp_path), "PYTHONPATH": path},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Greeting, by REST" in done.stdout
    assert ("Welcome mail" in done.stdout) == bool(families())
