"""The application as a WSGI callable, without a server."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from flask import Flask
from flask.testing import FlaskClient
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from fileservice.access import Limits, QuotaAccounts, open_limits
from fileservice.app import create_app
from fileservice.gevent_executor import InlineExecutor
from fileservice.settings import PREFIX, Settings
from fileservice.storage.local import LocalStore
from fileservice.web.authentication import Authenticator
from fileservice.web.door import Door
from fileservice.web.routes import assets

TEXT = b"some text\n"


class CompiledTemplates(BytecodeCache):
    """The code of the templates, so that each is compiled once and not for each application."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


class CompiledRule(Rule):
    """A rule whose code is compiled once and not for each application."""

    _builders: ClassVar[dict[object, Callable[..., tuple[str, str]]]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (self.rule, tuple(self._trace), repr(self.defaults), append_unknown)
        if key not in self._builders:
            self._builders[key] = super()._compile_builder(append_unknown)
        return self._builders[key]


Flask.jinja_options["bytecode_cache"] = CompiledTemplates()
Flask.url_rule_class = CompiledRule
assets._read = cache(assets._read)  # which compresses them


class Client(FlaskClient):
    """A client that reads every response to its end and closes it, as a server does."""

    def open(self, *of: Any, **options: Any) -> TestResponse:
        return super().open(*of, buffered=True, **options)


class UnreadableBody:
    """A body that fails the test if it is read: environ_overrides={"wsgi.input": …}."""

    def read(self, *_size: int) -> bytes:
        raise AssertionError("the body was read")

    readline = readinto = __iter__ = read


CONVERTED = {
    "new_file": "new.txt",
    "stored_file": "kept.txt",
    "upload": "0" * 32,
    "link": "0" * 32,
    "path": "page.js",
}
"""What stands for a parameter of a path, by its converter."""


def paths(app: Flask) -> dict[str, set[str]]:
    """Return a path of every rule of `app`, and the methods that the rules of this path have."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(
            r"<(?:(\w+):)?\w+>", lambda match: CONVERTED.get(match[1] or "", "0"), rule.rule
        )
        found.setdefault(path, set()).update(rule.methods or ())
    return found


def application(root: Path, *, redirects: bool = False, **variables: str) -> Flask:
    """Return the application over a store in the directory `root`, with these settings.

    With `redirects` it redirects downloads, which the settings allow only for a bucket.
    """
    defaults = {
        "STORE_URL": str(root),
        "FSYNC": "false",
        "MIN_FREE_SPACE": "0",
        "ANONYMOUS": "list,read,write,delete",
        "AUTH_FAILURE_LIMIT": "none",
    }
    environ = defaults | variables
    settings = Settings.from_environ({PREFIX + name: environ[name] for name in environ})
    app = create_app(replace(settings, download_redirect=redirects))
    app.test_client_class = Client
    return app


def published(root: Path) -> list[str]:
    """Return the names of the files that are published in `root`."""
    return sorted(path.name for path in root.iterdir() if not path.name.startswith("."))


def emptied(app: Flask, root: Path) -> FlaskClient:
    """Return a client of an application over `root`, in which no file is published any more."""
    client = app.test_client()
    for name in published(root):
        assert client.delete(f"/download/{quote(name)}").status_code == 204
    return client


def door_with(authenticator: Authenticator, limits: Limits | None = None, *, root: Path) -> Door:
    """Return a door whose accounts are in a store below `root` that nobody uses."""
    store = LocalStore(root / "unused", fsync=False)
    accounts = QuotaAccounts(store, InlineExecutor(), tuple)
    return Door(authenticator, limits or open_limits(9, None, None, None), accounts)
