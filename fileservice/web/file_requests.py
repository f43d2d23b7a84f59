"""What a request wants of a stored file: nothing new, all of it, or some ranges."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from fileservice.protocols.conditional import Conditions, Outcome, evaluate, range_applies
from fileservice.protocols.ranges import ByteRange, requested_ranges
from fileservice.storage import Opened, StoredFile
from fileservice.web.errors import BadQuery, PreconditionFailed
from fileservice.web.representations import validators
from fileservice.web.requests import conditions, query_argument

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_KEYS_OF_CONDITIONS = (
    "HTTP_IF_MATCH",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_UNMODIFIED_SINCE",
    "HTTP_IF_RANGE",
)


@dataclass(frozen=True, slots=True)
class FileRequest:
    """What GET or HEAD says about the file that it wants."""

    method: str
    conditions: Conditions | None
    """None if there are none."""
    range: str | None
    """The value of Range."""
    inline: bool
    """Whether a browser is to show the file rather than to save it."""

    @classmethod
    def of(cls, environ: "WSGIEnvironment") -> Self:
        """Read the environment of a request. Raise BadQuery."""
        inline = query_argument(environ, "inline") or "0"
        if inline not in ("0", "1"):
            raise BadQuery("inline must be 0 or 1")
        is_unconditional = environ.keys().isdisjoint(_KEYS_OF_CONDITIONS)
        return cls(
            environ["REQUEST_METHOD"],
            None if is_unconditional else conditions(environ),
            environ.get("HTTP_RANGE"),
            inline == "1",
        )

    @property
    def wants_whole_file(self) -> bool:
        """Whether the response will have all bytes of the file."""
        return self.method == "GET" and self.range is None and self.conditions is None

    def is_modified(self, file: StoredFile) -> bool:
        """Return whether the client needs a response other than 304. Raise PreconditionFailed."""
        if self.conditions is None:
            return True
        outcome = evaluate(self.method, self.conditions, validators(file))
        if outcome is Outcome.PRECONDITION_FAILED:
            raise PreconditionFailed
        return outcome is not Outcome.NOT_MODIFIED

    def begin_ranges(self, opened: Opened) -> tuple[ByteRange, ...]:
        """Return the ranges to send, none if it is the whole file, and begin to read the first.

        Raise RangeNotSatisfiable, or VersionChanged if the file was replaced since it was opened.
        """
        if self.method != "GET":
            return ()
        file, ranges = opened.file, tuple[ByteRange, ...]()
        if self.range and (not self.conditions or range_applies(self.conditions, validators(file))):
            ranges = requested_ranges(self.range, file.size)
        first, length = (ranges[0].first, ranges[0].length) if ranges else (0, file.size)
        opened.begin_range(first, first + length)
        return ranges
