"""The header fields of a response."""

from typing import Any

import pytest

from fileservice.serving.gunicorn_api import BaseResponse
from fileservice.serving.response import TransferResponse

FIELDS: list[list[tuple[Any, Any]]] = [
    [("X-Field", "a"), ("Content-Length", "3"), ("x-field", " b\t")],
    [("X-Field", "a\r\nX-Other: b")],
    [("X-Field", "a\nb")],
    [("X-Field", "a\x00")],
    [("X-Field", "\u20ac")],
    [("X-Field: a\r\nX-Other", "b")],
    [("X-Field:", "b")],
    [("X Field", "b")],
    [("", "b")],
    [("X-Field", "a"), ("", "b")],
    [("X-Field", b"a")],
    [(b"X-Field", "a")],
    [("X-Field", None)],
    [("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Date", "x"), ("X-Field", "a")],
    [("Upgrade", "websocket")],
    [("Content-Length", "3"), ("Content-Length", "4")],
    [("Content-Length", "x")],
    [("Content-Length", "")],
    [],
]


@pytest.mark.parametrize("fields", FIELDS, ids=repr)
def test_fields_of_a_response_are_taken_and_refused_as_by_gunicorn(
    fields: list[tuple[Any, Any]],
) -> None:
    def outcome(kind: type[BaseResponse]) -> object:
        response = object.__new__(kind)
        response.headers, response.response_length, response.upgrade = [], None, False
        try:
            response.process_headers(fields)
        except Exception as error:  # noqa: BLE001  # whatever it is
            return type(error)
        return response.headers, response.response_length, response.upgrade

    assert outcome(TransferResponse) == outcome(BaseResponse)
