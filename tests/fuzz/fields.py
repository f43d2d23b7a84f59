"""Targets: the values of header fields and of query strings."""

import contextlib
import re
from datetime import UTC, datetime

from werkzeug import http
from werkzeug.datastructures import Authorization, MultiDict

from fileservice.protocols import conditional, resumable_draft
from fileservice.protocols import tus as tus_fields
from fileservice.protocols.credentials import parse_authorization
from fileservice.protocols.digests import parse_digests
from fileservice.protocols.errors import (
    BadChecksum,
    BadDigestHeader,
    BadExpiry,
    BadField,
    BadMetadata,
    RangeNotSatisfiable,
)
from fileservice.protocols.expiry_times import parse_expiry
from fileservice.protocols.ranges import content_range, requested_ranges
from fileservice.serving.redaction import without_secrets
from fileservice.storage import END_OF_9999
from fileservice.web.errors import BadQuery
from fileservice.web.list_query import MAX_PAGE_SIZE, Query
from fileservice.web.localization import LANGUAGES, language_of

_SIZE = 1000
_NOW = 1_700_000_000.0
_TAG = '"abc"'
_CURRENT = conditional.Validators(_TAG, int(_NOW))
_SECRET = "A" * 43


def ranges(data: bytes) -> None:
    """Few ranges that are within the file, and those that Werkzeug reads, if there is one."""
    text = data.decode("latin-1")
    try:
        parts = requested_ranges(text, _SIZE)
    except RangeNotSatisfiable as error:
        assert error.size == _SIZE
        return
    assert len(parts) <= 64
    positions = [position for part in parts for position in range(part.first, part.last + 1)]
    assert set(positions) <= set(range(_SIZE))
    assert len(set(positions)) == len(positions)
    if len(parts) == 1 and "," not in text and len(text) < 100:
        read = http.parse_range_header(text)
        assert read is not None, text
        # Werkzeug refuses a suffix that is longer than the file.
        expected = read.range_for_length(_SIZE) or (0, _SIZE)
        assert expected == (parts[0].first, parts[0].last + 1)
        assert http.parse_content_range_header(content_range(parts[0], _SIZE)) is not None


def conditions(data: bytes) -> None:
    """The tags are among those that Werkzeug reads; a malformed list matches nothing."""
    text = data.decode("latin-1")
    tags = conditional.required_tags(text)
    if tags and tags != ("*",):
        read = http.parse_etags(text)
        for tag in tags:
            if tag and "," not in tag:  # which Werkzeug does not read
                assert read.is_strong(tag), (tag, text)
    for method in ("GET", "PUT"):
        fields = conditional.Conditions(if_match=text)
        outcome = conditional.evaluate(method, fields, _CURRENT)
        matched = outcome is conditional.Outcome.PROCEED
        assert matched == ("abc" in tags or tags == ("*",))
    for field in ("if_none_match", "if_modified_since", "if_unmodified_since", "if_range"):
        fields = conditional.Conditions(**{field: text})
        outcome = conditional.evaluate("GET", fields, _CURRENT)
        assert isinstance(outcome, conditional.Outcome)
        assert conditional.evaluate("GET", fields, None) is conditional.Outcome.PROCEED
        assert conditional.range_applies(fields, _CURRENT) in (True, False)


def date(data: bytes) -> None:
    """A date is the one that the standard library reads, and formatted again the same."""
    text = data.decode("latin-1")
    seconds = conditional.parse_date(text)
    if seconds is None:
        return
    assert conditional.parse_date(conditional.format_date(seconds)) == seconds
    is_usual = (
        re.search(" (?:1[6-9]|[2-9][0-9])[0-9]{2}(?: |$)", text.strip()) and ":60" not in text
    )
    read = http.parse_date(text.strip()) if is_usual else None
    assert read is None or read == datetime.fromtimestamp(seconds, UTC)


def digests(data: bytes) -> None:
    """A digest has the size of its algorithm, and is parsed to itself."""
    text = data.decode("latin-1")
    try:
        found = parse_digests("Repr-Digest", text)
    except BadDigestHeader as error:
        assert str(error)
        return
    for algorithm, digest in found.items():
        assert len(digest) == {"sha-256": 32, "sha-512": 64}[algorithm]


