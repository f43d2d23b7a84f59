"""GET /healthz: for whoever keeps the service running."""

from flask import Blueprint, Response, jsonify

from fileservice.web.health import Health


def routes(health: Health) -> Blueprint:
    """The route for health checks."""
    blueprint = Blueprint("ops", __name__)

    @blueprint.get("/healthz")
    def check() -> Response:
        health.require()
        return jsonify(status="ok")

    return blueprint
