"""`qjobs download`."""

# ruff: noqa: PLC0415  (gRPC is imported once a command is carried out)

import click

from cli.command import Action, OperatorCommand
from cli.parameters import job_argument, one_job, queue_option


@click.command(cls=OperatorCommand)
@job_argument
@queue_option
@click.option("--to", default="", metavar="PATH", help="A folder, another name, or - for standard output.")
@click.option("-f", "--force", is_flag=True, help="Replace a file that is there.")
def download(words: tuple[str, ...], queue: str, to: str, force: bool) -> Action:
    """What a completed job made, as a file here, checked against its SHA-256."""
    from cli import downloads

    named = one_job(words, queue)
    return lambda session: downloads.download(session, named, to, force=force)
