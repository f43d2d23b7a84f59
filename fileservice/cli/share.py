"""`fileservice share`: make a link by which a stranger fetches a file or uploads some."""

import json
from typing import Any

import click

from fileservice.cli.link_options import given_terms, with_terms
from fileservice.cli.output import printable
from fileservice.cli.service import Outcomes, ServiceOptions, with_service
from fileservice.client import make_link


@click.command()
@with_terms
@click.option("--json", "as_json", is_flag=True, help="Write what the service says of the link.")
@with_service
def share(
    service: ServiceOptions,
    as_json: bool,
    **options: Any,
) -> None:
    """Make a link to the file NAME, or for guests, and write its URL to standard output.

    The URL is shown this once: the service keeps only a hash of the secret in it.
    """
    given = given_terms(options)
    if ("name" in given) == ("upload" in given):
        raise click.UsageError("Give either NAME or --upload-prefix.")
    outcomes = Outcomes(as_json=False)
    with outcomes.each(options["name"] or "share"), service.connect() as connected:
        link = make_link(connected.connection, connected.address, given)
        if as_json:
            click.echo(json.dumps(link, ensure_ascii=False))
        else:
            click.echo(printable(str(link.get("url", ""))))
    outcomes.end()
