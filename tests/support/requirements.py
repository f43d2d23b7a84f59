"""What tests need of the machine that they run on."""

import os

import pytest


def require(missing: str) -> None:
    """Skip the test for what is missing; fail it where CI is set, since nothing may miss there."""
    if os.environ.get("CI"):
        pytest.fail(f"{missing}, and in CI it must be")
    pytest.skip(missing)
