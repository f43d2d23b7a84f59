"""Fixtures: the application with settings of the test's own, over a directory of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.web.application import application


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory of the store; beside it is a file that nobody may get."""
    (tmp_path / "outside.txt").write_bytes(b"nobody may read this\n")
    root = tmp_path / "store"
    root.mkdir()
    return root


@pytest.fixture
def client_of(root: Path) -> Callable[..., FlaskClient]:
    """Make a client of the application: `client_of(MAX_FILE_SIZE="1KiB")`."""
    return lambda **settings: application(root, **settings).test_client()
