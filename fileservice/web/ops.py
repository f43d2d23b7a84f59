"""GET /healthz: for whoever keeps the service running."""

from flask import Blueprint, Response, jsonify, request

from fileservice.web.health import Health
from fileservice.web.security import ANSWER_HEADERS


class ShuttingDown(Exception):
    def __init__(self) -> None:
        super().__init__("the service is being stopped; what runs is finished")


def routes(health: Health) -> Blueprint:
    """The route for health checks."""
    blueprint = Blueprint("ops", __name__)

    @blueprint.get("/healthz")
    def check() -> Response:
        if request.environ.get("transfer.stopping"):  # our own server tells
            raise ShuttingDown
        health.require()
        response = jsonify(status="ok")
        response.headers.update(ANSWER_HEADERS)
        return response

    return blueprint
