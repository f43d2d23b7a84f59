"""GET /healthz: for whoever keeps the service running."""

from flask import Blueprint, Response, jsonify

from fileservice.web.service import Service


def routes(service: Service) -> Blueprint:
    """The route for health checks."""
    blueprint = Blueprint("ops", __name__)

    @blueprint.get("/healthz")
    def health() -> Response:
        service.offload(service.store.check)
        return jsonify(status="ok")

    return blueprint
