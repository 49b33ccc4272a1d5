"""The signing of download links, for handlers that write mails."""

from collections.abc import AsyncIterator
from typing import Any

from base.resources import provides
from base.settings import Settings
from engine.links import DownloadLinks


@provides(DownloadLinks)
async def download_links(settings: Settings, store: Any) -> AsyncIterator[DownloadLinks]:  # noqa: ARG001  (a resource's signature)
    yield DownloadLinks(store)
