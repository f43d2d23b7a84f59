"""`fileservice share`: make a link by which a stranger fetches a file or uploads some."""

import json
from typing import TextIO

import click

from fileservice.cli.output import printable
from fileservice.cli.service import Outcomes, ServiceOptions, with_service
from fileservice.client import make_link


@click.command()
@click.argument("name", required=False)
@click.option("--upload-prefix", metavar="TEXT", help="Guests upload files whose names begin so.")
@click.option("--files", type=int, help="How many files guests may have stored.")
@click.option("--bytes", "size", metavar="SIZE", help="How much they may have stored, as 1GiB.")
@click.option("--uses", type=int, help="How often the file may be fetched.")
@click.option("--expires", metavar="DURATION", help="When the link ends, such as 7d or 12h.")
@click.option("--note", metavar="TEXT", help="What the link is for; only makers see it.")
@click.option(
    "--password-file",
    type=click.File(encoding="utf-8"),
    help="A file with the password of the link in its first line; - for standard input.",
)
@click.option("--json", "as_json", is_flag=True, help="Write what the service says of the link.")
@with_service
def share(
    service: ServiceOptions,
    name: str | None,
    upload_prefix: str | None,
    files: int | None,
    size: str | None,
    uses: int | None,
    expires: str | None,
    note: str | None,
    password_file: TextIO | None,
    as_json: bool,
) -> None:
    """Make a link to the file NAME, or for guests, and write its URL to standard output.

    The URL is shown this once: the service keeps only a hash of the secret in it.
    """
    upload = {"prefix": upload_prefix, "files": files, "bytes": size}
    guests = {key: value for key, value in upload.items() if value is not None}
    if bool(name) == bool(guests):
        raise click.UsageError("Give either NAME or --upload-prefix.")
    terms: dict[str, object | None] = {
        "name": name,
        "upload": guests or None,
        "uses": uses,
        "expires": expires,
        "note": note,
        "password": password_file.readline().rstrip("\r\n") if password_file else None,
    }
    given = {key: value for key, value in terms.items() if value is not None}
    outcomes = Outcomes(as_json=False)
    with outcomes.each(name or "share"), service.connect() as connected:
        link = make_link(connected.connection, connected.address, given)
        if as_json:
            click.echo(json.dumps(link, ensure_ascii=False))
        else:
            click.echo(printable(str(link.get("url", ""))))
    outcomes.end()
