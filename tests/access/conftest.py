"""What the tests of shared memory have in common."""

import pytest

from fileservice.access import shared_memory


@pytest.fixture
def longer_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no process for stopped that only waits for a processor."""
    monkeypatch.setattr(shared_memory, "_MAX_WAIT", 60.0)
