"""Identity: the person that a trusted proxy names in header fields, and its groups."""

from dataclasses import dataclass

from fileservice.access.errors import InvalidIdentity

_MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as the proxy names it; `ACCESS_FILE` says what it may do."""

    name: str
    groups: tuple[str, ...] = ()

    @classmethod
    def parse(cls, name: bytes, groups: bytes = b"") -> "Identity | None":
        """Parse the values of the two fields, in UTF-8; None if the name is empty.

        Groups are separated by commas. Raise InvalidIdentity for a name with a comma: fields in
        several lines are joined by one (RFC 9110 section 5.2), so a client may have sent a part of
        the value. The text is not changed otherwise: names that differ only by case or by their
        Unicode normal form may be of different people.
        """
        parsed = _decode(name)
        if "," in parsed:
            raise InvalidIdentity("has several values or a comma")
        if len(parsed.encode()) > _MAX_NAME_BYTES:
            raise InvalidIdentity(f"has more than {_MAX_NAME_BYTES} bytes")
        if not parsed:
            return None
        members = map(_decode, groups.split(b","))
        return cls(parsed, tuple(group for group in members if group))


def _decode(value: bytes) -> str:
    try:
        text = value.strip(b" \t").decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidIdentity("is not UTF-8") from None
    if not text.isprintable():
        raise InvalidIdentity("has characters that cannot be seen")
    return text
