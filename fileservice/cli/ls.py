"""`fileservice ls`: list the files of a service."""

import json
from typing import Any

import click

from fileservice.cli.output import printable
from fileservice.cli.parameters import AS_JSON
from fileservice.cli.service import Outcomes, ServiceOptions, with_service
from fileservice.client import Retries, list_files


@click.command()
@click.argument("prefix", default="")
@click.option("--contains", default="", metavar="TEXT", help="Only names that contain it.")
@click.option(
    "--sort", metavar="KEY", help="By name, size or modified; -size for the largest first."
)
@AS_JSON
@with_service
def ls(
    service: ServiceOptions, prefix: str, contains: str, sort: str | None, as_json: bool
) -> None:
    """List the files whose names begin with PREFIX: size in bytes, time, and name."""
    given = {"prefix": prefix, "q": contains, "sort": sort or ""}
    query = {key: value for key, value in given.items() if value}
    outcomes = Outcomes(as_json)
    with outcomes.each("ls"), service.connect() as connected:
        retries = Retries(connected.retry_seconds)
        for record in list_files(connected.connection, connected.address, retries, **query):
            click.echo(json.dumps(record, ensure_ascii=False) if as_json else _line(record))
    outcomes.end()


def _line(record: dict[str, Any]) -> str:
    expires = f"  (until {record['expires']})" if record.get("expires") else ""
    size, modified = record.get("size", ""), str(record.get("modified", ""))
    return printable(f"{size:>14}  {modified}  {record.get('filename', '')}{expires}")
