"""What a request wants of a stored file: nothing new, all of it, or some ranges."""

from typing import TYPE_CHECKING

from fileservice.protocols.conditional import Conditions, Outcome, evaluate, range_applies
from fileservice.protocols.ranges import ByteRange, requested_ranges
from fileservice.storage import Opened, StoredFile
from fileservice.web.errors import PreconditionFailed
from fileservice.web.representations import validators
from fileservice.web.requests import conditions

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_UNCONDITIONAL = Conditions()


def wants_whole_file(environ: "WSGIEnvironment") -> bool:
    """Return whether the response to this request will have all bytes of the file."""
    is_get = environ["REQUEST_METHOD"] == "GET"
    return is_get and "HTTP_RANGE" not in environ and conditions(environ) == _UNCONDITIONAL


def is_modified(environ: "WSGIEnvironment", file: StoredFile) -> bool:
    """Return whether the client needs a response other than 304. Raise PreconditionFailed."""
    outcome = evaluate(environ["REQUEST_METHOD"], conditions(environ), validators(file))
    if outcome is Outcome.PRECONDITION_FAILED:
        raise PreconditionFailed
    return outcome is not Outcome.NOT_MODIFIED


def begin_wanted_ranges(environ: "WSGIEnvironment", opened: Opened) -> tuple[ByteRange, ...]:
    """Return the ranges to send, none if that is the whole file, and begin to read the first.

    Raise RangeNotSatisfiable, or VersionChanged if the file was replaced since it was opened.
    """
    if environ["REQUEST_METHOD"] != "GET":
        return ()
    ranges: tuple[ByteRange, ...] = ()
    if range_applies(conditions(environ), validators(opened.file)):
        ranges = requested_ranges(environ.get("HTTP_RANGE"), opened.file.size)
    first, length = (ranges[0].first, ranges[0].length) if ranges else (0, opened.file.size)
    opened.begin_range(first, first + length)
    return ranges
