"""The responses that report problems, each of which several operations may have."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from fileservice.web.openapi.operations import TEXT
from fileservice.web.openapi.schemas import MEMBERS, record

_HEADER_FIELDS = {"method-not-allowed": "Allow"}
"""Code → the header field that a response with this problem always has."""


class ProblemKind(Protocol):
    """A row of the table of problems."""

    @property
    def code(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def raised(self) -> Mapping[type[Exception], tuple[str, ...]]: ...
    @property
    def type_prefix(self) -> str: ...


class ProblemResponses:
    """Makes the responses that operations need, and keeps them for the document."""

    def __init__(self, kinds: Mapping[str, ProblemKind]) -> None:
        """`kinds` are all kinds of problems by their codes."""
        self._kinds = kinds
        self._names: dict[tuple[str, ...], str] = {}
        self.responses: dict[str, Any] = {}
        self.schemas = {_schema_name(kind.code): _schema(kind) for kind in kinds.values()}

    def references(self, codes: Iterable[str], *, has_body: bool) -> dict[str, Any]:
        """Return the responses that report problems with these codes, by their status.

        A response to HEAD has no body.
        """
        by_status: dict[int, set[str]] = {}
        for code in codes:
            by_status.setdefault(self._kinds[code].status, set()).add(code)
        alike = {str(status): tuple(sorted(codes)) for status, codes in by_status.items()}
        if not has_body:
            return {status: self._without_body(codes) for status, codes in alike.items()}
        return {status: self._reference(status, codes) for status, codes in alike.items()}

    def _reference(self, status: str, codes: tuple[str, ...]) -> dict[str, str]:
        if codes not in self._names:
            number = sum(name.startswith(status) for name in self.responses) + 1
            self._names[codes] = name = f"{status}-{number}"
            self.responses[name] = self._with_body(codes)
        return {"$ref": f"#/components/responses/{self._names[codes]}"}

    def _without_body(self, codes: tuple[str, ...]) -> dict[str, Any]:
        titles = (f"{self._kinds[code].title} (`{code}`)" for code in codes)
        described: dict[str, Any] = {"description": "; ".join(titles)}
        fields = [_HEADER_FIELDS[code] for code in codes if code in _HEADER_FIELDS]
        if fields:
            described["headers"] = {
                name: {"$ref": f"#/components/headers/{name}"} for name in fields
            }
        return described

    def _with_body(self, codes: tuple[str, ...]) -> dict[str, Any]:
        schemas = [{"$ref": f"#/components/schemas/{_schema_name(code)}"} for code in codes]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        content = {"application/problem+json": {"schema": schema}, "text/html": {"schema": TEXT}}
        return {**self._without_body(codes), "content": content}


def _schema_name(code: str) -> str:
    return f"problem-{code}"


def _schema(kind: ProblemKind) -> dict[str, Any]:
    """Return the schema of a kind of problem."""
    members = dict.fromkeys(name for names in kind.raised.values() for name in names)
    if kind.code == "internal":
        members["id"] = None
    return {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            record(
                {
                    "type": {"const": kind.type_prefix + kind.code},
                    "status": {"const": kind.status},
                    "code": {"const": kind.code},
                    **{name: MEMBERS[name] for name in members},
                },
                optional=tuple(members),
            ),
        ]
    }
