"""`fileservice link`: make, list and revoke links, in the store itself."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from fileservice.access import (
    AccessError,
    DownloadGrant,
    InvalidTerms,
    LinkStore,
    LinkTerms,
    Maker,
    MakerKind,
    UploadGrant,
    hash_password,
    open_account,
)
from fileservice.cli.link_listing import to_json, to_row
from fileservice.cli.link_options import given_terms, with_terms
from fileservice.cli.output import write_result, write_table
from fileservice.cli.stores import STORE_URL, open_or_exit
from fileservice.names import BadName
from fileservice.storage import StorageError, Store, describe_error

_OPERATOR = Maker(MakerKind.OPERATOR)
_OPTIONS = {
    "name": "NAME",
    "uses": "--uses",
    "expires": "--expires",
    "note": "--note",
    "password": "--password-file",
    "upload.prefix": "--upload-prefix",
    "upload.files": "--files",
    "upload.bytes": "--bytes",
}
"""Where the members of the terms come from."""


class _LinkGroup(click.Group):
    """A group whose command `make` need not be named: a name of a file has an extension."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["make", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_LinkGroup)
def link() -> None:
    """Make, list and revoke links.

    `fileservice link NAME` makes a link to a file, and `fileservice link --upload-prefix TEXT` one
    by which guests upload files. Their maker is the operator, so no change of ACCESS_FILE ends
    them. A running service knows them at once.
    """


@link.command()
@with_terms
@click.option(
    "--public-url",
    envvar="FILESERVICE_PUBLIC_URL",
    show_envvar=True,
    help="Where clients reach the service.  [default: only the path of the link is written]",
)
@STORE_URL
def make(
    public_url: str | None,
    store_url: str,
    **options: Any,
) -> None:
    """Make a link to the file NAME, or for guests, and write its URL to standard output.

    The URL is shown this once: the store has only a hash of the secret in it.
    """
    with _errors_shown():
        terms = LinkTerms.parse(given_terms(options), time.time())
        store = open_or_exit(store_url)
        links = LinkStore(store.private_files)
        made, secret = links.create(
            _OPERATOR,
            _grant(store, terms),
            expires=terms.expires,
            note=terms.note,
            password=hash_password(terms.password) if terms.password else "",
        )
        if made.upload:
            open_account(store.usage, made.principal_id)
        click.echo(f"Made the link {made.id}. Its URL is shown only now:", err=True)
        try:
            write_result(f"{(public_url or '').rstrip('/')}/s/{secret}")
        except OSError as error:
            links.revoke(made.id)  # nobody could use it
            raise click.ClickException(
                f"the URL cannot be shown: {error.strerror}; the link was revoked again"
            ) from None


@link.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON array of objects.")
@STORE_URL
def list_links(as_json: bool, store_url: str) -> None:
    """List the links of all makers, without their secrets, which nobody knows."""
    with _errors_shown():
        links = sorted(
            LinkStore(open_or_exit(store_url).private_files).list(), key=lambda one: -one.created
        )
    if as_json:
        click.echo(json.dumps([to_json(one) for one in links], indent=2, ensure_ascii=False))
    else:
        write_table([("ID", "MAKER", "GIVES", "EXPIRES", "NOTE"), *map(to_row, links)])


@link.command()
@click.argument("link_id", metavar="ID")
@STORE_URL
def revoke(link_id: str, store_url: str) -> None:
    """Revoke the link ID, whoever made it."""
    with _errors_shown():
        LinkStore(open_or_exit(store_url).private_files).revoke(link_id)
    click.echo(f"Revoked the link {link_id}.", err=True)


def _grant(store: Store, terms: LinkTerms) -> DownloadGrant | UploadGrant:
    if terms.upload:
        return terms.upload
    assert terms.name is not None
    return DownloadGrant.of(store.stat(terms.name), terms.uses)


@contextmanager
def _errors_shown() -> Iterator[None]:
    """End the command with a sentence if there is an error."""
    try:
        yield
    except InvalidTerms as error:
        if error.member == "name":
            raise click.UsageError("Give either NAME or --upload-prefix.") from None
        hint = _OPTIONS.get(error.member, error.member)
        problem = str(error).removeprefix(error.member).strip()
        raise click.BadParameter(problem, param_hint=hint) from None
    except BadName as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    except StorageError as error:
        raise click.ClickException(describe_error(error)) from None
    except AccessError as error:
        raise click.ClickException(str(error)) from None
