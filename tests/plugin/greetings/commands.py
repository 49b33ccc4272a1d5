"""`qjobs greet`."""

from typing import Final

import click


@click.command()
@click.argument("name")
def greet(name: str) -> None:
    """Greet NAME at once."""
    click.echo(f"Hello {name}")


COMMANDS: Final = (greet,)
