"""Clients of an application whose store is emptied before each test."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.application import application, emptied


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """The settings of the application; a module may override them."""
    return {}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def app(root: Path, settings: dict[str, str]) -> Flask:
    return application(root, **settings)


@pytest.fixture
def client(app: Flask, root: Path) -> FlaskClient:
    return emptied(app, root)
