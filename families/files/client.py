"""The client's call for images. Imports the client and generated code alone: it is packaged without the family."""

from typing import Final, Unpack

from qcollector.jobs.v1.file_pb2 import FileImageOptions, FileImageProcess
from qcollector.jobs.v1.processor_service_pb2 import DESCRIPTOR

from client.calls import Calls, Options
from client.handle import JobHandle

_TASKS: Final = DESCRIPTOR.services_by_name["ProcessorService"].methods_by_name


class FileCalls(Calls):
    """What is done to uploaded files."""

    async def process_image_upload(
        self, file_path: str, output_dir: str = "", image: FileImageOptions | None = None, **options: Unpack[Options]
    ) -> JobHandle:
        """Makes thumbnails, an optimised copy and a WebP of an image within the service's storage roots."""
        payload = FileImageProcess(file_path=file_path, output_dir=output_dir, options=image)
        return await self.task(_TASKS["ProcessImageUpload"], payload, options)
