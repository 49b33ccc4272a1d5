"""`qjobs restore`."""

from pathlib import Path
from typing import Final

import click

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("manifest", type=FILE)
@click.option("--identity", type=FILE, help="The file with the private key of an encrypted backup.")
@click.option("--database-url", default="", help="The empty database that the dump is restored into.")
@click.option("--into", type=FILE, help="Where archives are unpacked, instead of where they came from.")
@click.option("--only", multiple=True, help="A target, such as uploads. May be repeated.")
@click.option("--force", is_flag=True, help="Replace what is there already.")
def restore(
    manifest: Path, identity: Path | None, database_url: str, into: Path | None, only: tuple[str, ...], force: bool
) -> None:
    """Restore the backup of MANIFEST, its manifest.json, once all of it is found to be as it was written."""
    from base.settings import load  # noqa: PLC0415  (so that help comes at once)
    from families.system.restore import Aim, Restore  # noqa: PLC0415  (the same)

    backup = Restore(manifest, Aim(load(), database_url, into, force), identity)
    for entry in backup.check(only):
        click.echo(f"{entry.target}: {backup.put_back(entry)}")


COMMANDS: Final = (restore,)
