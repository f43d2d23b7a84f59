"""The tests; pytest shows the values of their helper modules' asserts, too."""

import pytest

# pytest rewrites the asserts of test modules by itself; those of the modules that they import must
# be named before the first of them is imported.
pytest.register_assert_rewrite(
    "tests.browser",
    "tests.clients",
    "tests.fuzz",
    "tests.http",
    "tests.serving",
    "tests.storage",
    "tests.support",
    "tests.upload",
)
