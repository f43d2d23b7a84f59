"""The options that say which service a command uses, and the outcome of what it does to files."""

import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from fileservice.cli.exit_status import exit_status
from fileservice.cli.output import printable
from fileservice.cli.parameters import parsed_by
from fileservice.client import Address, ClientError, Connection
from fileservice.quantities import parse_duration

_TOKEN = "FILESERVICE_TOKEN"  # noqa: S105  # the name of a variable
_URL = "FILESERVICE_URL"
_LONGEST_SECRET = 4096
"""Characters."""
_VISIBLE = re.compile("[!-~]+")


@dataclass(frozen=True, slots=True)
class Service:
    """A service that a command talks to."""

    address: Address
    connection: Connection
    retry_seconds: float


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What the options and the environment say about the service."""

    url: str | None
    token_file: Path | None
    retry_seconds: float

    @contextmanager
    def connect(self, url: str | None = None, password: str = "") -> Iterator[Service]:
        """Connect to the service at `url`, or otherwise at that of the options.

        The token is for the service of the options, if they name one, and goes to no other. The
        `password` is that of the link at `url`.
        """
        address = _parse(url) if url else self.address
        is_theirs = not self.url or self.address.origin == address.origin
        token = address.link_secret or (self._token() if is_theirs else "")
        with closing(Connection(token, password if address.link_secret else "")) as connection:
            yield Service(address, connection, self.retry_seconds)

    @property
    def address(self) -> Address:
        """The address of the service. Raise UsageError if none is given."""
        if not self.url:
            raise click.UsageError(f"Give the URL of the service: set {_URL}, or use --url.")
        return _parse(self.url)

    def _token(self) -> str:
        token = self._read_token()
        if token and not _VISIBLE.fullmatch(token):
            # An error of the HTTP library would show it.
            raise click.ClickException("the token has characters that the secret of none has")
        return token

    def _read_token(self) -> str:
        if not self.token_file:
            return os.environ.get(_TOKEN, "").strip()
        return read_first_line(self.token_file).strip()


def read_first_line(path: Path) -> str:
    """Return the first line of a file with a secret, without its end. Raise ClickException."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline(_LONGEST_SECRET).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise click.ClickException(f"{path}: {reason}") from None


def with_service(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options about the service, and the parameter `service` in their place."""

    @click.option("--url", envvar=_URL, show_envvar=True, help="Where the service is.")
    @click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar=f"{_TOKEN}_FILE",
        show_envvar=True,
        help=f"A file with the secret of a token in its first line.  [default: {_TOKEN}]",
    )
    @click.option(
        "--retry-for",
        "retry_seconds",
        default="5m",
        show_default=True,
        callback=parsed_by(parse_duration),
        metavar="DURATION",
        help="How long to go on without any progress if the service does not answer.",
    )
    @functools.wraps(command)
    def run(
        *, url: str | None, token_file: Path | None, retry_seconds: float, **given: Any
    ) -> None:
        command(service=ServiceOptions(url, token_file, retry_seconds), **given)

    return run


@dataclass(slots=True)
class Outcomes:
    """What has come of each file. The exit status is that of the first failure."""

    as_json: bool
    _status: int = field(default=0)

    @contextmanager
    def each(self, label: str) -> Iterator[None]:
        """Report what fails with one file, and go on with the next."""
        try:
            yield
        except ClientError as error:
            self._status = self._status or exit_status(error)
            if self.as_json:
                code = getattr(error, "code", "") or None
                self.report({"file": label, "state": "failed", "code": code, "error": str(error)})
            click.echo(f"{printable(label)}: {printable(str(error))}", err=True)

    def skip(self, label: str, reason: str) -> None:
        """Report that a file is left out, which is no failure."""
        if self.as_json:
            self.report({"file": label, "state": "skipped", "reason": reason})
        click.echo(f"{printable(label)}: skipped: {reason}", err=True)

    def report(self, described: Mapping[str, object], text: str = "") -> None:
        """Write what has come of a file: an object, or a line of text."""
        click.echo(json.dumps(described, ensure_ascii=False) if self.as_json else printable(text))

    def end(self) -> None:
        """End the command with its exit status."""
        if self._status:
            raise click.exceptions.Exit(self._status)


def _parse(url: str) -> Address:
    try:
        return Address.parse(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="URL") from None
