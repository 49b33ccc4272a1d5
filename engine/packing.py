"""The packed values that scripts and code exchange."""

from typing import Any

import msgpack

_packer = msgpack.Packer(use_bin_type=False, autoreset=True)


def pack(value: Any) -> bytes:
    """Text and bytes alike become MessagePack's older string type: the server's Lua knows no other."""
    packed: bytes = _packer.pack(value)
    return packed


def unpack(packed: bytes) -> Any:
    """What a script packed; its strings are text."""
    return msgpack.unpackb(packed, raw=False, unicode_errors="replace", strict_map_key=False)
