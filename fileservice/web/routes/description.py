"""GET /openapi.json and GET /docs: what the service can do, for programs and for people."""

import json
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from flask import Blueprint, Response, render_template, request
from markupsafe import Markup, escape

from fileservice import __version__
from fileservice.access import Action
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import requires
from fileservice.web.openapi import ProblemKind, document
from fileservice.web.revalidation import revalidated
from fileservice.web.security_headers import DOCUMENT_HEADERS, LIST_HEADERS
from fileservice.web.urls import base_url

_KEPT = 8
"""How many texts are kept, each of which has the URL, or the prefix, that a client uses."""
_HEADINGS = {
    "title": "The API",
    "needs": "Needs",
    "arguments": "Arguments",
    "body": "Body",
    "answers": "Answers",
    "records": "Records",
    "machine": "The same for programs",
}


def routes(dependencies: Dependencies, kinds: Iterable[ProblemKind]) -> Blueprint:
    """Return the routes for the description; `kinds` are those of all problems."""
    blueprint = Blueprint("description", __name__)
    blueprint.add_app_template_filter(_with_code, "with_code")

    @cache
    def described() -> dict[str, Any]:
        return document(kinds, dependencies.policy, __version__)

    @lru_cache(_KEPT)
    def text(base: str) -> str:
        return json.dumps({**described(), "servers": [{"url": base}]}, ensure_ascii=False) + "\n"

    @lru_cache(_KEPT)
    def page(_prefix: str) -> str:
        api = described()
        operations = {tag["name"]: list(_operations(api, tag["name"])) for tag in api["tags"]}
        records = {
            name: schema["properties"]
            for name, schema in api["components"]["schemas"].items()
            if "properties" in schema
        }
        return render_template(
            "docs.html", api=api, operations=operations, records=records, headings=_HEADINGS
        )

    @blueprint.get("/openapi.json")
    @requires(Action.PUBLIC)
    def openapi() -> Response:
        body = text(base_url(dependencies.public_url))
        return revalidated(Response(body, mimetype="application/json", headers=LIST_HEADERS))

    @blueprint.get("/docs")
    @requires(Action.PUBLIC)
    def docs() -> Response:
        body = page(request.script_root)
        return revalidated(Response(body, mimetype="text/html", headers=DOCUMENT_HEADERS))

    return blueprint


def _operations(api: dict[str, Any], tag: str) -> Iterable[dict[str, Any]]:
    """Return the operations with a tag, each with its method and its path."""
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                responses = {
                    status: _resolved(api, response)
                    for status, response in operation["responses"].items()
                }
                described = {**operation, "responses": responses}
                yield {**described, "method": method.upper(), "path": path}


def _resolved(api: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """Return a response, and the names of the records that it may have."""
    if "$ref" in response:
        response = api["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    schemas = schema.get("anyOf", [schema])
    records = [_record(api, each) for each in schemas if "$ref" in each]
    return {**response, "records": records}


def _record(api: dict[str, Any], reference: dict[str, str]) -> str:
    """Return the name of a record, or of those in an array, by a reference."""
    name = reference["$ref"].rpartition("/")[2]
    schema = api["components"]["schemas"][name]
    return _record(api, schema["items"]) if "items" in schema else name


def _with_code(text: str) -> Markup:
    """Return a text as HTML, with what stands between ` and ` as code."""
    parts = enumerate(text.split("`"))
    return Markup().join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in parts
    )