def credentials(data: bytes) -> None:
    """A secret is the one that Werkzeug reads."""
    text = data.decode("latin-1")
    secret = parse_authorization(text)
    if secret is None:
        return
    assert 0 < len(secret) <= 1024
    read = Authorization.from_header(text)
    assert read is not None
    assert secret == (read.token if read.type == "bearer" else read.password)


def expiry(data: bytes) -> None:
    """A time is in the future and can be written in a field."""
    text = data.decode("latin-1")
    with contextlib.suppress(BadExpiry):
        seconds = parse_expiry(text, _NOW)
        assert _NOW < seconds <= END_OF_9999
        assert conditional.parse_date(conditional.format_date(seconds)) == seconds


def language(data: bytes) -> None:
    """Any preference leads to a language that there is."""
    chosen = language_of({"HTTP_ACCEPT_LANGUAGE": data.decode("latin-1")})
    assert chosen in LANGUAGES.values()


def tus(data: bytes) -> None:
    """Numbers are not negative, keys are printable, digests have the size of their algorithm."""
    text = data.decode("latin-1")
    with contextlib.suppress(BadField):
        number = tus_fields.number({"Upload-Length": text}, "Upload-Length")
        assert number is not None
        assert 0 <= number < 10**18
        assert number == int(text)
    with contextlib.suppress(BadField):
        assert tus_fields.length({"Upload-Defer-Length": text}) is None
        assert text == "1"
    with contextlib.suppress(BadMetadata):
        values = tus_fields.metadata({"Upload-Metadata": text})
        assert len(values) <= text.count(",") + 1
        assert sum(map(len, values.values())) <= len(text)
        for key in values:
            assert key.isascii()
            assert key.isprintable()
            assert not set(key) & set(", ")
    with contextlib.suppress(BadChecksum):
        checksum = tus_fields.Checksum.parse({"Upload-Checksum": text})
        assert checksum
        size = {"md5": 16, "sha1": 20, "sha256": 32}[checksum.algorithm]
        assert len(checksum.digest) == size


def draft(data: bytes) -> None:
    """A structured field has its value, or none."""
    text = data.decode("latin-1")
    fields = {"Upload-Complete": text, "Upload-Offset": text}
    assert resumable_draft.complete(fields) == {"?0": False, "?1": True}.get(text.strip(" "))
    number = resumable_draft.number(fields, "Upload-Offset")
    assert number is None or 0 <= number < 10**15
    assert number is None or number == int(text)


def list_query(data: bytes) -> None:
    """A query selects a bounded page, and the one of its next page is parsed to the same."""
    text = data.decode("utf-8", "replace")
    names = ("sort", "limit", "after", "before", "prefix", "q")
    values = zip(names, text.split("\n"), strict=False)
    arguments = MultiDict({name: value for name, value in values if value})
    try:
        query = Query.parse(arguments, "")
        value, name = query.order.parse_cursor(query.after or query.before or "0/")
    except BadQuery as error:
        assert str(error)
        return
    assert query.limit is None or 1 <= query.limit <= MAX_PAGE_SIZE
    assert isinstance(value, int)
    assert isinstance(name, str)
    assert str(query.order.parse(str(query.order))) == str(query.order)


def redaction(data: bytes) -> None:
    """No secret is left, whatever surrounds it; and what is left has no more than there was."""
    text = data.decode("latin-1")
    for surrounded in (f"{text}fs_{_SECRET}{text}", f"{text}/s/{_SECRET}/{text}"):
        assert f"fs_{_SECRET}" not in without_secrets(surrounded)
        assert f"/s/{_SECRET}" not in without_secrets(surrounded)
    if _SECRET not in text:  # which may be the name of a file
        assert _SECRET not in without_secrets(f"{text}%3D{_SECRET}%26{text}")
    assert len(without_secrets(text)) <= len(text) + len("[secret]") * (
        text.count("/") + text.count("%") + 1
    )
