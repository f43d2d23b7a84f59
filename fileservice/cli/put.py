"""`fileservice put`: send files to a service."""

import sys
from pathlib import Path

import click

from fileservice.cli.output import printable
from fileservice.cli.parameters import AS_JSON
from fileservice.cli.progress import TerminalProgress, readable_size
from fileservice.cli.service import Outcomes, ServiceOptions, with_service
from fileservice.client import (
    Address,
    ClientError,
    Uploaded,
    UploadTarget,
    entries_of,
    is_url,
    upload_file,
    upload_stream,
)
from fileservice.names import BadName, FileName

_STANDARD_INPUT = "-"


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE... [URL]")
@click.option("--name", help="The name that the service gives to the file; only for one file.")
@click.option("-r", "--recursive", is_flag=True, help="Send the files in directories.")
@click.option("--expires", metavar="TIME", help="When the files expire: 7d, or a time of RFC 3339.")
@click.option("--replace", "replaces", is_flag=True, help="Replace files that have the names.")
@AS_JSON
@with_service
def put(
    service: ServiceOptions,
    files: tuple[str, ...],
    name: str | None,
    recursive: bool,
    expires: str | None,
    replaces: bool,
    as_json: bool,
) -> None:
    """Send files to the service, and write their URLs to standard output.

    URL is that of the service, of the file to store, or of a link for uploads. Each file is
    verified by its SHA-256 at both ends. If the command is interrupted, the same command goes on
    with a file of more than 8 MiB where it ended.

    FILE may be - for standard input, which needs --name or the URL of a file, and a directory with
    --recursive: the names of the files in it have a - where their paths have a slash.
    """
    url = files[-1] if is_url(files[-1]) else None
    given = files[:-1] if url else files
    if not given:
        raise click.UsageError("Give the files to send.")
    outcomes = Outcomes(as_json)
    with service.connect(url) as connected:
        address = connected.address
        name = name or ("" if address.link_secret else address.name)
        if name and (len(given) > 1 or (recursive and Path(given[0]).is_dir())):
            raise click.UsageError("A name can be given to one file only.")
        target = UploadTarget(
            connected.connection,
            Address(address.base),
            connected.retry_seconds,
            expires=expires or "",
            replaces=replaces,
        )
        sender = _Sender(target, outcomes)
        for text in given:
            if text == _STANDARD_INPUT:
                sender.send_standard_input(name)
            elif recursive and Path(text).is_dir():
                sender.send_directory(Path(text))
            else:
                sender.send(Path(text), name or Path(text).name)
    outcomes.end()


class _Sender:
    """Sends files one after the other, and reports what has come of each."""

    def __init__(self, target: UploadTarget, outcomes: Outcomes) -> None:
        self._target = target
        self._outcomes = outcomes

    def send(self, path: Path, name: str) -> None:
        with self._outcomes.each(str(path)):
            if path.is_dir():
                raise ClientError("it is a directory: use --recursive")
            self._send(path, name)

    def send_directory(self, directory: Path) -> None:
        """Send the files in a directory, and say what is left out."""
        paths: dict[str, Path] = {}
        for entry in entries_of(directory):
            if entry.skipped:
                self._outcomes.skip(str(entry.path), entry.skipped)
                continue
            with self._outcomes.each(str(entry.path)):
                if entry.error:
                    raise entry.error
                if (first := paths.setdefault(entry.name, entry.path)) != entry.path:
                    raise ClientError(f"{first} has the same name at the service: {entry.name}")
                self._send(entry.path, entry.name)

    def send_standard_input(self, name: str) -> None:
        if not name:
            raise click.UsageError("Give --name, or the URL of the file to store.")
        with self._outcomes.each(_STANDARD_INPUT):
            if sys.stdin is None:
                raise ClientError("standard input is closed")
            with TerminalProgress(name) as progress:
                uploaded = upload_stream(self._target, sys.stdin.buffer, _name(name), progress)
            self._report(_STANDARD_INPUT, uploaded, name)

    def _send(self, path: Path, name: str) -> None:
        with TerminalProgress(path.name) as progress:
            uploaded = upload_file(self._target, path, _name(name), progress)
        self._report(str(path), uploaded)

    def _report(self, file: str, uploaded: Uploaded, name: str = "") -> None:
        state = "stored" if uploaded.is_new else "was stored already"
        if not self._outcomes.as_json:
            size = readable_size(uploaded.size)
            label = printable(name or Path(file).name)
            click.echo(f"{label}: {state}, {size}, SHA-256 {uploaded.sha256.hex()}", err=True)
        described = {
            "file": file,
            "state": "stored" if uploaded.is_new else "unchanged",
            "url": uploaded.url,
            "size": uploaded.size,
            "sha256": uploaded.sha256.hex(),
        }
        self._outcomes.report(described, uploaded.url)


def _name(text: str) -> FileName:
    try:
        return FileName.parse(text)
    except BadName as error:
        raise ClientError(str(error)) from None
