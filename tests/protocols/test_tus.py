"""The header fields of tus 1.0.0."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.protocols import tus
from fileservice.protocols.errors import BadChecksum, BadField, BadMetadata
from tests.support.rows import every_row

NOT_INTEGERS = ["", " ", " 1", "1 ", "-1", "+1", "1.0", "0x1", "1,1", "1, 2", "²", "١", "9" * 19]


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


class TestUploadOffset:
    @given(st.integers(0, 10**18 - 1))
    def test_integer_is_parsed(self, value: int) -> None:
        assert tus.offset({"Upload-Offset": str(value)}) == value

    @every_row("value", NOT_INTEGERS)
    def test_other_value_raises_bad_field_with_the_name(self, value: str) -> None:
        with pytest.raises(BadField, match=r"^Upload-Offset must be a whole number"):
            tus.offset({"Upload-Offset": value})

    def test_missing_field_raises_bad_field(self) -> None:
        with pytest.raises(BadField, match="Upload-Offset is missing"):
            tus.offset({})


class TestUploadLength:
    def test_length_is_returned(self) -> None:
        assert tus.length({"Upload-Length": "0"}) == 0
        assert tus.length({"Upload-Length": "100"}) == 100

    def test_deferred_length_is_none(self) -> None:
        assert tus.length({"Upload-Defer-Length": "1"}) is None

    @every_row("headers", [{}, {"Upload-Length": "1", "Upload-Defer-Length": "1"}])
    def test_none_or_both_of_the_fields_raise_bad_field(self, headers: dict[str, str]) -> None:
        with pytest.raises(BadField, match="either Upload-Length or Upload-Defer-Length"):
            tus.length(headers)

    @every_row("value", ["", "0", "2", "true", " 1", "01"])
    def test_defer_length_other_than_1_raises_bad_field(self, value: str) -> None:
        with pytest.raises(BadField, match="Upload-Defer-Length must be 1"):
            tus.length({"Upload-Defer-Length": value})

    @every_row("value", NOT_INTEGERS)
    def test_length_that_is_not_an_integer_raises_bad_field(self, value: str) -> None:
        with pytest.raises(BadField, match=r"^Upload-Length must be a whole number"):
            tus.length({"Upload-Length": value})

    def test_number_is_none_without_the_field(self) -> None:
        assert tus.number({}, "Upload-Length") is None


KEYS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1
)


class TestUploadMetadata:
    def test_example_of_the_specification_is_parsed(self) -> None:
        value = "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential"
        assert tus.metadata({"Upload-Metadata": value}) == {
            "filename": b"world_domination_plan.pdf",
            "is_confidential": b"",
        }

    @given(st.dictionaries(KEYS, st.binary(max_size=30), max_size=5))
    def test_encoded_metadata_is_parsed_to_the_same_values(self, values: dict[str, bytes]) -> None:
        field = ",".join(f"{key} {encoded(value)}" for key, value in values.items())
        assert tus.metadata({"Upload-Metadata": field}) == values

    @every_row("headers", [{}, {"Upload-Metadata": ""}])
    def test_missing_or_empty_field_has_no_values(self, headers: dict[str, str]) -> None:
        assert tus.metadata(headers) == {}

    @every_row("value", ["a YQ==, b Yg==", " a YQ==,b Yg== ", "a YQ== ,b Yg=="])
    def test_spaces_around_pairs_are_ignored(self, value: str) -> None:
        assert tus.metadata({"Upload-Metadata": value}) == {"a": b"a", "b": b"b"}

    def test_value_may_be_left_out_with_its_space_or_without(self) -> None:
        assert tus.metadata({"Upload-Metadata": "a,b ,c"}) == {"a": b"", "b": b"", "c": b""}

    def test_value_may_be_any_bytes(self) -> None:
        name = "日本語 é.txt".encode()
        assert tus.metadata({"Upload-Metadata": f"filename {encoded(name)}"})["filename"] == name

    @every_row("value", [",", "a YQ==,", ",a YQ==", " ", "é YQ==", "a\tb YQ==", "\x7f"])
    def test_empty_or_unprintable_key_raises_bad_metadata(self, value: str) -> None:
        with pytest.raises(BadMetadata, match="a key is empty or not printable ASCII"):
            tus.metadata({"Upload-Metadata": value})

    def test_repeated_key_raises_bad_metadata_with_the_key(self) -> None:
        """The lines of a repeated field are joined by commas, so this is what they become."""
        with pytest.raises(BadMetadata, match="the key 'a' occurs more than once"):
            tus.metadata({"Upload-Metadata": "a YQ==,b Yg==,a YQ=="})

    @every_row("value", ["Y", "YQ", "YQ=", "Y=Q=", "YQ==YQ==", "YQ== x", "-_==", "é"])
    def test_value_that_is_not_base64_raises_bad_metadata_with_the_key(self, value: str) -> None:
        with pytest.raises(BadMetadata, match="the value of 'filename' is not base64"):
            tus.metadata({"Upload-Metadata": f"filename {value}"})

    @given(st.text(max_size=40))
    def test_any_text_returns_values_or_raises_bad_metadata(self, text: str) -> None:
        try:
            values = tus.metadata({"Upload-Metadata": text})
        except BadMetadata:
            return
        assert all(key.isascii() and key.isprintable() for key in values)


class TestUploadConcat:
    def test_upload_without_the_field_is_neither_partial_nor_final(self) -> None:
        assert tus.parts({}) is None

    def test_partial_upload_has_no_parts(self) -> None:
        assert tus.parts({"Upload-Concat": "partial"}) == ()

    @every_row(
        ("value", "ids"),
        [
            ("final;/tus/a /tus/b", ("a", "b")),
            ("final;/tus/b /tus/a /tus/b", ("b", "a", "b")),
            ("final;https://files.example.org/tus/a", ("a",)),
            ("final;https://example.org/files/tus/a http://[::1]:8000/tus/b", ("a", "b")),
            ("final; /tus/a  /tus/b ", ("a", "b")),
            ("final;/tus/a?x=/tus/y#/tus/z", ("a",)),
            ("final;/tus/%61%2f", ("a/",)),
            ("final;a", ("a",)),
        ],
    )
    def test_final_upload_names_its_parts_in_their_order(
        self, value: str, ids: tuple[str, ...]
    ) -> None:
        assert tus.parts({"Upload-Concat": value}) == ids

    def test_url_that_cannot_be_parsed_is_an_id_that_no_upload_has(self) -> None:
        assert tus.parts({"Upload-Concat": "final;http://[::1/tus/a /tus/b"}) == ("", "b")

    @every_row(
        "value",
        ["", "final", "final;", "final; ", "partial;", "partial;/tus/a", "Final;/tus/a", "x"],
    )
    def test_other_value_raises_bad_field(self, value: str) -> None:
        with pytest.raises(BadField, match=r"^Upload-Concat must be `partial` or `final;URL"):
            tus.parts({"Upload-Concat": value})

    @given(st.text(max_size=40))
    def test_any_text_returns_ids_or_raises_bad_field(self, text: str) -> None:
        for value in (text, f"final;{text}"):
            try:
                assert isinstance(tus.parts({"Upload-Concat": value}), tuple)
            except BadField:
                continue


class TestUploadChecksum:
    def test_example_of_the_specification_is_parsed(self) -> None:
        checksum = tus.Checksum.parse({"Upload-Checksum": "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="})
        assert checksum == tus.Checksum("sha1", hashlib.sha1(b"hello world").digest())

    def test_request_without_the_field_has_no_checksum(self) -> None:
        assert tus.Checksum.parse({}) is None

    @given(st.sampled_from(tus.CHECKSUMS), st.binary())
    def test_encoded_checksum_is_parsed_to_the_same_digest(
        self, algorithm: str, data: bytes
    ) -> None:
        digest = hashlib.new(algorithm, data).digest()
        field = f"{algorithm} {encoded(digest)}"
        assert tus.Checksum.parse({"Upload-Checksum": field}) == tus.Checksum(algorithm, digest)

    @every_row("value", ["", " ", "crc32 AAAA", "SHA1 AAAA", "sha-256 AAAA", " md5 A"])
    def test_unknown_algorithm_raises_bad_checksum_with_the_known_ones(self, value: str) -> None:
        with pytest.raises(BadChecksum, match="must be one of md5, sha1, sha256"):
            tus.Checksum.parse({"Upload-Checksum": value})

    @every_row("value", ["md5 A", "md5 =", "md5  AAAA", "md5 AAAA ", "md5 ä", "md5 -_"])
    def test_digest_that_is_not_base64_raises_bad_checksum(self, value: str) -> None:
        with pytest.raises(BadChecksum, match="the digest is not base64"):
            tus.Checksum.parse({"Upload-Checksum": value})

    @every_row("value", ["md5", "md5 ", "md5 AAAA", f"md5 {encoded(bytes(20))}"])
    def test_digest_of_another_size_raises_bad_checksum(self, value: str) -> None:
        with pytest.raises(BadChecksum, match="a md5 digest has 16 bytes"):
            tus.Checksum.parse({"Upload-Checksum": value})
