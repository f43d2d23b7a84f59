"""`fileservice get`: fetch files from a service."""

from pathlib import Path

import click

from fileservice.cli.parameters import AS_JSON
from fileservice.cli.progress import TerminalProgress, readable_size
from fileservice.cli.service import Outcomes, ServiceOptions, with_service
from fileservice.client import (
    ClientError,
    Downloaded,
    Downloader,
    file_name_in,
    file_of_link,
    is_url,
)
from fileservice.names import BadName, FileName


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="URL|NAME...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, or the directory to put the files into.  [default: .]",
)
@click.option("--force", is_flag=True, help="Replace files that have another content.")
@AS_JSON
@with_service
def get(
    service: ServiceOptions,
    sources: tuple[str, ...],
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Fetch files by their URLs, the URLs of links, or their names.

    A file appears under its name when all of it has arrived and has the SHA-256 that the service
    says it has. If the command is interrupted, the same command goes on where it ended.
    """
    is_directory = output is None or output.is_dir()
    if not is_directory and len(sources) > 1:
        raise click.UsageError("--output must be a directory if there are several files.")
    outcomes = Outcomes(as_json)
    for source in sources:
        with outcomes.each(source):
            _get(service, source, output or Path(), is_directory, force, outcomes)
    outcomes.end()


def _get(
    service: ServiceOptions,
    source: str,
    output: Path,
    is_directory: bool,
    force: bool,
    outcomes: Outcomes,
) -> None:
    with service.connect(source if is_url(source) else None) as connected:
        if not is_url(source):
            url = connected.address.url("download", _name(source))
        elif connected.address.link_secret and not connected.address.name:
            url = file_of_link(connected.connection, source)
        else:
            url = source
        target = output / _name(file_name_in(url)) if is_directory else output
        with TerminalProgress(target.name) as progress:
            downloader = Downloader(connected.connection, connected.retry_seconds)
            downloaded = downloader.download(url, target, progress, force=force)
    _report(outcomes, source, downloaded)


def _name(text: str) -> FileName:
    """Return a name that is safe as that of a local file: the URL may be a stranger's."""
    try:
        return FileName.parse(text)
    except BadName as error:
        raise ClientError(f"{error}; name the file to write with --output") from None


def _report(outcomes: Outcomes, source: str, downloaded: Downloaded) -> None:
    state = "complete" if downloaded.is_new else "was there already"
    digest = f"SHA-256 {downloaded.sha256.hex()}"
    if not downloaded.verified:
        digest += ", which the service does not know"
    if not outcomes.as_json:
        size = readable_size(downloaded.size)
        click.echo(f"{downloaded.path.name}: {state}, {size}, {digest}", err=True)
    described = {
        "file": source,
        "state": "fetched" if downloaded.is_new else "unchanged",
        "path": str(downloaded.path),
        "size": downloaded.size,
        "sha256": downloaded.sha256.hex(),
        "verified": downloaded.verified,
    }
    outcomes.report(described, str(downloaded.path))
