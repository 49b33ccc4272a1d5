"""The names of all keys in the store. Those of one queue share a hash tag, so that a cluster keeps them together."""

from contract.ids import SHARD


class Keys:
    """Key names of one scope: a queue, or one of the service's own ("workers", "limits")."""

    def __init__(self, prefix: str, scope: str) -> None:
        self._stem = f"{prefix}:{{{scope}/{SHARD}}}:"
        self._known: dict[tuple[str, ...], list[str]] = {}

    def __getitem__(self, name: str) -> str:
        return self._stem + name

    def of(self, names: tuple[str, ...]) -> list[str]:
        """The full names, in order."""
        found = self._known.get(names)
        if found is None:
            found = self._known[names] = [self._stem + name for name in names]
        return found
