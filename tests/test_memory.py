"""What is over holds no memory: not until the garbage is collected, a hundred uploads later."""

import gc
import weakref
from collections.abc import Callable

import gevent
import pytest

from fileservice.gevent_executor import InlineExecutor, ThreadExecutor
from fileservice.protocols.errors import IncompleteBody
from fileservice.storage.s3.parts import PartUploads
from fileservice.web.errors import TooSlow
from fileservice.web.request_body import blocks


class Failure(Exception):
    pass


def fail() -> None:
    raise Failure


def assert_forgotten(act: Callable[[], None], failure: type[Exception]) -> None:
    """What `act` raises, and with it the frames it came through, is gone once it was handled."""
    gc.collect()
    gc.disable()
    try:
        try:
            act()
        except failure as error:
            left = weakref.ref(error)
        assert left() is None
    finally:
        gc.enable()


class Broken:
    """A body that brings some bytes, and then an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._begun = False

    def read(self, size: int) -> bytes:
        if self._begun:
            raise self._error
        self._begun = True
        return b"some"[:size]


@pytest.mark.parametrize(
    ("error", "told"), [(OSError(), IncompleteBody), (TimeoutError(), TooSlow)]
)
def test_a_body_that_breaks_off(error: Exception, told: type[Exception]) -> None:
    def receive() -> None:
        body = blocks({"wsgi.input": Broken(error), "CONTENT_LENGTH": "10"}, 1.0)
        assert bytes(next(body)) == b"some"
        next(body)

    assert_forgotten(receive, told)


def test_work_that_failed_elsewhere() -> None:
    def work() -> None:
        tasks = [InlineExecutor().submit(fail)]
        for task in tasks:
            task.result()

    assert_forgotten(work, Failure)


def test_a_part_that_could_not_be_sent() -> None:
    def send() -> None:
        flight = PartUploads()
        try:
            flight.start(fail)
            flight.wait_all()
        finally:
            flight.end()

    assert_forgotten(send, Failure)


def test_work_that_was_done_in_a_thread() -> None:
    class Block:
        pass

    block = Block()
    left = weakref.ref(block)
    ThreadExecutor(threads=1).run_io(id, block)
    gevent.sleep(0)  # the event loop, which woke us, lets go of it, too
    del block
    assert left() is None
