"""What a test needs of the machine it runs on."""

import os

import pytest


def require(missing: str) -> None:
    """Skip for what is missing here; fail where everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{missing}, and in CI it must be")
    pytest.skip(missing)
