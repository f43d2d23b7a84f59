"""Whom the claims of an OpenID provider are about."""

import pytest

from fileservice.access import UnusableClaims, person_of
from tests.support.rows import every_row

VERIFIED = {"sub": "1f3a", "email": "ada@example.org", "email_verified": True}


def test_verified_email_is_the_name() -> None:
    assert person_of(VERIFIED, "groups") == ("ada@example.org", ())


@every_row(
    "change",
    [
        {"email_verified": False},
        {"email_verified": None},
        {"email_verified": "true"},
        {"email_verified": 1},
        {"email": None},
        {"email": ""},
        {"email": ["ada@example.org"]},
        {"email": "ada@example.org\n"},
        {"email": "a" * 256},
    ],
)
def test_email_that_is_not_known_to_be_theirs_is_not_the_name(change: dict[str, object]) -> None:
    assert person_of(VERIFIED | change, "groups") == ("1f3a", ())


@every_row(
    "subject", [None, "", "ada@example.org", "@", 7, ["1f3a"], "1f\n3a", "a" * 256, "\ud800"]
)
def test_identifier_that_may_be_taken_for_something_else_is_not_the_name(subject: object) -> None:
    with pytest.raises(UnusableClaims):
        person_of({"sub": subject, "email": "ada@example.org"}, "groups")


@every_row(
    ("value", "groups"),
    [
        (["staff", "ops"], ("staff", "ops")),
        ("staff", ("staff",)),
        ("staff,ops", ("staff,ops",)),
        ([], ()),
        (None, ()),
        ({"staff": True}, ()),
        (["staff", 7, None, ["ops"], ""], ("staff",)),
    ],
)
def test_groups_are_those_of_the_claim(value: object, groups: tuple[str, ...]) -> None:
    assert person_of(VERIFIED | {"roles": value, "groups": ["other"]}, "roles")[1] == groups
