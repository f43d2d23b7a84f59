"""`fileservice verify`: read the files of a store again, and compare them with their digests."""

import json
from collections.abc import Iterable, Iterator

import click

from fileservice.cli.exit_status import DAMAGED, NOT_FOUND
from fileservice.cli.output import printable
from fileservice.cli.parameters import AS_JSON, parsed_by
from fileservice.cli.progress import TerminalCounter, readable_size
from fileservice.cli.stores import STORE_URL, open_existing, storage_errors_shown
from fileservice.integrity import (
    DamageMarks,
    Finding,
    FindingState,
    RateLimit,
    Verification,
    verify_file,
)
from fileservice.names import BadName, FileName
from fileservice.quantities import parse_size
from fileservice.storage import Store

_SILENT = (FindingState.INTACT, FindingState.UNKNOWN)


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
        store = open_existing(store_url)
        limit = RateLimit(rate)
        if names:
            counts = _report(_named(store, names, limit), as_json, 0)
        else:
            verification = Verification(store, limit, restart=restart)
            if verification.after:
                click.echo(f"Going on after {printable(verification.after)}.", err=True)
            _report(verification.findings(), as_json, verification.size)
            counts = dict(verification.counts)
    _summarize(counts)
    if counts.get(FindingState.DAMAGED):
        raise click.exceptions.Exit(DAMAGED)
    if names and counts.get(FindingState.MISSING):
        raise click.exceptions.Exit(NOT_FOUND)


def _named(store: Store, names: tuple[str, ...], limit: RateLimit) -> Iterator[Finding]:
    marks = DamageMarks(store.private_files)
    for text in names:
        try:
            name = FileName.parse(text)
        except BadName as error:
            raise click.BadParameter(str(error), param_hint="NAME") from None
        yield verify_file(store, marks, name, limit)


def _report(findings: Iterable[Finding], as_json: bool, size: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    with TerminalCounter() as counter:
        for finding in findings:
            size += finding.size
            counts[finding.state] = counts.get(finding.state, 0) + 1
            counter.show(sum(counts.values()), size)
            if as_json:
                described = {"file": finding.name, "state": finding.state, "reason": finding.reason}
                click.echo(json.dumps(described, ensure_ascii=False))
            elif finding.state not in _SILENT:
                counter.clear()
                reason = f": {finding.reason}" if finding.reason else ""
                click.echo(printable(f"{finding.state}  {finding.name}{reason}"))
    click.echo(f"{readable_size(size)} read.", err=True)
    return counts


def _summarize(counts: dict[str, int]) -> None:
    parts = [f"{counts[state]} {state}" for state in FindingState if counts.get(state)]
    click.echo(f"Files: {', '.join(parts) or 'none'}.", err=True)
