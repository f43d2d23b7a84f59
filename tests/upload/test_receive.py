"""receive(): a complete file is published, or nothing of it is stored."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileservice.gevent_executor import ThreadExecutor
from fileservice.names import FileName
from fileservice.storage import Content, NameTaken, StorageFull, StoredFile
from fileservice.storage.local import LocalStore
from fileservice.upload import (
    ContentMismatch,
    DigestMismatch,
    ExtensionNotAllowed,
    NoExtension,
    PreconditionNotMet,
    TooLarge,
    UploadContext,
    UploadPolicy,
    UploadRequest,
    receive,
)
from tests.support.rows import every_row
from tests.upload.receiving import (
    NAME,
    OTHER,
    TEXT,
    ConnectionCut,
    Directory,
    content_of,
    never_read,
    policy,
    publish,
    request,
    sha256,
    upload,
)


class TestAccepted:
    @pytest.mark.parametrize("size", [1, 1000, 65536])
    def test_file_is_published_with_its_type_and_digest(
        self, store: LocalStore, directory: Directory, size: int
    ) -> None:
        blocks = [TEXT[offset : offset + size] for offset in range(0, len(TEXT), size)]

        result = upload(store, request(), blocks)

        assert result.created
        assert result.file.name == NAME
        assert result.file.size == len(TEXT)
        assert result.file.content == Content("text/plain", "utf-8", sha256(TEXT))
        assert content_of(store) == TEXT
        assert store.stat(NAME) == result.file
        assert not directory.staged()

    @pytest.mark.parametrize("blocks", [(), (b"",), (b"", b"", b"")])
    def test_empty_text_is_published(self, store: LocalStore, blocks: tuple[bytes, ...]) -> None:
        result = upload(store, request(length=0), blocks)

        assert result.file.size == 0
        assert result.file.content.sha256 == sha256(b"")

    def test_no_digest_is_stored_if_the_operator_wants_none(self, store: LocalStore) -> None:
        result = upload(store, request(), upload_policy=policy(digest=False))

        assert result.file.content.sha256 is None
        assert store.stat(NAME).content.sha256 is None

    def test_declared_digest_is_verified_even_if_none_is_stored(
        self, store: LocalStore, directory: Directory
    ) -> None:
        with pytest.raises(DigestMismatch):
            upload(store, request(sha256=sha256(OTHER)), upload_policy=policy(digest=False))
        assert directory.is_empty()

        result = upload(store, request(sha256=sha256(TEXT)), upload_policy=policy(digest=False))

        assert result.created
        assert result.file.content.sha256 is None

    def test_file_of_exactly_the_maximum_size_is_published(self, store: LocalStore) -> None:
        exact = policy(max_size=len(TEXT))

        assert upload(store, request("a.txt"), upload_policy=exact).file.size == len(TEXT)
        assert upload(store, request("b.txt", len(TEXT)), upload_policy=exact).file.size == len(
            TEXT
        )


class TestRefusedBeforeBody:
    @every_row(
        ("upload_request", "upload_policy", "error"),
        [
            (request("note"), policy(), NoExtension),
            (request("note.exe"), policy(), ExtensionNotAllowed),
            (request("note.svg"), policy(), ExtensionNotAllowed),
            (request(length=1001), policy(max_size=1000), TooLarge),
            (request(length=1), policy(min_free=1 << 60), StorageFull),
            (request(), policy(min_free=1 << 60), StorageFull),
            (request(length=1 << 60), policy(max_size=1 << 62), StorageFull),
        ],
    )
    def test_body_is_not_read_and_nothing_is_stored(
        self,
        store: LocalStore,
        directory: Directory,
        upload_request: UploadRequest,
        upload_policy: UploadPolicy,
        error: type[Exception],
    ) -> None:
        with pytest.raises(error):
            upload(store, upload_request, never_read(), upload_policy)

        assert directory.is_empty()

    @pytest.mark.parametrize(
        ("upload_request", "error"),
        [
            (request(), NameTaken),
            (request(create_only=True), PreconditionNotMet),
            (request(sha256=sha256(OTHER)), NameTaken),
            (request(sha256=sha256(OTHER), create_only=True), PreconditionNotMet),
        ],
    )
    def test_taken_name_is_refused_and_its_file_stays(
        self,
        store: LocalStore,
        directory: Directory,
        upload_request: UploadRequest,
        error: type[Exception],
    ) -> None:
        upload(store, request())

        with pytest.raises(error, match="already"):
            upload(store, upload_request, never_read())

        assert content_of(store) == TEXT
        assert not directory.staged()

    @pytest.mark.parametrize("create_only", [False, True])
    def test_repetition_with_its_digest_returns_the_stored_file(
        self, store: LocalStore, create_only: bool
    ) -> None:
        first = upload(store, request())

        again = upload(store, request(sha256=sha256(TEXT), create_only=create_only), never_read())

        assert not again.created
        assert again.file == first.file

    def test_repetition_is_acknowledged_only_once_the_name_is_durable(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The process that published the file may have died before it synced the directory."""
        store = LocalStore(tmp_path / "store", fsync=True)
        upload(store, request())
        synced: list[int] = []
        monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))

        upload(store, request(sha256=sha256(TEXT)), never_read())

        assert synced == [(tmp_path / "store").stat().st_ino]

    def test_repetition_of_a_file_that_is_replaced_meanwhile_is_refused(
        self, store: LocalStore, other_store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def replace_file() -> None:
            other_store.delete(NAME)
            publish(other_store, OTHER)

        upload(store, request())
        monkeypatch.setattr(store, "sync_names", replace_file)

        with pytest.raises(NameTaken):
            upload(store, request(sha256=sha256(TEXT)), never_read())

        assert content_of(store) == OTHER

    def test_file_is_refused_if_there_is_space_for_no_more_files(
        self, store: LocalStore, directory: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "free_files", lambda: 0)

        with pytest.raises(StorageFull, match="inodes"):
            upload(store, request(), never_read())

        assert directory.is_empty()

    def test_repetition_is_refused_if_no_digest_is_stored(self, store: LocalStore) -> None:
        upload(store, request(), upload_policy=policy(digest=False))

        with pytest.raises(NameTaken):
            upload(store, request(sha256=sha256(TEXT)), never_read(), policy(digest=False))

    @pytest.mark.parametrize("kind", ["directory", "dangling link", "link out"])
    def test_name_of_anything_but_a_file_is_taken(
        self, store: LocalStore, tmp_path: Path, kind: str
    ) -> None:
        path = tmp_path / "store" / NAME
        if kind == "directory":
            path.mkdir()
        else:
            path.symlink_to("/etc/passwd" if kind == "link out" else "nowhere")

        with pytest.raises(NameTaken):
            upload(store, request(sha256=sha256(TEXT)), never_read())


class TestNameOfExpiredFile:
    @pytest.fixture
    def expire(
        self, store: LocalStore, other_store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[], None]:
        """Store a file that has expired; another process removes it when it is looked for."""
        find = store.expired.find

        def find_too_late(name: FileName) -> StoredFile:
            for file in other_store.expired.due():
                other_store.expired.remove(file)
            return find(name)

        monkeypatch.setattr(store.expired, "find", find_too_late)

        def expire() -> None:
            writer = other_store.writer()
            try:
                writer.publish(NAME, Content("text/plain"), expires=1)
            finally:
                writer.close()

        return expire

    def test_is_free_at_the_beginning_if_another_process_removes_the_file(
        self, store: LocalStore, expire: Callable[[], None]
    ) -> None:
        expire()

        assert upload(store, request()).created

    def test_is_free_at_the_end_if_another_process_removes_the_file(
        self, store: LocalStore, expire: Callable[[], None]
    ) -> None:
        def body() -> Iterator[bytes]:
            yield TEXT
            expire()

        assert upload(store, request(), body()).created
        assert content_of(store) == TEXT


class TestRefusedInBody:
    def test_one_byte_too_many_is_refused_and_the_rest_is_not_read(
        self, store: LocalStore, directory: Directory
    ) -> None:
        def blocks() -> Iterator[bytes]:
            yield TEXT
            yield b"x"
            yield from never_read()

        with pytest.raises(TooLarge):
            upload(store, request(), blocks(), policy(max_size=len(TEXT)))

        assert directory.is_empty()

    def test_wrong_declared_length_does_not_raise_the_limit(
        self, store: LocalStore, directory: Directory
    ) -> None:
        with pytest.raises(TooLarge):
            upload(store, request(length=1), [TEXT], policy(max_size=len(TEXT) - 1))

        assert directory.is_empty()

    @every_row(
        ("name", "content"),
        [
            ("a.pdf", TEXT * 1000),
            ("a.png", b""),
            ("a.docx", b"PK\x03\x04 no archive"),
            ("a.json", b"{"),
            ("a.txt", TEXT + b"\0"),
        ],
    )
    def test_content_of_another_type_leaves_nothing(
        self, store: LocalStore, directory: Directory, name: str, content: bytes
    ) -> None:
        with pytest.raises(ContentMismatch):
            upload(
                store,
                request(name),
                [content[offset : offset + 5000] for offset in range(0, len(content), 5000)],
            )

        assert directory.is_empty()

    @every_row("digest", [True, False])
    @every_row("number", range(6))
    def test_large_block_that_is_no_text_leaves_nothing_wherever_it_is(
        self, store: LocalStore, directory: Directory, number: int, digest: bool
    ) -> None:
        blocks = [TEXT * 40] * 6  # of so many bytes that a second thread scans them
        blocks[number] = blocks[number][:-1] + b"\0"

        context = UploadContext(store, policy(digest=digest), ThreadExecutor())
        with pytest.raises(ContentMismatch):
            receive(request(), blocks, context)

        assert directory.is_empty()

    @every_row("after", [0, 1, 2, 5])
    def test_body_that_is_cut_leaves_nothing_and_its_error_passes_through(
        self, store: LocalStore, directory: Directory, after: int
    ) -> None:
        def blocks() -> Iterator[bytes]:
            for _ in range(after):
                yield TEXT
            raise ConnectionCut

        with pytest.raises(ConnectionCut):
            upload(store, request(), blocks())

        assert directory.is_empty()

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    def test_declared_digest_must_be_that_of_the_bytes(
        self, store: LocalStore, directory: Directory, algorithm: str
    ) -> None:
        wrong = hashlib.new(algorithm, OTHER).digest()
        right = hashlib.new(algorithm, TEXT).digest()

        with pytest.raises(DigestMismatch) as mismatch:
            upload(store, request(**{algorithm: wrong}))
        assert mismatch.value.algorithm == algorithm.replace("sha", "sha-")
        assert directory.is_empty()

        assert upload(store, request(**{algorithm: right})).created

    def test_each_of_two_declared_digests_is_verified(
        self, store: LocalStore, directory: Directory
    ) -> None:
        right, wrong = hashlib.sha256(TEXT).digest(), hashlib.sha512(OTHER).digest()

        with pytest.raises(DigestMismatch, match="sha-512"):
            upload(store, request(sha256=right, sha512=wrong))

        assert directory.is_empty()

    def test_truncated_digest_is_refused(self, store: LocalStore, directory: Directory) -> None:
        with pytest.raises(DigestMismatch):
            upload(store, request(sha256=sha256(TEXT)[:31]))

        assert directory.is_empty()


class TestNameTakenMeanwhile:
    """The name is free when the upload is admitted, and taken when its last byte arrives."""

    @staticmethod
    def body(other_store: LocalStore, content: bytes) -> Iterator[bytes]:
        yield TEXT[:100]
        publish(other_store, content)
        yield TEXT[100:]

    @pytest.mark.parametrize(
        ("create_only", "error"), [(False, NameTaken), (True, PreconditionNotMet)]
    )
    @pytest.mark.parametrize("declares", [False, True])
    def test_later_upload_is_refused_and_the_earlier_file_stays(
        self, store: LocalStore, other_store: LocalStore, directory: Directory, create_only: bool,
        error: type[Exception], declares: bool,
    ) -> None:  # fmt: skip
        digests = {"sha256": sha256(TEXT)} if declares else {}

        with pytest.raises(error, match="already"):
            upload(
                store, request(create_only=create_only, **digests),
                self.body(other_store, OTHER),
            )  # fmt: skip

        assert content_of(store) == OTHER
        assert not directory.staged()

    def test_same_bytes_without_a_digest_are_refused(
        self, store: LocalStore, other_store: LocalStore
    ) -> None:
        with pytest.raises(NameTaken):
            upload(store, request(), self.body(other_store, TEXT))

    @pytest.mark.parametrize("create_only", [False, True])
    def test_same_bytes_with_their_digest_return_the_stored_file(
        self, store: LocalStore, other_store: LocalStore, directory: Directory, create_only: bool
    ) -> None:
        declared = request(sha256=sha256(TEXT), create_only=create_only)

        result = upload(store, declared, self.body(other_store, TEXT))

        assert not result.created
        assert result.file == other_store.stat(NAME)
        assert not directory.staged()

    def test_wrong_digest_is_reported_rather_than_a_taken_name(
        self, store: LocalStore, other_store: LocalStore, directory: Directory
    ) -> None:
        with pytest.raises(DigestMismatch):
            upload(store, request(sha256=sha256(OTHER)), self.body(other_store, OTHER))

        assert directory.published() == {NAME}
        assert not directory.staged()
