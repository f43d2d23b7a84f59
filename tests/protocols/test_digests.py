"""Content-Digest and Repr-Digest, as RFC 9530 and RFC 9651 define them."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.protocols.digests import declared_digests, parse_digests, repr_digest
from fileservice.protocols.errors import BadDigestHeader
from tests.support.rows import every_row

# The digests that RFC 9530 appendix B gives for {"hello": "world"} with a line feed at its end.
HELLO = b'{"hello": "world"}\n'
SHA_256 = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
SHA_512 = (
    "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCs"
    "yRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:"
)
OTHER = f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"


def test_digests_of_the_specification_are_parsed() -> None:
    assert parse_digests("Repr-Digest", f"{SHA_256}, {SHA_512}") == {
        "sha-256": hashlib.sha256(HELLO).digest(),
        "sha-512": hashlib.sha512(HELLO).digest(),
    }


@given(st.binary(min_size=32, max_size=32))
def test_formatted_digest_is_parsed_to_the_same_bytes(digest: bytes) -> None:
    assert parse_digests("Repr-Digest", repr_digest(digest)) == {"sha-256": digest}


def test_unknown_digest_is_formatted_to_none() -> None:
    assert repr_digest(None) is None


@every_row("value", [None, ""])
def test_missing_or_empty_field_has_no_digests(value: str | None) -> None:
    assert parse_digests("Repr-Digest", value) == {}


@every_row(
    "value",
    [
        f" {SHA_256} ",
        f"\t{SHA_256}\t",
        f"{SHA_256};preference=10",
        f"md5=:1B2M2Y8AsgTpgAmY7PhCfg==:,{SHA_256}",
        f"{SHA_256} , unixsum=:BgA=:;a;b=1",
        f"*a.b_c-1=::,{SHA_256}",
    ],
)
def test_whitespace_parameters_and_other_algorithms_are_ignored(value: str) -> None:
    assert parse_digests("Repr-Digest", value) == {"sha-256": hashlib.sha256(HELLO).digest()}


def test_last_digest_of_an_algorithm_counts() -> None:
    """A repeated key of a dictionary overwrites the earlier one (RFC 9651 section 4.2.2)."""
    assert parse_digests("Repr-Digest", f"{SHA_256}, {OTHER}") == {"sha-256": bytes(32)}


@every_row(
    "value",
    [
        "sha-256",
        "sha-256=",
        "sha-256=1",
        "sha-256=abc",
        'sha-256="abc"',
        "sha-256=:abc",
        "sha-256=abc:",
        f"{SHA_256},",
        f",{SHA_256}",
        f"{SHA_256} {SHA_256}",
        f"{SHA_256}x",
        SHA_256.upper(),
        SHA_256.replace("=:", " = :", 1),
        f"\xa0{SHA_256}",
        f"{SHA_256}\u2003",
        SHA_256.replace("RK", "Ř"),
        SHA_256.replace("RK", "-_"),
        "SHA-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=",
    ],
)
def test_malformed_field_raises_bad_digest_header_with_its_name(value: str) -> None:
    with pytest.raises(BadDigestHeader, match=r"^Content-Digest must have the form sha-256="):
        parse_digests("Content-Digest", value)


@every_row("encoded", ["=", "A", "AAA", "AA=A", "====", "AA==AA=="])
def test_invalid_base64_raises_bad_digest_header_with_the_algorithm(encoded: str) -> None:
    with pytest.raises(BadDigestHeader, match=r"^Repr-Digest: the sha-256 digest is not base64"):
        parse_digests("Repr-Digest", f"sha-256=:{encoded}:")


@every_row(("algorithm", "size"), [("sha-256", 32), ("sha-512", 64)])
@every_row("difference", [-1, 1])
def test_digest_of_another_size_raises_bad_digest_header_with_both_sizes(
    algorithm: str, size: int, difference: int
) -> None:
    encoded = base64.b64encode(bytes(size + difference)).decode()
    with pytest.raises(
        BadDigestHeader, match=f"has {size} bytes, this one has {size + difference}"
    ):
        parse_digests("Repr-Digest", f"{algorithm}=:{encoded}:")


@given(st.text(max_size=60))
def test_any_text_returns_digests_or_raises_bad_digest_header(text: str) -> None:
    for value in (text, f"sha-256=:{text}:"):
        try:
            digests = parse_digests("Repr-Digest", value)
        except BadDigestHeader:
            continue
        assert set(digests) <= {"sha-256", "sha-512"}


class TestDeclaredDigests:
    def test_digests_of_both_fields_are_returned(self) -> None:
        headers = {"Repr-Digest": SHA_256, "Content-Digest": SHA_512}
        assert set(declared_digests(headers)) == {"sha-256", "sha-512"}

    def test_request_without_the_fields_declares_none(self) -> None:
        assert declared_digests({}) == {}

    def test_equal_digests_are_accepted(self) -> None:
        headers = {"Repr-Digest": SHA_256, "Content-Digest": SHA_256}
        assert set(declared_digests(headers)) == {"sha-256"}

    def test_different_digests_raise_bad_digest_header(self) -> None:
        with pytest.raises(BadDigestHeader, match="contradict each other"):
            declared_digests({"Repr-Digest": SHA_256, "Content-Digest": OTHER})
