"""Authorization: which secret a request shows."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from fileservice.protocols.credentials import parse_authorization
from tests.support.rows import every_row


def basic(pair: bytes | str) -> str:
    raw = pair.encode() if isinstance(pair, str) else pair
    return f"Basic {base64.b64encode(raw).decode()}"


@every_row(
    ("value", "secret"),
    [
        ("Bearer fs_abc-DEF_123", "fs_abc-DEF_123"),
        ("bearer   a.b~c+d/e==", "a.b~c+d/e=="),
        ("BEARER x", "x"),
        (basic("any:fs_abc"), "fs_abc"),
        (basic(":fs_abc"), "fs_abc"),
        (basic("a:b:c"), "b:c"),
        (basic("é:ü"), "ü"),
        ("basic " + basic("a:b")[6:], "b"),
    ],
)
def test_secret_is_the_token_of_bearer_or_the_password_of_basic(value: str, secret: str) -> None:
    assert parse_authorization(value) == secret


@every_row(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "fs_abc",
        "Bearer a b",
        "Bearer a,Bearer b",
        "Bearer a, Basic b",
        "Bearer\ta",
        " Bearer a",
        "Bearer a ",
        "Bearer =",
        "Bearer é",
        "Bearer a\n",
        'Bearer token="a"',
        "Token a",
        "Digest a",
        "Basic a",
        "Basic YTpi=",
        "Basic YTpiYw",
        "Basic YT*i",
        "Basic YTpi====",
        basic("no colon"),
        basic("user:"),
        basic(b"user:\xff"),
        basic("user:a\0b"),
        basic("us\ner:ab"),
        "Bearer " + "a" * 1024,
        basic("a" * 400 + ":" + "b" * 400),
    ],
)
def test_anything_else_is_not_a_secret(value: str) -> None:
    assert parse_authorization(value) is None


@given(user=st.text().filter(lambda text: ":" not in text), password=st.text(min_size=1))
def test_password_in_utf8_comes_out_as_it_went_in(user: str, password: str) -> None:
    found = parse_authorization(basic(f"{user}:{password}"))
    assert found in (password, None)
    if len(user + password) < 150 and f"{user}{password}".isprintable():
        assert found == password


@given(st.text())
def test_no_text_is_an_error(value: str) -> None:
    parse_authorization(value)
    parse_authorization(f"Basic {value}")
