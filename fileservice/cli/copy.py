"""`fileservice copy`: copy the files of one store to another."""

import json

import click

from fileservice.cli.exit_status import DAMAGED, EXISTS
from fileservice.cli.output import printable
from fileservice.cli.parameters import AS_JSON, parsed_by
from fileservice.cli.progress import TerminalCounter, readable_size
from fileservice.cli.stores import open_or_exit, open_target, storage_errors_shown
from fileservice.integrity import CopyState, ReadThrottle, copy_files
from fileservice.quantities import parse_size

_SILENT = (CopyState.COPIED, CopyState.UNCHANGED)


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True,
              help="How many files to copy at the same time.")  # fmt: skip
@click.option(
    "--rate",
    callback=parsed_by(parse_size),
    metavar="SIZE",
    help="How many bytes to read in a second, such as 50MiB.  [default: no limit]",
)
@AS_JSON
def copy(source: str, target: str, threads: int, rate: int | None, as_json: bool) -> None:
    """Copy all files from one store to another: directories, or s3://bucket/prefix.

    The bytes are compared with their digests, and types, expiries and owners are copied as well. A
    file that the target has already is not copied again, so the same command goes on with a copy
    that was interrupted. Another file of the same name stays (status 4), and a damaged file is not
    copied (status 3).
    """
    counts: dict[str, int] = {}
    size = 0
    with storage_errors_shown(), TerminalCounter() as counter:
        stores = open_or_exit(source, "FROM"), open_target(target, "TO")
        for copied in copy_files(*stores, threads=threads, rate=ReadThrottle(rate)):
            counts[copied.state] = counts.get(copied.state, 0) + 1
            size += copied.size if copied.state is CopyState.COPIED else 0
            counter.show(sum(counts.values()), size)
            if as_json:
                described = {"file": copied.name, "state": copied.state, "reason": copied.reason}
                click.echo(json.dumps(described, ensure_ascii=False))
            elif copied.state not in _SILENT:
                counter.clear()
                reason = f": {copied.reason}" if copied.reason else ""
                click.echo(printable(f"{copied.state}  {copied.name}{reason}"))
    parts = [f"{counts[state]} {state}" for state in CopyState if counts.get(state)]
    click.echo(f"Files: {', '.join(parts) or 'none'}; {readable_size(size)} copied.", err=True)
    if counts.get(CopyState.DAMAGED):
        raise click.exceptions.Exit(DAMAGED)
    if counts.get(CopyState.CONFLICT):
        raise click.exceptions.Exit(EXISTS)
