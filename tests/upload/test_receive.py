"""receive(): a file is taken in whole and published, or nothing is left of it."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from fileservice import filetypes
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import Content, NameTaken, StorageFull
from fileservice.storage.local import LocalStore
from fileservice.upload import UploadPolicy, UploadRequest, UploadResult, receive
from fileservice.upload.errors import (
    ContentMismatch,
    DigestMismatch,
    ExtensionNotAllowed,
    NoExtension,
    PreconditionNotMet,
    TooLarge,
)

TEXT = b"a line of text\n" * 1000
OTHER = b"another text\n"
NAME = FileName.parse("note.txt")


class Cut(Exception):
    """The client went away."""


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", fsync=False)


@pytest.fixture
def another_store(store: LocalStore, tmp_path: Path) -> LocalStore:
    """The same files, through the eyes of another process."""
    return LocalStore(tmp_path / "store", fsync=False)


@pytest.fixture
def left(tmp_path: Path) -> "Left":
    return Left(tmp_path / "store")


class Left:
    """What lies in the directory of the store."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def published(self) -> set[str]:
        return {path.name for path in self._root.iterdir()} - {".fileservice"}

    def nothing_staged(self) -> bool:
        return not any((self._root / ".fileservice" / "staging").iterdir())

    def nothing(self) -> bool:
        return not self.published() and self.nothing_staged()


def policy(max_size: int = 1 << 30, min_free: int = 0, digest: bool = True) -> UploadPolicy:
    return UploadPolicy(
        types=filetypes.select(filetypes.DEFAULT_EXTENSIONS),
        max_size=max_size,
        min_free=min_free,
        digest=digest,
    )


def request(name: str = NAME, length: int | None = None, create_only: bool = False,
          **digests: bytes) -> UploadRequest:  # fmt: skip
    declared = {algorithm.replace("sha", "sha-"): value for algorithm, value in digests.items()}
    return UploadRequest(FileName.parse(name), length, digests=declared, create_only=create_only)


def take(
    store: LocalStore,
    offered: UploadRequest,
    blocks: Iterable[bytes] = (TEXT,),
    by: UploadPolicy | None = None,
) -> UploadResult:
    return receive(offered, blocks, policy=by or policy(), store=store, executor=InlineExecutor())


def untouched() -> Iterator[bytes]:
    pytest.fail("the body was read before the offer was admitted")
    yield b""


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def stored_under(store: LocalStore, name: str = NAME) -> bytes:
    with store.open(FileName.parse(name)).body as body:
        return body.read()


def publish_through(store: LocalStore, content: bytes) -> None:
    writer = store.writer()
    try:
        writer.write(content)
        writer.publish(NAME, Content("text/plain", "utf-8", sha256(content)))
    finally:
        writer.close()


class TestReceived:
    @pytest.mark.parametrize("size", [1, 1000, 65536])
    def test_a_file_is_published_with_what_was_found_out_about_it(
        self, store: LocalStore, left: Left, size: int
    ) -> None:
        blocks = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]

        result = take(store, request(), blocks)

        assert result.created
        assert result.file.name == NAME
        assert result.file.size == len(TEXT)
        assert result.file.content == Content("text/plain", "utf-8", sha256(TEXT))
        assert stored_under(store) == TEXT
        assert store.stat(NAME) == result.file
        assert left.nothing_staged()

    @pytest.mark.parametrize("blocks", [(), (b"",), (b"", b"", b"")])
    def test_an_empty_text_is_a_file(self, store: LocalStore, blocks: tuple[bytes, ...]) -> None:
        result = take(store, request(length=0), blocks)

        assert result.file.size == 0
        assert result.file.content.sha256 == sha256(b"")

    def test_no_digest_is_kept_where_the_operator_wants_none(self, store: LocalStore) -> None:
        result = take(store, request(), by=policy(digest=False))

        assert result.file.content.sha256 is None
        assert store.stat(NAME).content.sha256 is None

    def test_a_declared_digest_is_verified_even_where_none_is_kept(
        self, store: LocalStore, left: Left
    ) -> None:
        with pytest.raises(DigestMismatch):
            take(store, request(sha256=sha256(OTHER)), by=policy(digest=False))
        assert left.nothing()

        result = take(store, request(sha256=sha256(TEXT)), by=policy(digest=False))

        assert result.created
        assert result.file.content.sha256 is None

    def test_a_file_may_have_exactly_the_largest_size(self, store: LocalStore) -> None:
        exact = policy(max_size=len(TEXT))

        assert take(store, request("a.txt"), by=exact).file.size == len(TEXT)
        assert take(store, request("b.txt", len(TEXT)), by=exact).file.size == len(TEXT)


