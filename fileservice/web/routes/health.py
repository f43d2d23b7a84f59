"""GET /healthz: for whoever keeps the service running."""

from flask import Blueprint, Response, jsonify, request

from fileservice.web.errors import ShuttingDown
from fileservice.web.security_headers import JSON_HEADERS
from fileservice.web.store_health import Health


def routes(health: Health) -> Blueprint:
    """The route for health checks."""
    blueprint = Blueprint("ops", __name__)

    @blueprint.get("/healthz")
    def check() -> Response:
        if request.environ.get("transfer.stopping"):  # our own server tells
            raise ShuttingDown
        health.require()
        response = jsonify(status="ok")
        response.headers.update(JSON_HEADERS)
        return response

    return blueprint
