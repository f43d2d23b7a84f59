"""LinkTerms: what a link is to allow, from the members of a JSON object."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypeVar

from fileservice.access.errors import InvalidTerms
from fileservice.access.links import UploadGrant
from fileservice.access.rules_parser import parse_prefix
from fileservice.names import FileName
from fileservice.quantities import MAX_SIZE, parse_duration, parse_size

MAX_USES = 1000
LONGEST_DURATION = 366 * 86400
"""Seconds for which a link may be valid, if it is to expire at all."""
_LONGEST_NOTE = 200
_LONGEST_PREFIX = 100
"""Bytes in UTF-8, so that more than half of a name is left for the guest."""
_LONGEST_PASSWORD = 1024
_MOST_FILES = 1_000_000
T = TypeVar("T")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """What a link is to allow; it has either the name of a file or an upload."""

    name: FileName | None = None
    upload: UploadGrant | None = None
    uses: int | None = None
    expires: int | None = None
    """In seconds since 1970, UTC."""
    note: str = ""
    password: str = ""

    @classmethod
    def parse(cls, members: object, now: float) -> Self:
        """Return the terms that an object of JSON states. Raise InvalidTerms, BadName.

        `now` is in seconds since 1970.
        """
        known = ("name", "upload", "uses", "expires", "note", "password")
        given = _object("", members, known)
        if ("name" in given) == ("upload" in given):
            raise InvalidTerms("name", "or else `upload` must be given, and not both")
        if "upload" in given and "uses" in given:
            raise InvalidTerms("uses", "is only for a link to a file; limit `upload.files`")
        name = None
        if "name" in given:
            name = FileName.parse(_text("name", given["name"]))
        return cls(
            name=name,
            upload=_upload(given["upload"]) if "upload" in given else None,
            uses=_optional(given, "uses", lambda value: _count("uses", value, MAX_USES)),
            expires=_optional(given, "expires", lambda value: _expires(value, now)),
            note=_optional(given, "note", _note) or "",
            password=_optional(given, "password", _password) or "",
        )


def _upload(value: object) -> UploadGrant:
    given = _object("upload", value, ("prefix", "files", "bytes"))
    if "prefix" not in given:
        raise InvalidTerms("upload.prefix", "must be given")
    return UploadGrant(
        _prefix(given["prefix"]),
        _optional(given, "files", lambda value: _count("upload.files", value, _MOST_FILES)),
        _optional(given, "bytes", _bytes),
    )


def _object(where: str, value: object, known: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidTerms(where or "the body", "must be an object of JSON")
    for member in value:
        if member not in known:
            path = f"{where}.{member}" if where else str(member)
            # A text of JSON may have half of a character, which UTF-8 cannot.
            shown = path[:100].encode(errors="replace").decode()
            raise InvalidTerms(shown, f"is not known here; known are {', '.join(known)}")
    return value


def _optional(given: Mapping[str, object], member: str, parse: Callable[[object], T]) -> T | None:
    value = given.get(member)
    return None if value is None else parse(value)


def _text(member: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidTerms(member, "must be a text")
    return value


def _count(member: str, value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise InvalidTerms(member, f"must be a number from 1 to {most}")
    return value


def _prefix(value: object) -> str:
    text = _text("upload.prefix", value)
    if not text or len(text.encode("utf-8", "surrogatepass")) > _LONGEST_PREFIX:
        raise InvalidTerms("upload.prefix", f"must have 1 to {_LONGEST_PREFIX} bytes")
    try:
        return parse_prefix(text)
    except ValueError as error:
        raise InvalidTerms("upload.prefix", f"cannot be used: {error}") from None


def _bytes(value: object) -> int:
    if isinstance(value, str):
        try:
            value = parse_size(value)
        except ValueError as error:
            raise InvalidTerms("upload.bytes", str(error)) from None
    return _count("upload.bytes", value, MAX_SIZE)


def _expires(value: object, now: float) -> int:
    text = _text("expires", value)
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = _moment(text) - now
    if not 1 <= seconds <= LONGEST_DURATION:
        raise InvalidTerms("expires", f"must be within {LONGEST_DURATION // 86400} days from now")
    return int(now + seconds)


def _moment(text: str) -> float:
    """Return a time of RFC 3339 in seconds since 1970."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidTerms(
            "expires",
            "must be a duration such as 12h or 7d, or a time such as 2027-01-01T00:00:00Z",
        )
    return moment.timestamp()


def _note(value: object) -> str:
    note = unicodedata.normalize("NFC", _text("note", value))
    if len(note) > _LONGEST_NOTE or _CONTROL.search(note) or not _is_unicode(note):
        raise InvalidTerms("note", f"must be one line of at most {_LONGEST_NOTE} characters")
    return note


def _password(value: object) -> str:
    password = _text("password", value)
    if not 1 <= len(password) <= _LONGEST_PASSWORD or not _is_unicode(password):
        raise InvalidTerms("password", f"must have 1 to {_LONGEST_PASSWORD} characters")
    return password


def _is_unicode(text: str) -> bool:
    """Return whether the text can be written in UTF-8; JSON may contain half of a character."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
