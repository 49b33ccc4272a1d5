"""Messages as the contract's JSON, the way the gateway prints them: numbers also when they are 0, names in camelCase."""

import base64
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

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
