"""The latest result about a subject, kept beyond the job that found it, so that it can be read without a new job."""

from typing import Final

from engine.store import Store

MAX_KEPT: Final = 2000
"""Subjects of one scope. Of more, those whose results are oldest are let go."""


class KeptResults:
    """Results of one kind, each under its subject."""

    def __init__(self, store: Store, kind: str, limit: int = MAX_KEPT) -> None:
        self._store = store
        self._scope = f"kept.{kind}"
        self._limit = limit

    async def keep(self, subject: str, result: bytes) -> None:
        """Keeps the result in place of an earlier one about that subject.

        Raises:
          StoreUnavailableError, StoreFullError: it could not be kept.
        """
        await self._store.run("keep_result", self._scope, subject, result, self._limit)

    async def get(self, subject: str) -> bytes | None:
        """The latest result about the subject; None where none is kept.

        Raises:
          StoreUnavailableError: nobody can say.
        """
        result: bytes | None = await self._store.run("kept_result", self._scope, subject)
        return result

    async def drop(self, age_ms: int = 0) -> list[str]:
        """Lets go of the results that are at least so old; answers their subjects.

        Raises:
          StoreUnavailableError: the store is away.
        """
        dropped: list[str] = []
        while some := await self._store.run("drop_results", self._scope, age_ms):
            dropped += [subject.decode() for subject in some]
        return dropped
