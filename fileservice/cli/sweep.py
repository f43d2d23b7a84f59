"""`fileservice sweep`: remove what has expired, once and now."""

import json
import logging
import os
from functools import partial

import click

from fileservice.access import LinkStore, QuotaAccounts
from fileservice.cli.existing_store import NotUsable, open_existing
from fileservice.events import NO_EVENTS, record_events
from fileservice.gevent_executor import InlineExecutor
from fileservice.settings import Settings, SettingsError
from fileservice.storage import StorageError, Store, describe_error
from fileservice.upload import (
    ResumableUploads,
    UploadContext,
    UploadPolicy,
    held_reservations,
    remove_expired_files,
)
from fileservice.web import maintenance


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write a JSON object: what was removed.")
def sweep(as_json: bool) -> None:
    """Remove expired files, abandoned uploads and what processes that died have left.

    A running service does all of this itself, expired files every few seconds and the rest once an
    hour. The command is for a store whose service does not run, or that needs the space at once. It
    may run beside the service, as the same user and with its environment.
    """
    problems = _Problems()
    logging.getLogger("fileservice").addHandler(problems)
    try:
        settings = Settings.from_environ(os.environ)
        store = open_existing(settings.store_url, fsync=settings.fsync, identity=settings.store_id)
        counts = _sweep(store, settings)
    except SettingsError as error:
        raise click.ClickException("\n".join(error.problems)) from None
    except NotUsable as error:
        raise click.ClickException(str(error)) from None
    except StorageError as error:
        raise click.ClickException(describe_error(error)) from None
    finally:
        logging.getLogger("fileservice").removeHandler(problems)
    if as_json:
        click.echo(json.dumps({**counts, "problems": problems.messages}, ensure_ascii=False))
    if problems.messages:
        raise click.ClickException("not everything could be removed")


def _sweep(store: Store, settings: Settings) -> dict[str, int]:
    """Return how much of each kind was removed."""
    executor = InlineExecutor()
    accounts = QuotaAccounts(store, executor, partial(held_reservations, store))
    policy = UploadPolicy(  # nothing is uploaded
        types={}, max_size=0, min_free=0, digest=settings.digest
    )
    context = UploadContext(
        store,
        policy,
        executor,
        accounts.release,
        events=record_events(settings.public_url, store) if settings.on_stored else NO_EVENTS,
        begin_removal=accounts.begin_removal,
    )
    uploads = ResumableUploads(context, expiry=settings.upload_expiry)
    files = remove_expired_files(context)
    swept = maintenance.sweep(store, uploads, LinkStore(store.private_files))
    return {"files": files, "uploads": swept.uploads, "links": swept.links}


class _Problems(logging.Handler):
    """Writes what the service would log, and keeps it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
        click.echo(record.getMessage(), err=True)
