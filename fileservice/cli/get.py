"""`fileservice get`: fetch files from a service."""

import sys
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import click

from fileservice.cli.output import printable
from fileservice.cli.parameters import AS_JSON
from fileservice.cli.progress import TerminalProgress, readable_size
from fileservice.cli.service import Outcomes, ServiceOptions, read_first_line, with_service
from fileservice.client import (
    Address,
    ClientError,
    Downloaded,
    Downloader,
    Refused,
    file_name_in,
    file_of_link,
    is_url,
)
from fileservice.names import BadName, FileName

_STANDARD_OUTPUT = Path("-")


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="URL|NAME...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, the directory to put the files into, or - for standard output."
    "  [default: .]",
)
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with the password of the links in its first line."
    "  [default: a terminal is asked for it]",
)
@click.option("--force", is_flag=True, help="Replace files that have another content.")
@AS_JSON
@with_service
def get(
    service: ServiceOptions,
    sources: tuple[str, ...],
    output: Path | None,
    password_file: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Fetch files by their URLs, the URLs of links, or their names.

    A file appears under its name when all of it has arrived and has the SHA-256 that the service
    says it has. If the command is interrupted, the same command goes on where it ended. To standard
    output, it is written while it arrives.
    """
    is_directory = output is None or output.is_dir()
    is_stream = output == _STANDARD_OUTPUT
    if not is_directory and len(sources) > 1:
        raise click.UsageError("--output must be a directory if there are several files.")
    if is_stream and as_json:
        raise click.UsageError("Standard output has the file, and has no place for --json.")
    place = _Place(output or Path(), is_directory, is_stream, force)
    password = read_first_line(password_file) if password_file else ""
    outcomes = Outcomes(as_json)
    for source in sources:
        with outcomes.each(source):
            try:
                downloaded = _get(service, source, place, password)
            except Refused as error:
                if password or not _can_ask_for_password(source, error):
                    raise
                asked = click.prompt(f"Password of {printable(source)}", hide_input=True, err=True)
                downloaded = _get(service, source, place, asked)
            _report(outcomes, source, downloaded, is_stream=is_stream)
    outcomes.end()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where files are written to."""

    output: Path
    is_directory: bool
    is_stream: bool
    force: bool


def _can_ask_for_password(source: str, error: Refused) -> bool:
    is_link = is_url(source) and bool(Address.parse(source).link_secret)
    is_terminal = sys.stdin is not None and sys.stdin.isatty()
    return is_link and error.status == HTTPStatus.UNAUTHORIZED and is_terminal


def _get(service: ServiceOptions, source: str, place: _Place, password: str) -> Downloaded:
    with service.connect(source if is_url(source) else None, password) as connected:
        if not is_url(source):
            url = connected.address.url("download", _name(source))
        elif connected.address.link_secret and not connected.address.name:
            url = file_of_link(connected.connection, source)
        else:
            url = source
        downloader = Downloader(connected.connection, connected.retry_seconds)
        if place.is_stream:
            if sys.stdout is None:
                raise ClientError("standard output is closed")
            with TerminalProgress(file_name_in(url)) as progress:
                return downloader.download_to(url, sys.stdout.buffer, progress)
        name = _name(file_name_in(url)) if place.is_directory else ""
        target = place.output / name
        with TerminalProgress(target.name) as progress:
            return downloader.download(url, target, progress, force=place.force)


def _name(text: str) -> FileName:
    """Return a name that is safe as that of a local file: the URL may be a stranger's."""
    try:
        return FileName.parse(text)
    except BadName as error:
        raise ClientError(f"{error}; name the file to write with --output") from None


def _report(outcomes: Outcomes, source: str, downloaded: Downloaded, *, is_stream: bool) -> None:
    state = "complete" if downloaded.is_new else "was there already"
    digest = f"SHA-256 {downloaded.sha256.hex()}"
    if not downloaded.verified:
        digest += ", which the service does not know"
    if not outcomes.as_json:
        size = readable_size(downloaded.size)
        click.echo(f"{downloaded.path.name}: {state}, {size}, {digest}", err=True)
    if is_stream:
        return
    described = {
        "file": source,
        "state": "fetched" if downloaded.is_new else "unchanged",
        "path": str(downloaded.path),
        "size": downloaded.size,
        "sha256": downloaded.sha256.hex(),
        "verified": downloaded.verified,
    }
    outcomes.report(described, str(downloaded.path))
