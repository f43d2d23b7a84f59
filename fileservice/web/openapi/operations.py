"""Operation: what one method does at one path, and how it may be answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE_NUMBER: Schema = {"type": "integer", "minimum": 0}

OF_ANY = ("bad-request", "unauthenticated", "wrong-host", "too-many-requests", "internal", "busy",
          "storage-unavailable", "audit-unavailable")  # fmt: skip
"""The codes of problems with which every request may be answered."""
OF_PATHS = ("method-not-allowed",)
"""What any other method at the path of an operation is answered with."""
OF_CHANGES = ("cross-site",)
OF_BODIES = ("incomplete-body", "too-slow", "length-required")
OF_SCOPES = ("forbidden",)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path, an argument of the query string, or a header field of the request."""

    name: str
    place: str
    """`path`, `query` or `header`."""
    description: str
    schema: Schema = field(default_factory=lambda: TEXT)
    required: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the object of OpenAPI."""
        return {
            "name": self.name,
            "in": self.place,
            "description": self.description,
            "required": self.required or self.place == "path",
            "schema": self.schema,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no problem."""

    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    """Media type → schema. An answer without a body has none."""
    header_fields: tuple[str, ...] = ()

    def to_json(self, *, has_body: bool) -> dict[str, Any]:
        """Return the object of OpenAPI; HEAD has no body."""
        answer: dict[str, Any] = {"description": self.description}
        if self.header_fields:
            answer["headers"] = {
                name: {"$ref": f"#/components/headers/{name}"} for name in self.header_fields
            }
        if self.content and has_body:
            answer["content"] = {kind: {"schema": schema} for kind, schema in self.content.items()}
        return answer


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method does at one path."""

    method: str
    path: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    problems: tuple[str, ...] = ()
    """Codes beside those that every request may be answered with."""
    needs: tuple[str, ...] = ()
    """Scopes; `any` is any of them, and `link` the link whose secret is in the path."""
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Schema] = field(default_factory=dict)
    """Media type → schema."""
    body_required: bool = True
    description: str = ""
    name: str = ""
    """Its name in the document if it cannot be made of the method and the path."""
    passes_door: bool = True
    """Whether it is found out who makes the request, which OPTIONS does not need."""

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all problems with which it, or another method, may be answered."""
        if not self.passes_door:
            return ("bad-request", "wrong-host", "internal", "busy", *OF_PATHS)
        codes = OF_ANY + OF_PATHS + self.problems
        if self.needs and self.needs != ("link",):
            codes += OF_SCOPES
        if self.method not in ("GET", "HEAD"):
            codes += OF_CHANGES
        return codes


def ref(schema: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{schema}"}


def header(
    name: str, description: str, schema: Schema = TEXT, *, required: bool = False
) -> Parameter:
    """Return a header field of a request."""
    return Parameter(name, "header", description, schema, required)


def argument(name: str, description: str, schema: Schema = TEXT) -> Parameter:
    """Return an argument of the query string."""
    return Parameter(name, "query", description, schema)
