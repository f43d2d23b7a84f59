"""Redaction: leave the secrets of tokens and links out of texts.

Those of tokens are not accepted in a URL, but a client that is set up wrongly sends them there, and
the target of every request is logged. Those of links are part of a path. A head that cannot be
parsed is quoted in its answer.
"""

import re

_TOKEN = re.compile("fs_[A-Za-z0-9_-]{43}")
_IN_PATH = re.compile(r"((?:/|%2f)(?:s|%73)(?:/|%2f))[^/\\?#&\s\"'<>]+", re.IGNORECASE)
"""The segment after /s/, wherever it is in a text: every character of a path may be encoded."""


def without_secrets(text: str) -> str:
    """Return the text without secrets.

    In their place is ``fs_[secret]`` for a token, and ``/s/[secret]`` for a link.
    """
    return _IN_PATH.sub(r"\1[secret]", _TOKEN.sub("fs_[secret]", text))
