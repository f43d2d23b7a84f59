"""`fileservice verify`: read the files of a store again, and compare them with their digests."""

import json
from collections.abc import Iterable, Iterator

import click

from fileservice.cli.exit_status import DAMAGED, NOT_FOUND
from fileservice.cli.output import printable
from fileservice.cli.parameters import AS_JSON, parsed_by
from fileservice.cli.progress import TerminalCounter, readable_size
from fileservice.cli.stores import STORE_URL, open_or_exit, storage_errors_shown
from fileservice.integrity import (
    DamageMarks,
    FileState,
    ReadThrottle,
    Verification,
    VerifiedFile,
    verify_file,
)
from fileservice.names import BadName, FileName
from fileservice.quantities import parse_size
from fileservice.storage import Store

_SILENT = (FileState.INTACT, FileState.UNKNOWN)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@STORE_URL
@click.option(
    "--rate",
    callback=parsed_by(parse_size),
    metavar="SIZE",
    help="How many bytes to read in a second, such as 50MiB.  [default: no limit]",
)
@click.option("--restart", is_flag=True, help="Begin with the first file, whatever was verified.")
@AS_JSON
def verify(
    names: tuple[str, ...], store_url: str, rate: int | None, restart: bool, as_json: bool
) -> None:
    """Read the files of the store again, all or those named, and compare them with their digests.

    A damaged file is written to standard output and marked: the service does not send it any more
    (`file-damaged`). If the command is interrupted, it goes on there the next time. The status is 3
    if a file is damaged.
    """
    with storage_errors_shown():
        store = open_or_exit(store_url)
        throttle = ReadThrottle(rate)
        if names:
            counts = _report(_named(store, names, throttle), as_json, 0)
        else:
            verification = Verification(store, throttle, restart=restart)
            if verification.after:
                click.echo(f"Going on after {printable(verification.after)}.", err=True)
            _report(verification.verified_files(), as_json, verification.size)
            counts = dict(verification.counts)
    _summarize(counts)
    if counts.get(FileState.DAMAGED):
        raise click.exceptions.Exit(DAMAGED)
    if names and counts.get(FileState.MISSING):
        raise click.exceptions.Exit(NOT_FOUND)


def _named(store: Store, names: tuple[str, ...], throttle: ReadThrottle) -> Iterator[VerifiedFile]:
    marks = DamageMarks(store.private_files)
    for text in names:
        try:
            name = FileName.parse(text)
        except BadName as error:
            raise click.BadParameter(str(error), param_hint="NAME") from None
        yield verify_file(store, marks, name, throttle)


def _report(verified_files: Iterable[VerifiedFile], as_json: bool, size: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    with TerminalCounter() as counter:
        for verified in verified_files:
            size += verified.size
            counts[verified.state] = counts.get(verified.state, 0) + 1
            counter.show(sum(counts.values()), size)
            if as_json:
                described = {
                    "file": verified.name,
                    "state": verified.state,
                    "reason": verified.reason,
                }
                click.echo(json.dumps(described, ensure_ascii=False))
            elif verified.state not in _SILENT:
                counter.clear()
                reason = f": {verified.reason}" if verified.reason else ""
                click.echo(printable(f"{verified.state}  {verified.name}{reason}"))
    click.echo(f"{readable_size(size)} read.", err=True)
    return counts


def _summarize(counts: dict[str, int]) -> None:
    parts = [f"{counts[state]} {state}" for state in FileState if counts.get(state)]
    click.echo(f"Files: {', '.join(parts) or 'none'}.", err=True)
