"""`fileservice serve`: run the service."""

import os
from pathlib import Path

import click

import fileservice
from fileservice.cli.parameters import parsed_by
from fileservice.setting_conflicts import PREFIX
from fileservice.setting_parsers import parse_bind, parse_count, parse_store_url

_CONFIGURATION = Path(fileservice.__file__).with_name("gunicorn_config.py")


@click.command()
@click.option(
    "--bind",
    callback=parsed_by(parse_bind),
    metavar="ADDRESS",
    help="Listen on HOST:PORT, [IPv6]:PORT or unix:PATH.  [default: 127.0.0.1:8000]",
)
@click.option(
    "--workers",
    callback=parsed_by(parse_count),
    metavar="NUMBER",
    help="The number of worker processes.  [default: one for each CPU]",
)
@click.option(
    "--store",
    callback=parsed_by(parse_store_url),
    metavar="URL",
    help="The directory that holds the files, or s3://bucket/prefix.  [default: ./data]",
)
@click.argument(
    "gunicorn_options",
    nargs=-1,
    type=click.UNPROCESSED,
    metavar="[-- GUNICORN_OPTION...]",
)
def serve(
    bind: str | None, workers: int | None, store: str | None, gunicorn_options: tuple[str, ...]
) -> None:
    """Run the service until it is stopped (Ctrl-C, or SIGTERM).

    The other settings are variables of the environment (docs/settings.md). An option has precedence
    over its variable (FILESERVICE_BIND, FILESERVICE_WORKERS, FILESERVICE_STORE_URL). What follows
    after -- is for gunicorn, such as --certfile and --keyfile for TLS.
    """
    # The workers, and a new master process after an upgrade, read the settings once more.
    for name, value in (("BIND", bind), ("WORKERS", workers), ("STORE_URL", store)):
        if value is not None:
            os.environ[PREFIX + name] = str(value)
    from fileservice.serving.command import run  # imports gunicorn

    run(_CONFIGURATION, gunicorn_options)
