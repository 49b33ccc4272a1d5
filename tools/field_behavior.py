"""Writes into proto/ which fields are REQUIRED (google.api.field_behavior), as the validation rules say it.

The rules are the one source; the annotation is what other tools and other languages' documentation read. OUTPUT_ONLY and
IMMUTABLE are written by hand. With --check, writes nothing and fails on drift.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "gen"))  # the options that the contract carries

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from openapi.rules import refuses_absence

PROTO = Path("proto")
REQUIRED = "(google.api.field_behavior) = REQUIRED"
IMPORT = 'import "google/api/field_behavior.proto";\n'
PRESENT = re.compile(
    r"\(google\.api\.field_behavior\) = REQUIRED(,\s*)?|\s*\[\(google\.api\.field_behavior\) = REQUIRED\]"
)
FIELD, MESSAGE, NESTED = 2, 4, 3
"""Numbers of fields in descriptors, of which the paths of source locations are made."""


def contract() -> FileDescriptorSet:
    built = subprocess.run(["buf", "build", str(PROTO), "-o", "-"], check=True, capture_output=True)
    return FileDescriptorSet.FromString(built.stdout)


def fields(message: DescriptorProto, path: tuple[int, ...]) -> Iterator[tuple[FieldDescriptorProto, tuple[int, ...]]]:
    for number, field in enumerate(message.field):
        yield field, (*path, FIELD, number)
    for number, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from fields(nested, (*path, NESTED, number))


def annotated(file: FileDescriptorProto, text: str) -> str:
    """The file's text with every field that must be set marked, and no other."""
    spans = {tuple(location.path): location.span for location in file.source_code_info.location}
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    edits = []
    for number, message in enumerate(file.message_type):
        for field, path in fields(message, (MESSAGE, number)):
            span = spans[path]
            begin = starts[span[0]] + span[1]
            end = starts[span[-2] if len(span) == 4 else span[0]] + span[-1]
            edits.append((begin, end, marked(text[begin:end], required=refuses_absence(field))))
    for begin, end, new in sorted(edits, reverse=True):
        text = text[:begin] + new + text[end:]
    if REQUIRED in text and IMPORT not in text:
        text = re.sub(r"^import ", f"{IMPORT}import ", text, count=1, flags=re.MULTILINE)
    return text


def marked(declaration: str, *, required: bool) -> str:
    if required == (REQUIRED in declaration):
        return declaration
    if not required:
        return PRESENT.sub("", declaration)
    opening = re.search(r"= \d+\s*\[", declaration)
    if opening:
        return f"{declaration[: opening.end()]}{REQUIRED}, {declaration[opening.end() :]}"
    return f"{declaration.rstrip(';')} [{REQUIRED}];"


def main() -> int:
    stale = []
    for file in contract().file:
        path = PROTO / file.name
        if not path.exists():
            continue
        text = path.read_text("utf-8")
        new = annotated(file, text)
        if new != text:
            stale.append(path)
            if "--check" not in sys.argv:
                path.write_text(new, "utf-8")
    if "--check" in sys.argv:
        for path in stale:
            print(f"field_behavior is out of step with the rules: {path}; run `make gen` and commit the result")
        return int(bool(stale))
    if stale:
        subprocess.run(["buf", "format", "-w", str(PROTO)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
