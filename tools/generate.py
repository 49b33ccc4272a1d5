"""proto/ -> gen/ (code, the description of the REST API, and gRPC's service config), and the contracts of the tests' plugins.

With --check, writes nothing and fails on drift.
"""

import re
import subprocess
import sys
from pathlib import Path

from protovalidate import ViolationPb

BUILT = Path("build/gen")
# Each top-level package of the contract goes to the source root that owns it.
ROOTS = {
    "qcollector": Path("gen"),
    "testjobs": Path("tests/plugin"),
    "chaosjobs": Path("tests/plugin"),
    "greetings": Path("tests/plugin"),
}
VALIDATE = Path("gen/qcollector/_proto/validate.binpb")


def generated() -> dict[Path, bytes]:
    """Runs the generators; every wanted file by its place in the tree."""
    subprocess.run([sys.executable, "tools/proto_deps.py"], check=True)
    subprocess.run([sys.executable, "tools/field_behavior.py", *sys.argv[1:]], check=True)
    subprocess.run(["buf", "generate"], check=True)
    want = {VALIDATE: ViolationPb.desc().file.proto.to_binary()}
    for path in _generated_in(BUILT):
        text = path.read_text("utf-8")
        if "_pb2_grpc" in path.name and "class " not in text:
            continue  # a file without a service
        relative = path.relative_to(BUILT)
        text = re.sub(r"^from buf\.validate import", "from qcollector._proto import", text, flags=re.MULTILINE)
        want[ROOTS[relative.parts[0]] / relative] = text.encode()
    for path in list(want):
        for folder in path.parents:
            if folder in ROOTS.values():
                break
            marker = folder / "__init__.py"
            want.setdefault(marker, marker.read_bytes() if marker.exists() else b"")
    return want


def _generated_in(folder: Path) -> list[Path]:
    return [*folder.rglob("*_pb2*.py*"), *folder.rglob("openapi.json"), *folder.rglob("service_config.json")]


def main() -> int:
    want = generated()
    have = {p for root in ROOTS.values() for p in _generated_in(root)}
    have = {p for p in have if p.parent.name != "_proto" and "__pycache__" not in p.parts}
    stale = sorted(have - want.keys())
    changed = sorted(p for p, content in want.items() if not p.exists() or p.read_bytes() != content)
    if "--check" in sys.argv:
        for path in changed + stale:
            print(f"out of step with the contract: {path}; run `make gen` and commit the result")
        return int(bool(changed or stale))
    for path in stale:
        path.unlink()
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(want[path])
    return 0


sys.exit(main())
