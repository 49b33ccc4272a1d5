"""The settings of work on files: images, scans, cleanup."""

from pydantic import Field

from base.settings import Concurrency, Port
from families.database.settings import DatabaseSettings


class FileSettings(DatabaseSettings):
    """How files are worked on, and what cleanup may delete."""

    file_concurrency: Concurrency = 2
    image_quality: int = Field(85, ge=1, le=100)
    webp_quality: int = Field(80, ge=1, le=100)
    image_max_pixels: int = Field(100_000_000, ge=1, le=1_000_000_000)
    """Width times height, times frames, beyond which an image is refused before it is decoded."""
    clamav_host: str | None = None
    """With it, files are scanned before they are processed."""
    clamav_port: Port = 3310
    clamav_max_bytes: int = Field(25_000_000, ge=1)
    """Files beyond it count as not scanned: clamd itself calls clean what is larger than its MaxFileSize."""
    cleanup_delete: bool = False
    """On a DATABASE_URL of the user's own: orphaned_files and old_sessions delete instead of only reporting."""


SETTINGS = FileSettings
