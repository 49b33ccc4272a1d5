"""The JSON Schema of a job type's `data`, for forms and for checks before a call.

It describes the documented spelling: names in camelCase, enum words in lower case. What decoding takes beyond that (names
in snake_case, null for an unset field) is left out; what it refuses, the schema refuses, as far as JSON Schema can say it.
"""

from typing import Any, Final

from engine.declarations import JobType
from engine.fields import descriptor_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_DIGITS: Final = r"^-?[0-9]{1,20}$"
_DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
_DURATION: Final = r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"
_WELL_KNOWN: Final[dict[str, Schema]] = {
    "google.protobuf.Timestamp": {
        "type": "string",
        "anyOf": [{"format": "date", "pattern": _DATE}, {"format": "date-time", "pattern": _TIME}],
    },
    "google.protobuf.Duration": {"type": "string", "pattern": _DURATION},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Value": {},
}
_FORMATS: Final = {
    "email": "email",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uri": "uri",
    "uuid": "uuid",
}
_NUMBER_RULES: Final = {"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum"}


def json_schema(job_type: JobType) -> Schema:
    """The schema (draft 2020-12) of `data` for this type; each nested message is one of its `$defs`."""
    payload = descriptor_of(job_type.payload)
    definitions: dict[str, Schema] = {}
    schema = _object(payload, definitions)
    _define_below(payload, definitions)
    return {
        "$schema": DIALECT,
        "title": job_type.description,
        **schema,
        **({"$defs": definitions} if definitions else {}),
    }
