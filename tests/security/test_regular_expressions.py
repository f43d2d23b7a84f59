"""Texts for which a regular expression would need time that grows faster than the text.

See also tests/serving/test_framing.py for the field Accept.
"""

import contextlib
import re
import time
from collections.abc import Callable

import pytest

from fileservice.addresses import is_authority, parse_address
from fileservice.names import BadName, FileName
from fileservice.protocols import forms
from fileservice.protocols.conditional import Conditions, Outcome, Validators, evaluate, parse_date
from fileservice.protocols.credentials import parse_authorization
from fileservice.protocols.digests import parse_digests
from fileservice.protocols.errors import BadExpiry, BadForm, ProtocolError
from fileservice.protocols.expiry_times import parse_expiry
from fileservice.protocols.forms import form_file
from fileservice.protocols.ranges import requested_ranges
from fileservice.serving import chunks
from fileservice.serving.redaction import without_secrets
from fileservice.web.local_path import local_path

SMALL, TIMES = 1000, 16
LARGEST_RATIO = 4 * TIMES
"""Time that is proportional has the ratio TIMES; time that is quadratic, TIMES squared."""
_SHORTEST = 2e-4
"""Seconds below which a time says nothing on a busy machine."""

_FORM = b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


def evaluated(text: str) -> Outcome:
    return evaluate("GET", Conditions(if_none_match=text), Validators('"x"', 0))


def read_form(blocks: list[bytes]) -> None:
    with contextlib.suppress(BadForm):
        for _ in form_file("multipart/form-data; boundary=X", map(memoryview, blocks)).blocks:
            pass


CASES: dict[str, Callable[[int], object]] = {
    "name of spaces": lambda n: FileName.parse("CON" + " " * n + "a"),
    "name of joiners": lambda n: FileName.parse("a" + "\u200d" * n),
    "entity tags": lambda n: evaluated('"a", ' * n + "x"),
    "entity tag of spaces": lambda n: evaluated('"a"' + " " * n + "x"),
    "empty entity tags": lambda n: evaluated(" ," * n + "x"),
    "date of spaces": lambda n: parse_date("Sun Nov " + " " * n + "6 08:49:37 1994"),
    "credentials": lambda n: parse_authorization("Bearer " + "=" * n),
    "digests": lambda n: parse_digests("Repr-Digest", "a=:" + "A" * n),
    "digest of spaces": lambda n: parse_digests("Repr-Digest", " " * n + "a"),
    "expiry": lambda n: parse_expiry("9" * n + " " * n + "x", 0.0),
    "ranges": lambda n: requested_ranges("bytes=" + "1" * n + "-" * n, 10),
    "authority": lambda n: is_authority("a." * n + "!"),
    "address": lambda n: parse_address("[" + ":" * n),
    "path to return to": lambda n: local_path("/" + "a/" * n + "\\", ""),
    "target with a secret": lambda n: without_secrets("%25" * n + "2"),
    "target of escapes in escapes": lambda n: without_secrets("%" + "25" * n),
    "target of words after escapes": lambda n: without_secrets(("%3D" + "%41" * 42) * (n // 40)),
    "target of slashes": lambda n: without_secrets("/s/" * n),
    "target of words": lambda n: without_secrets("A" * 43 * (n // 40)),
    "size of a chunk": lambda n: chunks._SIZE_LINE.fullmatch(b"1" + b' ;a="' * n),
    "extension of spaces": lambda n: chunks._SIZE_LINE.fullmatch(b"1" + b" " * n + b"x"),
    "delimiters of a form": lambda n: read_form([_FORM + b"\r\n--X" * n + b"y"]),
    "parameters of a part": lambda n: forms._PARAMETER.findall(";a " * n),
    "quotes of a part": lambda n: forms._PARAMETER.findall(';a="\\' * n),
}


def seconds(call: Callable[[int], object], size: int) -> float:
    """Return the shortest of some times that the call takes, in seconds of this process."""
    times = []
    for _ in range(3):
        began = time.process_time()
        with contextlib.suppress(BadName, BadExpiry, ProtocolError, ValueError):
            call(size)
        times.append(time.process_time() - began)
    return max(min(times), _SHORTEST)


def grows_too_fast(call: Callable[[int], object]) -> bool:
    return seconds(call, SMALL * TIMES) / seconds(call, SMALL) > LARGEST_RATIO


@pytest.mark.parametrize("case", CASES)
def test_time_is_proportional_to_the_text(case: str) -> None:
    assert not grows_too_fast(CASES[case])


def test_time_that_is_quadratic_is_recognised() -> None:
    assert grows_too_fast(lambda n: re.search(r"\s+$", " " * (n // 4) + "x"))


def padded_delimiter(n: int) -> None:
    """Read a form in which spaces that arrive slowly follow what looks like a delimiter."""
    blocks = [_FORM + b"\r\n--X", *[b" " * 10] * (n // 10), b"y"]
    read_form(blocks)


def test_spaces_after_a_delimiter_are_not_looked_at_again_and_again() -> None:
    assert not grows_too_fast(padded_delimiter)


def test_without_the_limit_of_such_spaces_the_time_is_quadratic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unlimited = forms._AFTER_DELIMITER.replace(b"{0,64}", b"*")
    monkeypatch.setattr(forms, "_AFTER_DELIMITER", unlimited)
    assert grows_too_fast(padded_delimiter)
