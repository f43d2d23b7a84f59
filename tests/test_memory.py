"""Work that has ended holds no memory, even before the garbage collector runs."""

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
from tests.support.wire import eventually


class Failure(Exception):
    pass


def fail() -> None:
    raise Failure


def assert_freed(act: Callable[[], None], error_type: type[Exception]) -> None:
    """Assert that the error `act` raises, and thus its frames, are freed once it was handled."""
    gc.collect()
    gc.disable()
    try:
        try:
            act()
        except error_type as error:
            reference = weakref.ref(error)
        assert reference() is None
    finally:
        gc.enable()


class BrokenBody:
    """A body that has four bytes, and then an error."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._has_started = False

    def read(self, size: int) -> bytes:
        if self._has_started:
            raise self._error
        self._has_started = True
        return b"some"[:size]


@pytest.mark.parametrize(
    ("error", "expected"), [(OSError(), IncompleteBody), (TimeoutError(), TooSlow)]
)
def test_error_of_a_broken_body_is_freed(error: Exception, expected: type[Exception]) -> None:
    def receive() -> None:
        body = blocks({"wsgi.input": BrokenBody(error), "CONTENT_LENGTH": "10"}, 1.0)
        assert bytes(next(body)) == b"some"
        next(body)

    assert_freed(receive, expected)


def test_error_of_submitted_work_is_freed() -> None:
    def work() -> None:
        tasks = [InlineExecutor().submit(fail)]
        for task in tasks:
            task.result()

    assert_freed(work, Failure)


def test_error_of_a_part_upload_is_freed() -> None:
    def send() -> None:
        part_uploads = PartUploads()
        try:
            part_uploads.start(fail)
            part_uploads.wait_all()
        finally:
            part_uploads.end()

    assert_freed(send, Failure)


def test_argument_of_work_in_a_thread_is_freed() -> None:
    class Block:
        pass

    block = Block()
    reference = weakref.ref(block)
    gc.disable()
    try:
        ThreadExecutor(threads=1).run_io(id, block)
        gevent.sleep(0)  # the event loop, which woke this greenlet, drops its reference, too
        del block
        eventually(lambda: reference() is None)  # the thread may be just before that
    finally:
        gc.enable()
