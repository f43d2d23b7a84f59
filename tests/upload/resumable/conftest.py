"""Fixtures: worker processes that share a store, each with a memory of its own."""

from pathlib import Path

import pytest

from tests.upload.resumable.process import Process


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def process(store_path: Path) -> Process:
    return Process(store_path)


@pytest.fixture
def other_process(process: Process, store_path: Path) -> Process:
    return Process(store_path)
