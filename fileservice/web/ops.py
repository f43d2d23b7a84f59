"""GET /healthz: for whoever keeps the service running."""

from flask import Blueprint, Response, jsonify

from fileservice.web.security import ANSWER_HEADERS
from fileservice.web.service import Service


def routes(service: Service) -> Blueprint:
    """The route for health checks."""
    blueprint = Blueprint("ops", __name__)

    @blueprint.get("/healthz")
    def health() -> Response:
        service.offload(service.store.check)
        response = jsonify(status="ok")
        response.headers.update(ANSWER_HEADERS)
        return response

    return blueprint
