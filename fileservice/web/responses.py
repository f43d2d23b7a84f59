"""Responses that several routes return."""

from collections.abc import Mapping

from flask import Response


def empty(status: int, fields: Mapping[str, str] = {}) -> Response:  # never changed
    """Return a response without a body, and so without the Content-Type that Flask adds."""
    response = Response(status=status, headers=fields)
    del response.headers["Content-Type"]
    return response
