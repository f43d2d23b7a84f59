"""A store in a directory, for uploads."""

from pathlib import Path

import pytest

from fileservice.storage.local import LocalStore
from tests.upload.receiving import Directory


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", fsync=False)


@pytest.fixture
def other_store(store: LocalStore, tmp_path: Path) -> LocalStore:
    """The same store in another process."""
    return LocalStore(tmp_path / "store", fsync=False)


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "store")
