"""FileName: the only door from untrusted text to the key of a stored file."""

import re
import unicodedata
from typing import Self

MAX_BYTES = 255
"""What Linux file systems hold in one directory entry, in bytes."""

_RESERVED = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³]) *(?:[.:].*)?", re.IGNORECASE
)
"""Windows overlooks spaces before the extension, and a colon ends the name of a device."""
_PLANES = range(0, 0x110000, 0x10000)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, separators of lines, and surrogates, which UTF-8 cannot have."""
_BIDIRECTIONAL = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What turns the direction of text, so that gpj.exe reads as exe.jpg (UAX 9, section 2)."""
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
    "\ufff0-\ufffb\ufdd0-\ufdef\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff"
    "\U000e01f0-\U000e0fff" + "".join(f"{chr(p + 0xFFFE)}{chr(p + 0xFFFF)}" for p in _PLANES) + "]"
)
"""What nobody sees: Default_Ignorable_Code_Point (UAX 44) but for the characters below, marks of
interlinear text, and noncharacters. The three flags that emoji spell with tags go with them."""
_JOINERS = "\u200c\u200d"
_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_VIRAMAS = "".join(chr(c) for c in range(0x0900, 0x0E00) if unicodedata.combining(chr(c)) == 9)
_MISPLACED = re.compile(
    f"(?<![^\0-\x7f{_JOINERS}])[{_JOINERS}]"
    f"|(?<![{_VIRAMAS}])[{_JOINERS}](?![^\0-\x7f{_JOINERS}])"
    f"|(?<![^\0-\x22\x24-\x29\x2b-\x2f\x3a-\x7f{_JOINERS}{_SELECTORS}])[{_SELECTORS}]"
)
"""Joiners and variation selectors are invisible, too, but Persian, the scripts of India and emoji
cannot be written without them. They pass where they have something to act upon: a joiner between
two characters that are visible and not ASCII, or behind a virama (RFC 5892, appendix A); a selector
behind such a character, or a digit, # or * of a keycap."""


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
    """What keeps people from seeing which name this is, if anything does."""
    for pattern, what in (
        (_BIDIRECTIONAL, "a character that turns the direction of text"),
        (_INVISIBLE, "an invisible character"),
        (_MISPLACED, "a joiner or variation selector where there is nothing for it to act upon"),
    ):
        found = pattern.search(name)
        if found:
            return f"{what} (U+{ord(found[0]):04X})"
    return None
