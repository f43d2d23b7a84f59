"""What a request wants of a stored file: nothing new, all of it, or some ranges."""

from flask import request

from fileservice.protocols.conditional import Outcome, evaluate, range_applies
from fileservice.protocols.ranges import ByteRange, requested_ranges
from fileservice.storage import Opened, StoredFile
from fileservice.web.errors import PreconditionFailed
from fileservice.web.representations import validators
from fileservice.web.requests import CONDITIONAL_FIELDS, conditions

_FIELDS_OF_PARTIAL_REQUESTS = ("Range", *CONDITIONAL_FIELDS)


def wants_whole_file() -> bool:
    """Return whether the response to this request will have all bytes of the file."""
    return request.method == "GET" and not any(
        field in request.headers for field in _FIELDS_OF_PARTIAL_REQUESTS
    )


def is_modified(file: StoredFile) -> bool:
    """Return whether the client needs a response other than 304. Raise PreconditionFailed."""
    outcome = evaluate(request.method, conditions(), validators(file))
    if outcome is Outcome.PRECONDITION_FAILED:
        raise PreconditionFailed
    return outcome is not Outcome.NOT_MODIFIED


def begin_wanted_ranges(opened: Opened) -> tuple[ByteRange, ...]:
    """Return the ranges to send, none if that is the whole file, and begin to read the first.

    Raise RangeNotSatisfiable, or VersionChanged if the file was replaced since it was opened.
    """
    if request.method != "GET":
        return ()
    ranges: tuple[ByteRange, ...] = ()
    if range_applies(conditions(), validators(opened.file)):
        ranges = requested_ranges(request.headers.get("Range"), opened.file.size)
    first, length = (ranges[0].first, ranges[0].length) if ranges else (0, opened.file.size)
    opened.begin_range(first, first + length)
    return ranges
