"""Servers that a stack brings along where no setting names one: Valkey, and those in the `SERVERS` of plugins."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qcollector.jobs.v1.job_pb2 import Caller

from base.plugins import constants
from base.settings import Settings
from stack.folder import DataFolder
from stack.part import Part


class ServerPart(Part):
    """A server as a part of a stack."""

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Where the other processes find it."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One such server of a plugin."""

    name: str
    """Its process and its log."""
    variable: str
    """The setting that names another one; where it is set, nothing is embedded."""
    start: Callable[[DataFolder, Path], ServerPart]
    """Makes the part, which writes its output to the file named."""
    foreign: Sequence[str] = ()
    """Further variables about another one, which must not be told of the embedded one."""
    before_services: bool = True
    """Whether the service waits for it; workers do in any case."""
    welcome: Callable[[Settings], Sequence[tuple[str, str]]] = lambda _: ()
    """What `qjobs up` says of it: a word, and a line."""
    developer: Caller | None = None
    """For whom a stack's own tokens for development are, by what is in the server."""

    def wanted(self, settings: Settings) -> bool:
        return getattr(settings, self.variable.lower()) is None


def embedded(settings: Settings) -> list[Embedded]:
    return [server for each in constants("servers", "SERVERS", settings.job_plugins) for server in each]
