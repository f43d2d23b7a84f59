"""GET /healthz: for whoever keeps the service running."""

from flask import Blueprint, Response, jsonify, request

from fileservice.web.errors import ShuttingDown
from fileservice.web.security_headers import ANSWER_HEADERS
from fileservice.web.store_health import Health
from fileservice.wsgi_extensions import is_stopping


def routes(health: Health) -> Blueprint:
    """The route for health checks."""
    blueprint = Blueprint("ops", __name__)

    @blueprint.get("/healthz")
    def check() -> Response:
        if is_stopping(request.environ):
            raise ShuttingDown
        health.require()
        response = jsonify(status="ok")
        response.headers.update(ANSWER_HEADERS)
        return response

    return blueprint
