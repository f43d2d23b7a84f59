"""The time limits of the application where it has no server."""

from collections.abc import Iterator

import pytest

from fileservice.web.routes import health


@pytest.fixture(scope="package", autouse=True)
def _patient_health_checks() -> Iterator[None]:
    """Let checks of the health take long: their threads may be slow to begin on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "_CHECK_SECONDS", 60.0)
        yield
