"""Stores of both kinds."""

import secrets
from pathlib import Path

import pytest

from tests.integrity.stores import OpenStore, in_bucket, in_directory


@pytest.fixture
def directory(tmp_path: Path) -> OpenStore:
    return in_directory(tmp_path / "store")


@pytest.fixture(params=["directory", "bucket"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """A store of either kind."""
    if request.param == "directory":
        return in_directory(tmp_path / "store")
    return in_bucket(request.getfixturevalue("seaweed"), f"integrity-{secrets.token_hex(8)}")


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> OpenStore:
    return in_bucket(request.getfixturevalue("seaweed"), f"integrity-{secrets.token_hex(8)}")
