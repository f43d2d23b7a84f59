"""Passwords: what is kept of them, and which password fits it."""

import pytest

from fileservice.access.passwords import hash_password, is_password
from tests.support.rows import every_row

KEPT = hash_password("correct horse")


def test_password_fits_what_was_kept_of_it_and_no_other_does() -> None:
    assert is_password("correct horse", KEPT)
    for wrong in ("", "correct hors", "correct horse ", "Correct horse", KEPT, "x" * 5000):
        assert not is_password(wrong, KEPT)


def test_what_is_kept_contains_nothing_of_the_password_and_differs_each_time() -> None:
    assert "horse" not in KEPT
    assert hash_password("correct horse") != KEPT


def test_characters_that_look_alike_are_the_same_however_they_are_typed() -> None:
    assert is_password("Zo\u0065\u0308", hash_password("Zo\u00eb"))


def test_lone_surrogates_are_a_wrong_password() -> None:
    assert not is_password("\ud800", KEPT)


@every_row(
    "damaged",
    [
        "",
        "correct horse",
        KEPT[:-1],
        KEPT.replace("scrypt", "plain"),
        KEPT.replace("scrypt:16384", "scrypt:16383"),
        KEPT.replace("scrypt:16384", "scrypt:99999999"),
    ],
)
def test_nothing_fits_a_text_that_is_damaged(damaged: str) -> None:
    assert not is_password("correct horse", damaged)
    assert not is_password("", damaged)


@every_row("password", ["", "x" * 1025])
def test_password_that_is_empty_or_too_long_is_not_kept(password: str) -> None:
    with pytest.raises(ValueError, match="1 to 1024 characters"):
        hash_password(password)
