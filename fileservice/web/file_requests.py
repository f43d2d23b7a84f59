"""What a request wants of a stored file: nothing new, all of it, or some ranges."""

from flask import request

from fileservice.protocols.conditional import Outcome, evaluate, range_applies
from fileservice.protocols.ranges import ByteRange, requested_ranges
from fileservice.storage import StoredFile
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


def wanted_ranges(file: StoredFile) -> tuple[ByteRange, ...]:
    """Return the ranges to send; none if that is the whole file. Raise RangeNotSatisfiable."""
    if request.method == "GET" and range_applies(conditions(), validators(file)):
        return requested_ranges(request.headers.get("Range"), file.size)
    return ()
