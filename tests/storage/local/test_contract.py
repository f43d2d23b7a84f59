"""The contract of every store, for directories on two kinds of file systems."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.contract.list import ListContract
from tests.storage.store_contract import StoreContract


class TestContract(StoreContract):
    """On the file system of the temporary directory."""


class InMemory:
    """On tmpfs, where directories have other times and orders than on ext4."""

    @pytest.fixture
    def directory(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
            yield Path(path) / "store"


class TestListsInMemory(InMemory, ListContract):
    """What depends on the times and the order."""


@pytest.mark.thorough
class TestContractInMemory(InMemory, StoreContract):
    """All of the contract."""
