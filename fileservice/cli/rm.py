"""`fileservice rm`: delete files of a service."""

import click

from fileservice.cli.parameters import AS_JSON
from fileservice.cli.service import Outcomes, ServiceOptions, with_service
from fileservice.client import Retries, delete_file, is_url


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME|URL...")
@AS_JSON
@with_service
def rm(service: ServiceOptions, names: tuple[str, ...], as_json: bool) -> None:
    """Delete files by their names or URLs."""
    outcomes = Outcomes(as_json)
    for given in names:
        with outcomes.each(given), service.connect(given if is_url(given) else None) as connected:
            name = connected.address.name if is_url(given) else given
            if not name:
                raise click.UsageError(f"{given} is not the URL of a file.")
            retries = Retries(connected.retry_seconds)
            delete_file(connected.connection, connected.address, name, retries)
            outcomes.report({"file": given, "state": "deleted"}, f"Deleted {name}")
    outcomes.end()