class TestRefusedBeforeTheBody:
    @pytest.mark.parametrize(
        ("offered", "by", "error"),
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
    def test_nothing_is_read_and_nothing_is_left(
        self,
        store: LocalStore,
        left: Left,
        offered: UploadRequest,
        by: UploadPolicy,
        error: type[Exception],
    ) -> None:
        with pytest.raises(error):
            take(store, offered, untouched(), by)

        assert left.nothing()

    @pytest.mark.parametrize(
        ("offered", "error"),
        [
            (request(), NameTaken),
            (request(create_only=True), PreconditionNotMet),
            (request(sha256=sha256(OTHER)), NameTaken),
            (request(sha256=sha256(OTHER), create_only=True), PreconditionNotMet),
        ],
    )
    def test_a_taken_name_is_refused_and_its_file_stays(
        self, store: LocalStore, left: Left, offered: UploadRequest, error: type[Exception]
    ) -> None:
        take(store, request())

        with pytest.raises(error, match="already"):
            take(store, offered, untouched())

        assert stored_under(store) == TEXT
        assert left.nothing_staged()

    @pytest.mark.parametrize("create_only", [False, True])
    def test_a_repetition_with_its_digest_is_the_file_that_is_there(
        self, store: LocalStore, create_only: bool
    ) -> None:
        first = take(store, request())

        again = take(store, request(sha256=sha256(TEXT), create_only=create_only), untouched())

        assert not again.created
        assert again.file == first.file

    def test_a_repetition_cannot_be_told_where_no_digest_is_kept(self, store: LocalStore) -> None:
        take(store, request(), by=policy(digest=False))

        with pytest.raises(NameTaken):
            take(store, request(sha256=sha256(TEXT)), untouched(), policy(digest=False))

    @pytest.mark.parametrize("made", ["directory", "dangling link", "link out"])
    def test_a_name_that_something_else_has_is_taken(
        self, store: LocalStore, tmp_path: Path, made: str
    ) -> None:
        place = tmp_path / "store" / NAME
        if made == "directory":
            place.mkdir()
        else:
            place.symlink_to("/etc/passwd" if made == "link out" else "nowhere")

        with pytest.raises(NameTaken):
            take(store, request(sha256=sha256(TEXT)), untouched())


class TestRefusedWhileItFlows:
    def test_one_byte_too_many_is_refused_and_the_rest_is_not_read(
        self, store: LocalStore, left: Left
    ) -> None:
        def blocks() -> Iterator[bytes]:
            yield TEXT
            yield b"x"
            yield b"y"  # one block is received while the one before it is worked on
            yield from untouched()

        with pytest.raises(TooLarge):
            take(store, request(), blocks(), policy(max_size=len(TEXT)))

        assert left.nothing()

    def test_a_declared_length_that_lies_does_not_lift_the_limit(
        self, store: LocalStore, left: Left
    ) -> None:
        with pytest.raises(TooLarge):
            take(store, request(length=1), [TEXT], policy(max_size=len(TEXT) - 1))

        assert left.nothing()

    @pytest.mark.parametrize(
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
        self, store: LocalStore, left: Left, name: str, content: bytes
    ) -> None:
        with pytest.raises(ContentMismatch):
            take(
                store,
                request(name),
                [content[at : at + 5000] for at in range(0, len(content), 5000)],
            )

        assert left.nothing()

    @pytest.mark.parametrize("after", [0, 1, 2, 5])
    def test_a_body_that_breaks_off_leaves_nothing_and_its_error_passes_through(
        self, store: LocalStore, left: Left, after: int
    ) -> None:
        def blocks() -> Iterator[bytes]:
            for _ in range(after):
                yield TEXT
            raise Cut

        with pytest.raises(Cut):
            take(store, request(), blocks())

        assert left.nothing()

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    def test_a_declared_digest_must_be_that_of_the_bytes(
        self, store: LocalStore, left: Left, algorithm: str
    ) -> None:
        wrong = hashlib.new(algorithm, OTHER).digest()
        right = hashlib.new(algorithm, TEXT).digest()

        with pytest.raises(DigestMismatch) as mismatch:
            take(store, request(**{algorithm: wrong}))
        assert mismatch.value.algorithm == algorithm.replace("sha", "sha-")
        assert left.nothing()

        assert take(store, request(**{algorithm: right})).created

    def test_of_two_declared_digests_both_count(self, store: LocalStore, left: Left) -> None:
        right, wrong = hashlib.sha256(TEXT).digest(), hashlib.sha512(OTHER).digest()

        with pytest.raises(DigestMismatch, match="sha-512"):
            take(store, request(sha256=right, sha512=wrong))

        assert left.nothing()

    def test_a_truncated_digest_is_a_wrong_one(self, store: LocalStore, left: Left) -> None:
        with pytest.raises(DigestMismatch):
            take(store, request(sha256=sha256(TEXT)[:31]))

        assert left.nothing()


class TestOvertaken:
    """The name is free when the upload is admitted, and taken when its last byte is there."""

    @staticmethod
    def overtaken(by: LocalStore, content: bytes) -> Iterator[bytes]:
        yield TEXT[:100]
        publish_through(by, content)
        yield TEXT[100:]

    @pytest.mark.parametrize(
        ("create_only", "error"), [(False, NameTaken), (True, PreconditionNotMet)]
    )
    @pytest.mark.parametrize("declares", [False, True])
    def test_the_later_one_is_refused_and_the_earlier_one_stays(
        self, store: LocalStore, another_store: LocalStore, left: Left, create_only: bool,
        error: type[Exception], declares: bool,
    ) -> None:  # fmt: skip
        digests = {"sha256": sha256(TEXT)} if declares else {}

        with pytest.raises(error, match="already"):
            take(
                store, request(create_only=create_only, **digests),
                self.overtaken(another_store, OTHER),
            )  # fmt: skip

        assert stored_under(store) == OTHER
        assert left.nothing_staged()

    def test_the_same_bytes_undeclared_are_refused_all_the_same(
        self, store: LocalStore, another_store: LocalStore
    ) -> None:
        with pytest.raises(NameTaken):
            take(store, request(), self.overtaken(another_store, TEXT))

    @pytest.mark.parametrize("create_only", [False, True])
    def test_the_same_bytes_with_their_digest_are_a_repetition(
        self, store: LocalStore, another_store: LocalStore, left: Left, create_only: bool
    ) -> None:
        declared = request(sha256=sha256(TEXT), create_only=create_only)

        result = take(store, declared, self.overtaken(another_store, TEXT))

        assert not result.created
        assert result.file == another_store.stat(NAME)
        assert left.nothing_staged()

    def test_a_wrong_digest_is_told_before_a_taken_name(
        self, store: LocalStore, another_store: LocalStore, left: Left
    ) -> None:
        with pytest.raises(DigestMismatch):
            take(store, request(sha256=sha256(OTHER)), self.overtaken(another_store, OTHER))

        assert left.published() == {NAME}
        assert left.nothing_staged()
