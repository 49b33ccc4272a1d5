"""What a broken rule says to a caller: the rule and the remedy, in words rather than in regular expressions."""

from typing import Final

from protovalidate import Violation

_ADDRESS: Final = "is not an e-mail address; write name@example.com or Name <name@example.com>"

_PATTERNS: Final = {
    r"^([^<>\r\n\x00]{0,128}<)?[^<>@\s,;:\x00]+@[^<>@\s,;:\x00]+>?$": _ADDRESS,
    r"^(([^<>\r\n\x00]{0,128}<)?[^<>@\s,;:\x00]+@[^<>@\s,;:\x00]+>?)?$": _ADDRESS,
    r"^[^<>@\s,;:\x00]+@[^<>@\s,;:\x00]+$": "is not an e-mail address; write name@example.com",
    r"^[^\r\n\x00]*$": "must be one line; remove line breaks and NUL characters",
    r"^[^\r\n\x00/\\]*$": "must be a file's name alone; remove slashes, backslashes and line breaks",
    r"^[A-Za-z][A-Za-z0-9-]*$": "must begin with a letter and hold letters, digits and - alone",
    r"^([a-z0-9][a-z0-9_-]*)?$": "must be a template's name: lower-case letters, digits, - and _",
    r"^(https://|mailto:)[^\s<>\x00]+$": "must be a link that begins with https:// or mailto: and holds no space",
    r"^([A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+)?$": "must be a MIME type such as image/png",
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$": "must begin with a letter or digit and hold letters, digits, _ and - alone",
    r"^[A-Za-z0-9._@-]*$": "must hold letters, digits and . _ @ - alone",
    r'^(https?://[^\s<>"\x00]+)?$': "must be a link that begins with http:// or https:// and holds no space",
    r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$": "must begin with a letter or digit and hold letters, digits and . _ - alone",
    r'^[^\r\n"]?$': "must be one character, and neither a quote nor a line break",
    r"^[^\r\n,;\t]?$": "must be one character, and neither a comma, a semicolon, a tab nor a line break",
    r"^[^\[\]:*?/\\]+$": "must hold none of the characters [ ] : * ? / and backslash, which Excel forbids",
    r"^([0-9]{1,20}-[0-9]{1,20}-[0-9]{1,10})?$": "must be the sequence of an event, as a watcher got it",
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$": (
        "must hold lower-case letters, digits and hyphens alone, with no hyphen at either end; write for example nightly-report"
    ),
    r"^[^/\x00]*$": "must be a pattern of file names, without slashes",
    r"^([A-Za-z0-9][A-Za-z0-9_-]*)?$": "must begin with a letter or digit and hold letters, digits and _ - alone",
}
"""The contract's patterns in words. One that is not here is shown as it is."""


_RULES: Final = {
    "required": "is required; set it",
    "string.min_len": "must have at least {limit} characters; write more",
    "string.max_len": "must have at most {limit} characters; shorten it",
    "bytes.max_len": "must have at most {limit} bytes; shorten it",
    "repeated.min_items": "must hold at least {limit}; add some",
    "repeated.max_items": "must hold at most {limit}; split it",
    "map.max_pairs": "must hold at most {limit} names; remove some",
}
"""Better words than protovalidate's own for the rules that callers meet most."""


def words_of_pattern(pattern: str) -> str:
    return _PATTERNS.get(pattern, f"must match the regular expression {pattern}")


def in_words(violation: Violation) -> str:
    """The description of one violation; never the value itself, which may be a secret."""
    rule, limit = violation.proto.rule_id, violation.rule_value
    if rule == "string.pattern":
        words = words_of_pattern(limit)
    elif rule == "string.min_len" and limit == 1:
        words = "must not be empty; set it"
    elif rule.endswith(".in"):
        words = f"must be one of {', '.join(str(choice) for choice in limit if choice != '')}"
    elif rule in _RULES:
        words = _RULES[rule].format(limit=limit)
    else:
        words = violation.proto.message
    return f"the name {words}" if violation.proto.for_key else words
