"""What scripts read: messages as the contract's JSON, and lists of any length written item by item in the same memory."""

import base64
import json
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from cli.output.text import harmless_json, is_harmful

_ANY: Final = AnyMessage.DESCRIPTOR.full_name

Json = dict[str, Any]


def as_json(message: Message) -> Json:
    """The message as JSON has it. What another package declares, and is not loaded here, shows as base64."""
    try:
        return _printed(message)
    except TypeError:  # google.protobuf's word for an Any whose type it does not know
        known = type(message)()
        known.CopyFrom(message)
        unknown = _take_unknown(known)
        answer = _printed(known)
        for path, packed in unknown:
            _put(answer, path, {"@type": packed.type_url, "value": base64.b64encode(packed.value).decode()})
        return answer


def moment(stamp: Timestamp) -> datetime | None:
    """The moment, where the field is set."""
    return stamp.ToDatetime(UTC) if stamp.seconds or stamp.nanos else None


def _printed(message: Message) -> Json:
    printed: Json = _plain(MessageToDict(message, always_print_fields_with_no_presence=True))
    return printed


def _plain(value: Any) -> Any:
    """Plain dicts, and whole numbers without a fraction, as the gateway prints them."""
    if isinstance(value, dict):
        return {name: _plain(below) for name, below in value.items()}
    if isinstance(value, list):
        return [_plain(below) for below in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _take_unknown(message: Message) -> list[tuple[tuple[str, ...], AnyMessage]]:
    """Clears every Any, below single fields, that cannot be printed; what it held, by its path."""
    taken: list[tuple[tuple[str, ...], AnyMessage]] = []
    for field, value in message.ListFields():
        if field.message_type is None or field.is_repeated:
            continue
        if field.message_type.full_name == _ANY:
            try:
                MessageToDict(value)
            except TypeError:
                packed = AnyMessage()
                packed.CopyFrom(value)
                message.ClearField(field.name)
                taken.append(((field.json_name,), packed))
        else:
            taken += [((field.json_name, *path), packed) for path, packed in _take_unknown(value)]
    return taken


def _put(answer: Json, path: tuple[str, ...], value: Json) -> None:
    for name in path[:-1]:
        answer = answer.setdefault(name, {})
    answer[path[-1]] = value


class Formatter(Protocol):
    """How things are written, singly or in a list."""

    def single(self, value: Json) -> str: ...
    def item(self, value: Json, *, first: bool) -> str: ...
    def end(self, *, empty: bool) -> str: ...


class _Json:
    """An indented value; a list is an array."""

    def single(self, value: Json) -> str:
        return harmless_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n"

    def item(self, value: Json, *, first: bool) -> str:
        text = harmless_json(json.dumps(value, indent=2, ensure_ascii=False)).replace("\n", "\n  ")
        return ("[\n  " if first else ",\n  ") + text

    def end(self, *, empty: bool) -> str:
        return "[]\n" if empty else "\n]\n"


class _JsonLines:
    """One line for each value."""

    def single(self, value: Json) -> str:
        return harmless_json(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) + "\n"

    def item(self, value: Json, *, first: bool) -> str:  # noqa: ARG002  (every line is the same)
        return self.single(value)

    def end(self, *, empty: bool) -> str:  # noqa: ARG002  (as above)
        return ""


class _Yaml:
    """A document; a list is a sequence."""

    def single(self, value: Json) -> str:
        return _yaml(value)

    def item(self, value: Json, *, first: bool) -> str:  # noqa: ARG002  (a sequence has no brackets)
        return _yaml([value])

    def end(self, *, empty: bool) -> str:
        return "[]\n" if empty else ""


_FORMATTERS: Final[dict[str, Formatter]] = {"json": _Json(), "jsonl": _JsonLines(), "yaml": _Yaml()}


def formatter(name: str) -> Formatter:
    return _FORMATTERS[name]


def _yaml(value: object) -> str:
    import yaml  # noqa: PLC0415  (for those who ask for it)

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
    if any(is_harmful(line) for line in text.splitlines()):
        # YAML can escape in quotes alone, and PyYAML quotes for this alone where it may write no letter beyond ASCII.
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=120)
    return text
