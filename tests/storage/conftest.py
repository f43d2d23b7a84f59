"""Stores over a bucket; modules about another store have fixtures of their own."""

import secrets
from collections.abc import Iterator

import pytest

from fileservice.storage import Store, open_store
from fileservice.storage.s3.bucket import Bucket
from fileservice.storage.s3.location import Location
from tests.support.seaweed import Seaweed


@pytest.fixture
def prefix(seaweed: Seaweed) -> Iterator[str]:
    """A place in the bucket that is this test's own."""
    name = f"t-{secrets.token_hex(8)}"
    yield name
    seaweed.clear(name)


@pytest.fixture
def store(seaweed: Seaweed, prefix: str) -> Store:
    return open_store(seaweed.url(prefix), fsync=True)


@pytest.fixture
def another_store(seaweed: Seaweed, prefix: str, store: Store) -> Store:
    """The same files, as another process has them."""
    return open_store(seaweed.url(prefix), fsync=True)


@pytest.fixture
def bucket(seaweed: Seaweed, prefix: str) -> Bucket:
    """What lies under the store."""
    return Bucket(Location.parse(seaweed.url(prefix)))
