"""What a link is to allow, as JSON: every mistake is named."""

import pytest

from fileservice.access import InvalidTerms, LinkTerms, UploadGrant
from fileservice.names import BadName
from tests.support.rows import every_row

NOW = 1_800_000_000.0
DAY = 86400
GUESTS = {"prefix": "from-ada-"}


def test_terms_of_a_link_to_a_file() -> None:
    terms = LinkTerms.parse(
        {"name": "a.pdf", "expires": "7d", "uses": 3, "note": "für Bob", "password": "x"}, NOW
    )
    assert terms == LinkTerms("a.pdf", None, 3, int(NOW) + 7 * DAY, "für Bob", "x")  # type: ignore[arg-type]


def test_terms_of_a_link_for_guests() -> None:
    upload = {"prefix": "from-ada-", "files": 5, "bytes": "1GiB"}
    terms = LinkTerms.parse({"upload": upload, "expires": "2d"}, NOW)
    assert terms.upload == UploadGrant("from-ada-", 5, 1 << 30)
    assert terms.expires == int(NOW) + 2 * DAY
    assert LinkTerms.parse({"upload": GUESTS}, NOW).upload == UploadGrant("from-ada-")
    assert LinkTerms.parse({"upload": GUESTS | {"bytes": 7}}, NOW).upload == UploadGrant(
        "from-ada-", None, 7
    )


def test_prefix_and_note_are_normalised_as_names_are() -> None:
    decomposed = {"upload": {"prefix": "fu\u0308r-"}, "note": "fu\u0308r"}
    terms = LinkTerms.parse(decomposed, NOW)
    assert terms.upload == UploadGrant("für-")
    assert terms.note == "für"


@every_row(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("366d", 366 * DAY),
        ("2027-01-15T08:00:10Z", 10),
        ("2027-01-15T09:00:10+01:00", 10),
    ],
)
def test_expiry_is_a_duration_or_a_time(text: str, seconds: int) -> None:
    assert LinkTerms.parse({"name": "a.txt", "expires": text}, NOW).expires == int(NOW) + seconds


def test_null_is_as_good_as_nothing() -> None:
    given = dict.fromkeys(("expires", "uses", "note", "password"))
    assert LinkTerms.parse({"name": "a.txt"} | given, NOW) == LinkTerms.parse(
        {"name": "a.txt"}, NOW
    )


MISTAKES: list[tuple[object, str]] = [
    (None, "the body"),
    ([], "the body"),
    ("x", "the body"),
    ({}, "name"),
    ({"name": "a.txt", "upload": GUESTS}, "name"),
    ({"name": 5}, "name"),
    ({"name": None}, "name"),
    ({"name": "a.txt", "use": 1}, "use"),
    ({"name": "a.txt", "x" * 5000: 1}, "x" * 100),
    *(({"name": "a.txt", "uses": v}, "uses") for v in (0, -1, 1001, 1.5, True, "3", [], 10**400)),
    ({"upload": GUESTS, "uses": 3}, "uses"),
    *(
        ({"name": "a.txt", "expires": value}, "expires")
        for value in (
            "0s", "0.5s", "367d", "99999999d", "7", "7 weeks", 7, True, "", "2020-01-01T00:00:00Z",
            "2027-01-15T08:00:10", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:00", "tomorrow",
        )
    ),
    *(({"name": "a.txt", "note": v}, "note") for v in ("x" * 201, "a\nb", "\x00", "\ud800", 5)),
    *(
        ({"name": "a.txt", "password": value}, "password")
        for value in ("", "x" * 1025, "\udfff", 5, [])
    ),
    *(({"upload": value}, "upload") for value in (None, [], "from-", 1)),
    ({"upload": {}}, "upload.prefix"),
    ({"upload": GUESTS | {"file": 1}}, "upload.file"),
    *(
        ({"upload": {"prefix": value}}, "upload.prefix")
        for value in ("", None, 5, "a/", "../", ".", "a\x00", "x" * 101, "é" * 51, "\ud800", " x")
    ),
    *(
        ({"upload": GUESTS | {"files": value}}, "upload.files")
        for value in (0, -1, True, "5", 1.0, 1_000_001)
    ),
    *(
        ({"upload": GUESTS | {"bytes": value}}, "upload.bytes")
        for value in (0, -1, True, 1.5, "", "1 GB", "0", 1 << 63, "9999999TiB", [])
    ),
    ({"name": "a.txt", "\ud800": 1}, "?"),  # which could not be written into a page
]  # fmt: skip


@every_row(("document", "member"), MISTAKES)
def test_mistake_is_named(document: object, member: str) -> None:
    with pytest.raises(InvalidTerms) as raised:
        LinkTerms.parse(document, NOW)
    assert raised.value.member == member
    assert str(raised.value).startswith(member)


@every_row("name", ["", "a/b.txt", "..", "\x00"])
def test_name_must_be_that_of_a_file(name: str) -> None:
    with pytest.raises(BadName):
        LinkTerms.parse({"name": name}, NOW)
