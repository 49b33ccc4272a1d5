"""Where templates are filled in: the project's own at once, others in a process that can be ended."""

import asyncio
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from base.settings import Settings
from families.email.rendering import Rendered, Surroundings, TemplateFaultError, render
from families.email.settings import EmailSettings
from families.email.template_files import OWN_FOLDER
from workers.child import memory_bound

OWN: Final = frozenset({"welcome", "form-submission", "password-reset", "export-ready"})
RENDER_SECONDS: Final = 15.0
"""The longest that filling in a template may take."""

_PROCESSES: Final = 2
_MEMORY: Final = 256 * 1024 * 1024
"""What filling in a template may take beyond what the process has already."""


class Templates:
    """The mail templates of one worker process."""

    def __init__(self, settings: Settings) -> None:
        mail = EmailSettings.of(settings)
        self._around = Surroundings(
            folder=mail.email_templates_dir.resolve(),
            locale=mail.email_locale,
            zone=mail.email_timezone,
            app_url=mail.app_url,
        )

    async def render(self, name: str, variables: Mapping[str, Any]) -> Rendered:
        """Fills in a template.

        The project's own are known to be short and quick. Anybody else's runs apart: one that eats memory or never ends
        takes down a child process, not the worker.

        Raises:
          TemplateFaultError: there is no such template, or it cannot be filled in.
        """
        if name in OWN and self._around.folder == OWN_FOLDER:
            return render(self._around, name, variables)
        try:
            async with asyncio.timeout(RENDER_SECONDS):
                return await to_process.run_sync(
                    _render_apart, self._around, name, dict(variables), cancellable=True, limiter=self._limiter
                )
        except TimeoutError:
            raise TemplateFaultError(f"the template {name!r} was not filled in within {RENDER_SECONDS:g} s") from None
        except (MemoryError, BrokenWorkerProcess):
            raise TemplateFaultError(
                f"the template {name!r} cannot be filled in: it needs too much memory, or nests its tags too deep"
            ) from None

    @cached_property
    def _limiter(self) -> CapacityLimiter:
        return CapacityLimiter(_PROCESSES)


def _render_apart(around: Surroundings, name: str, variables: dict[str, Any]) -> Rendered:
    with memory_bound(_MEMORY):
        return render(around, name, variables)
