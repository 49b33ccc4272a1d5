"""The signing of download links, for handlers that write mails."""

from collections.abc import AsyncIterator
from typing import Any

from base.settings import Settings
from engine.links import DownloadLinks
from workers.handlers import provides


@provides(DownloadLinks)
async def download_links(settings: Settings, store: Any) -> AsyncIterator[DownloadLinks]:  # noqa: ARG001  (a resource's signature)
    yield DownloadLinks(store)
