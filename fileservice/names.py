"""FileName: the only door from untrusted text to the key of a stored file."""

import re
import unicodedata
from typing import Self

MAX_BYTES = 255
"""What Linux file systems hold in one directory entry, in bytes."""

_RESERVED = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])(?:\..*)?", re.IGNORECASE
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, separators of lines, and surrogates, which UTF-8 cannot have."""


class BadName(ValueError):
    """The text cannot be a file's name; ``str(error)`` says which rule it breaks."""


class FileName(str):
    """A name that obeys every rule: one safe path segment in NFC, at most 255 bytes of UTF-8.

    Made by `parse` alone; code that is handed a FileName need not check it again.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check `text` against the rules for names; raise BadName with the first one it breaks.

        The text is brought to NFC (macOS sends NFD); beyond that nothing is ever repaired.
        """
        name = unicodedata.normalize("NFC", text)
        broken = _broken_rule(name)
        if broken:
            raise BadName(broken)
        return cls(name)

    @classmethod
    def parse_bytes(cls, raw: bytes) -> Self:
        """Like `parse`, for bytes that must be UTF-8."""
        try:
            return cls.parse(raw.decode("utf-8"))
        except UnicodeDecodeError:
            raise BadName("the name must be UTF-8") from None

    @property
    def extension(self) -> str:
        """What follows the last dot, in lower case; empty where there is no dot."""
        return self.rpartition(".")[2].lower() if "." in self else ""


def _broken_rule(name: str) -> str | None:
    if not name:
        return "the name is empty"
    if "/" in name or "\\" in name:
        return "the name must be one path segment, without / or \\"
    if _CONTROL.search(name):
        return "the name must not contain control characters"
    if name.startswith("."):
        return "the name must not begin with a dot"
    if name.endswith("."):
        return "the name must not end with a dot"
    if name != name.strip():
        return "the name must not begin or end with a space"
    if len(name.encode("utf-8")) > MAX_BYTES:
        return f"the name must be at most {MAX_BYTES} bytes long in UTF-8"
    if _RESERVED.fullmatch(name):
        return "the name is one that Windows reserves for a device"
    return None
