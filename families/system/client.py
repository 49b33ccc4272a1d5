"""The client's call for maintenance. Imports the client and generated code alone: it is packaged without the family."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Unpack

from qcollector.jobs.v1.processor_service_pb2 import DESCRIPTOR
from qcollector.jobs.v1.system_pb2 import SystemCleanup, SystemCleanupTask, SystemCleanupTaskType

from client.calls import Calls, Options
from client.handle import JobHandle
from client.payloads import enum_value, strict_message_of

_TASKS: Final = DESCRIPTOR.services_by_name["ProcessorService"].methods_by_name


class SystemCalls(Calls):
    """Maintenance."""

    async def trigger_system_cleanup(
        self, tasks: Iterable[SystemCleanupTask | Mapping[str, Any]], **options: Unpack[Options]
    ) -> JobHandle:
        """Cleans up: tasks as messages, or as mappings such as {"type": "temp_files", "max_age": 86400000}."""
        payload = SystemCleanup(tasks=[_cleanup_task(task, place) for place, task in enumerate(tasks)])
        return await self.task(_TASKS["TriggerSystemCleanup"], payload, options)


def _cleanup_task(task: SystemCleanupTask | Mapping[str, Any], place: int) -> SystemCleanupTask:
    if isinstance(task, SystemCleanupTask):
        return task
    path = f"tasks[{place}]"
    word = str(task.get("type", ""))
    kind = enum_value(SystemCleanupTaskType.items(), "SYSTEM_CLEANUP_TASK_TYPE_", word, f"{path}.type")
    return strict_message_of(SystemCleanupTask, {**task, "type": kind}, path)
