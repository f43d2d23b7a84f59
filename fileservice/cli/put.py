"""`fileservice put`: send files to a service."""

from pathlib import Path

import click

from fileservice.cli.parameters import AS_JSON
from fileservice.cli.progress import TerminalProgress, readable_size
from fileservice.cli.service import Outcomes, ServiceOptions, with_service
from fileservice.client import Address, ClientError, Uploaded, UploadTarget, is_url, upload_file
from fileservice.names import BadName, FileName


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE... [URL]")
@click.option("--name", help="The name that the service gives to the file; only for one file.")
@click.option("--expires", metavar="TIME", help="When the files expire: 7d, or a time of RFC 3339.")
@click.option("--replace", "replaces", is_flag=True, help="Replace files that have the names.")
@AS_JSON
@with_service
def put(
    service: ServiceOptions,
    files: tuple[str, ...],
    name: str | None,
    expires: str | None,
    replaces: bool,
    as_json: bool,
) -> None:
    """Send files to the service, and write their URLs to standard output.

    URL is that of the service, of the file to store, or of a link for uploads. Each file is
    verified by its SHA-256 at both ends. If the command is interrupted, the same command goes on
    with a file of more than 8 MiB where it ended.
    """
    url = files[-1] if is_url(files[-1]) else None
    paths = [Path(text) for text in (files[:-1] if url else files)]
    if not paths:
        raise click.UsageError("Give the files to send.")
    outcomes = Outcomes(as_json)
    with service.connect(url) as connected:
        address = connected.address
        name = name or ("" if address.link_secret else address.name)
        if name and len(paths) > 1:
            raise click.UsageError("A name can be given to one file only.")
        target = UploadTarget(
            connected.connection,
            Address(address.base),
            connected.retry_seconds,
            expires=expires or "",
            replaces=replaces,
        )
        for path in paths:
            with outcomes.each(str(path)), TerminalProgress(path.name) as progress:
                uploaded = upload_file(target, path, _name(name or path.name), progress)
                _report(outcomes, path, uploaded)
    outcomes.end()


def _name(text: str) -> FileName:
    try:
        return FileName.parse(text)
    except BadName as error:
        raise ClientError(str(error)) from None


def _report(outcomes: Outcomes, path: Path, uploaded: Uploaded) -> None:
    state = "stored" if uploaded.is_new else "was stored already"
    if not outcomes.as_json:
        size = readable_size(uploaded.size)
        click.echo(f"{path.name}: {state}, {size}, SHA-256 {uploaded.sha256.hex()}", err=True)
    described = {
        "file": str(path),
        "state": "stored" if uploaded.is_new else "unchanged",
        "url": uploaded.url,
        "size": uploaded.size,
        "sha256": uploaded.sha256.hex(),
    }
    outcomes.report(described, uploaded.url)
