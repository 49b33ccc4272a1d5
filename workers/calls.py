"""The one way in which handlers are called: under the eyes of taskiq's middlewares, with what they depend on."""

import time
from collections.abc import Sequence
from typing import Any

import anyio
from google.protobuf.message import Message
from taskiq import TaskiqMessage, TaskiqMiddleware, TaskiqResult
from taskiq.utils import maybe_awaitable

from contract.catalog import JobType
from workers.broker import JobBroker, message_of
from workers.cleanup_scope import CLEANUP_SECONDS, protect
from workers.dependencies import BoundHandler, bind
from workers.running import RunningJob


class Calls:
    """Calls a broker's handlers.

    Of a middleware's hooks these are called: pre_execute, on_error, post_execute. post_save is not: it is the engine that keeps
    results, not a result backend of taskiq's.
    """

    def __init__(self, broker: JobBroker) -> None:
        """Raises CatalogError where a handler needs what nothing gives it."""
        self._handlers = bind({key: task.original_func for key, task in broker.get_all_tasks().items()}, broker)
        self._before = _with_hook(broker, "pre_execute")
        self._failed = _with_hook(broker, "on_error")[::-1]
        self._after = _with_hook(broker, "post_execute")[::-1]
        self._watched = bool(self._before or self._failed or self._after)

    async def answer(self, job_type: JobType, payload: Message, job: RunningJob) -> Any:
        """What the handler answers. Raises what the handler, a dependency or a middleware raises."""
        handler = self._handlers[job_type.key]
        if not (self._watched or handler.each):
            return await handler.call(payload, job)  # nobody would read a message or a result
        with anyio.CancelScope() as scope:
            return await self._watch(handler, message_of(job.envelope, job_type, payload, job), scope)
        raise TimeoutError(f"clean-up and middlewares took longer than {CLEANUP_SECONDS:g} s after the handler")

    async def _watch(self, handler: BoundHandler, message: TaskiqMessage, scope: anyio.CancelScope) -> Any:
        for middleware in self._before:
            message = await maybe_awaitable(middleware.pre_execute(message))
        began = time.monotonic()
        try:
            answer = await handler.answer(message, scope)
        except BaseException as error:
            protect(scope)
            await self._tell(message, None, error, time.monotonic() - began)
            raise
        protect(scope)
        await self._tell(message, answer, None, time.monotonic() - began)
        return answer

    async def _tell(self, message: TaskiqMessage, answer: Any, error: BaseException | None, seconds: float) -> None:
        """As taskiq does: those that hear of errors first, and the last middleware before the others."""
        if not (self._after or (error and self._failed)):
            return
        result: TaskiqResult[Any] = TaskiqResult(
            is_err=error is not None,
            return_value=answer,
            error=error,
            execution_time=round(seconds, 2),
            labels=message.labels,
        )
        if error is not None:
            for middleware in self._failed:
                await maybe_awaitable(middleware.on_error(message, result, error))
        for middleware in self._after:
            await maybe_awaitable(middleware.post_execute(message, result))


def _with_hook(broker: JobBroker, hook: str) -> Sequence[TaskiqMiddleware]:
    return [each for each in broker.middlewares if getattr(type(each), hook) is not getattr(TaskiqMiddleware, hook)]
