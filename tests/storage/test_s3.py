"""S3Store on a real SeaweedFS: the contract of every store, and what is particular to a bucket."""

import secrets
from collections.abc import Iterator

import pytest
from seaweed import Seaweed
from store_contract import StoreContract

from fileservice.storage import Store, open_store


@pytest.fixture
def prefix(seaweed: Seaweed) -> Iterator[str]:
    name = f"t-{secrets.token_hex(8)}"
    yield name
    seaweed.clear(name)


@pytest.fixture
def store(seaweed: Seaweed, prefix: str) -> Store:
    return open_store(seaweed.url(prefix), fsync=True)


@pytest.fixture
def another_store(seaweed: Seaweed, prefix: str, store: Store) -> Store:
    return open_store(seaweed.url(prefix), fsync=True)


class TestContract(StoreContract):
    KEEPS_WHAT_IS_OPEN = False
    LISTS_DIGESTS = False
