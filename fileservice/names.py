"""FileName: the only way from untrusted text to the name of a stored file."""

import re
import unicodedata
from typing import Self

MAX_BYTES = 255
"""Linux file systems have no room for more bytes in the name of a file (NAME_MAX)."""

_RESERVED = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³]) *(?:[.:].*)?", re.IGNORECASE
)
"""The names of devices in Windows, which ignores spaces before the extension, and for which a colon
ends the name of a device."""
_PLANES = range(0, 0x110000, 0x10000)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line and paragraph separators, and surrogates, which UTF-8 excludes."""
_BIDIRECTIONAL = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that change the direction of text: gpj.exe is read as exe.jpg (UAX 9 section 2)."""
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\ufdd0-\ufdef\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff"
    "\U000e01f0-\U000e0fff" + "".join(f"{chr(p + 0xFFFE)}{chr(p + 0xFFFF)}" for p in _PLANES) + "]"
)
"""Characters that are not displayed: Default_Ignorable_Code_Point (UAX 44) except for joiners and
variation selectors, interlinear annotation marks, and noncharacters. The tag characters are among
them, so the emoji of three flags (England, Scotland, Wales) cannot be used."""
_JOINERS = "\u200c\u200d"
_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_VIRAMAS = "".join(chr(c) for c in range(0x0900, 0x0E00) if unicodedata.combining(chr(c)) == 9)
_INEFFECTIVE = re.compile(
    f"(?<![^\0-\x7f{_JOINERS}])[{_JOINERS}]"
    f"|(?<![{_VIRAMAS}])[{_JOINERS}](?![^\0-\x7f{_JOINERS}])"
    f"|(?<![^\0-\x22\x24-\x29\x2b-\x2f\x3a-\x7f{_JOINERS}{_SELECTORS}])[{_SELECTORS}]"
)
"""Joiners and variation selectors are not displayed either, but Persian, the scripts of India and
emoji need them. They are accepted where they have an effect: a joiner between two visible
characters that are not ASCII, or after a virama (RFC 5892 appendix A); a variation selector after a
visible character that is not ASCII, or after a digit, # or * (keycaps)."""


class BadName(ValueError):
    """The text cannot be the name of a file; ``str(error)`` says which rule it breaks."""


class FileName(str):
    """A valid name of a file: one safe path segment in NFC, at most MAX_BYTES long in UTF-8.

    Only `parse` creates it, so code that receives a FileName does not check it again.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return `text` as a name; raise BadName with the first rule that it breaks.

        The text is normalised to NFC, since macOS sends NFD. Nothing else is changed.
        """
        name = unicodedata.normalize("NFC", text)
        problem = _problem(name)
        if problem:
            raise BadName(problem)
        return cls(name)

    @classmethod
    def parse_bytes(cls, raw: bytes) -> Self:
        """Like `parse`, for bytes; raise BadName if they are not UTF-8."""
        try:
            return cls.parse(raw.decode("utf-8"))
        except UnicodeDecodeError:
            raise BadName("the name must be UTF-8") from None

    @property
    def extension(self) -> str:
        """The text after the last dot, in lower case; empty if there is no dot."""
        return self.rpartition(".")[2].lower() if "." in self else ""


def _problem(name: str) -> str | None:
    """Return the first rule that the name breaks, as a sentence; None if it is valid."""
    if not name:
        return "the name is empty"
    if "/" in name or "\\" in name:
        return "the name must be one path segment, without / or \\"
    if _CONTROL.search(name):
        return "the name must not contain control characters"
    hidden = None if name.isascii() else _hidden_character(name)
    if hidden:
        return f"the name must not contain {hidden}"
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


def _hidden_character(name: str) -> str | None:
    """Return a character, with its kind, that keeps people from seeing which name this is."""
    for pattern, kind in (
        (_BIDIRECTIONAL, "a character that changes the direction of text"),
        (_INVISIBLE, "an invisible character"),
        (_INEFFECTIVE, "a joiner or variation selector that has no effect where it is"),
    ):
        match = pattern.search(name)
        if match:
            return f"{kind} (U+{ord(match[0]):04X})"
    return None
