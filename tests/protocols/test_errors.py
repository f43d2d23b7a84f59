"""The errors of the protocols: one tree, as it is drawn in the docstring of the module."""

import inspect
import re

from fileservice.protocols import errors
from fileservice.protocols.errors import (
    ChunkedUpload,
    MismatchingUploadOffset,
    ProtocolError,
    RangeNotSatisfiable,
)


def test_drawn_tree_is_the_tree_of_the_classes() -> None:
    drawn: dict[str, str | None] = {}
    ancestors: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        match = re.match(r"([│ ]*(?:[├└]── )?)([A-Z]\w+)(?:$|  )", line)
        if match:
            depth = len(match[1]) // 4
            ancestors = [*ancestors[:depth], match[2]]
            drawn[match[2]] = ancestors[-2] if depth else None
    defined = {
        name: error.__bases__[0].__name__ if error is not ProtocolError else None
        for name, error in inspect.getmembers(errors, inspect.isclass)
    }
    assert drawn == defined


def test_every_error_explains_itself() -> None:
    for _, error in inspect.getmembers(errors, inspect.isclass):
        assert error.__doc__, error


def test_errors_have_the_values_that_responses_need() -> None:
    assert RangeNotSatisfiable(10).size == 10
    assert ChunkedUpload("Dropzone").dialect == "Dropzone"
    mismatch = MismatchingUploadOffset(expected=3, provided=5)
    assert (mismatch.expected_offset, mismatch.provided_offset) == (3, 5)
    assert str(mismatch) == "the upload is at offset 3, the request begins at 5"
