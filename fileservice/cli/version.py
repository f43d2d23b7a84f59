"""`fileservice version`: what is installed."""

import json
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

import click

from fileservice import __version__, libmagic

_PACKAGES = ("gunicorn", "gunicorn_h1c", "gevent", "flask", "botocore")
"""Those that a report of an error should name."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write a JSON object.")
def version(as_json: bool) -> None:
    """Write the versions of the service and of what it runs on."""
    versions = {
        "fileservice": __version__,
        "python": platform.python_version(),
        **{name: _version_of(name) for name in _PACKAGES},
        "libmagic": _version_of_libmagic(),
    }
    if as_json:
        click.echo(json.dumps(versions, indent=2))
        return
    for name, number in versions.items():
        click.echo(f"{name} {number or 'is not installed'}")


def _version_of(package: str) -> str | None:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return None


def _version_of_libmagic() -> str | None:
    try:
        return libmagic.version()
    except libmagic.LibmagicMissing:
        return None
