"""The application as a WSGI callable, without a server."""

from pathlib import Path

from flask import Flask

from fileservice.app import create_app
from fileservice.settings import PREFIX, Settings


def application(root: Path, **settings: str) -> Flask:
    """The application over a store in the directory `root`, with these settings."""
    environ = {"STORE_URL": str(root), "FSYNC": "false", "MIN_FREE_SPACE": "0"} | settings
    return create_app(Settings.from_environ({PREFIX + name: environ[name] for name in environ}))
