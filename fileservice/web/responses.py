"""What several routes answer."""

from collections.abc import Mapping

from flask import Response


def empty(status: int, fields: Mapping[str, str] = {}) -> Response:  # never changed
    """An answer without a body, and so without the Content-Type that Flask gives to all."""
    response = Response(status=status, headers=fields)
    del response.headers["Content-Type"]
    return response
