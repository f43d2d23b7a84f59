"""Bodies as blocks: what is left of them when they break off."""

import gc
import weakref

import pytest

from fileservice.web.body import IncompleteBody, TooSlow, blocks


class Broken:
    """A body that brings some bytes, and then an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._begun = False

    def readinto1(self, view: memoryview) -> int:
        if self._begun:
            raise self._error
        self._begun = True
        view[:4] = b"some"
        return 4


@pytest.mark.parametrize(
    ("error", "told"), [(OSError(), IncompleteBody), (TimeoutError(), TooSlow)]
)
def test_a_body_that_breaks_off_holds_no_memory_afterwards(
    error: Exception, told: type[Exception]
) -> None:
    """Not even until the garbage is collected: that may be a hundred uploads later."""
    environ = {"wsgi.input": Broken(error), "CONTENT_LENGTH": "10"}
    gc.collect()
    gc.disable()
    try:
        body = blocks(environ, 1.0)
        assert bytes(next(body)) == b"some"
        try:
            next(body)
        except told as failure:
            left = weakref.ref(failure)
        del body
        assert left() is None
    finally:
        gc.enable()
