"""What a trusted proxy says about the person who makes a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.access import Identity, InvalidIdentity
from tests.support.rows import every_row


@every_row(
    "name", ["ada", "ada@example.org", "Ada Lovelace", "Ädä", "a;b=c", "\u0430da", "x" * 255]
)
def test_name_is_kept_as_it_is(name: str) -> None:
    assert Identity.parse(name.encode()) == Identity(name)


@every_row("name", [b"", b" ", b"\t "])
def test_without_a_name_there_is_no_person_whatever_the_groups_are(name: bytes) -> None:
    assert Identity.parse(name, b"staff") is None


def test_whitespace_around_a_name_is_not_part_of_it() -> None:
    assert Identity.parse(b" \tada ") == Identity("ada")


@every_row(
    "name",
    [
        *(b"ada,bob", b"ada,", b",ada", b",", b"ada, ada"),
        *(b"\xff", b"ada\xe4", b"ada\x00", b"ada\x1f", b"ada\x7f"),
        *("ada\u200b".encode(), "ada\u00a0".encode(), "\u202eada".encode(), "ada\u2028".encode()),
        *(b"x" * 256, "ä".encode() * 128),
    ],
)
def test_name_that_is_not_exactly_one_is_refused(name: bytes) -> None:
    with pytest.raises(InvalidIdentity):
        Identity.parse(name)


def test_names_that_only_look_the_same_are_of_different_people() -> None:
    alike = ["ada", "Ada", "\u0430da", "a\u0308da", "\u00e4da", "ad a"]
    assert len({Identity.parse(name.encode()) for name in alike}) == len(alike)


@every_row(
    ("value", "groups"),
    [
        ("", ()),
        ("staff", ("staff",)),
        ("staff,admins", ("staff", "admins")),
        (" staff ,\tadmins , ", ("staff", "admins")),
        (",,staff,,", ("staff",)),
        ("role:owner, Fußball", ("role:owner", "Fußball")),
    ],
)
def test_groups_are_separated_by_commas(value: str, groups: tuple[str, ...]) -> None:
    assert Identity.parse(b"ada", value.encode()) == Identity("ada", groups)


@every_row("groups", [b"\xff", b"staff,\x01", "sta\u200bff".encode()])
def test_groups_that_cannot_be_read_are_refused(groups: bytes) -> None:
    with pytest.raises(InvalidIdentity):
        Identity.parse(b"ada", groups)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_any_bytes_are_one_name_or_none_or_are_refused(name: bytes, groups: bytes) -> None:
    try:
        identity = Identity.parse(name, groups)
    except InvalidIdentity:
        return
    if identity is None:
        assert not name.strip(b" \t")
    else:
        assert identity.name
        assert identity.name.encode() == name.strip(b" \t")
        assert "," not in "".join((identity.name, *identity.groups))
