"""The description of a file's content in its extended attributes."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from fileservice.storage import Content, NotFound
from fileservice.storage.local import LocalStore
from tests.storage.local.conftest import Mount
from tests.storage.store_contract import NAME, content_of, names, publish, read


def attribute(path: Path, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise


def test_digest_is_kept_as_cshatag_keeps_it(store: LocalStore, directory: Path) -> None:
    publish(store, NAME, b"data")

    modified = (directory / NAME).stat().st_mtime_ns
    expected = f"{modified // 10**9}.{modified % 10**9:09}"
    assert attribute(directory / NAME, "user.shatag.ts") == expected.encode()
    assert attribute(directory / NAME, "user.shatag.sha256") == (
        hashlib.sha256(b"data").hexdigest().encode()
    )


def test_media_type_is_kept_as_freedesktop_keeps_it(store: LocalStore, directory: Path) -> None:
    publish(store, NAME, b"data", content_of(b"data", "text/plain", "utf-8"))
    publish(store, "b.pdf", b"data", content_of(b"data", "application/pdf"))

    assert attribute(directory / NAME, "user.mime_type") == b"text/plain"
    assert attribute(directory / NAME, "user.charset") == b"utf-8"
    assert attribute(directory / "b.pdf", "user.charset") is None


def test_digest_that_was_not_computed_is_not_kept(store: LocalStore, directory: Path) -> None:
    publish(store, NAME, b"data", Content("text/plain"))

    assert attribute(directory / NAME, "user.shatag.sha256") is None
    assert attribute(directory / NAME, "user.shatag.ts") is None


def test_digest_written_by_cshatag_is_used(store: LocalStore, directory: Path) -> None:
    path = directory / NAME
    path.write_bytes(b"data")
    os.utime(path, ns=(0, 1_700_000_000_000_000_007))
    os.setxattr(path, "user.shatag.ts", b"1700000000.000000007")
    os.setxattr(path, "user.shatag.sha256", hashlib.sha256(b"data").hexdigest().encode())

    assert store.stat(NAME).content.sha256 == hashlib.sha256(b"data").digest()


def test_digest_of_a_modified_file_is_ignored(store: LocalStore, directory: Path) -> None:
    published = publish(store, NAME, b"data")

    os.utime(directory / NAME, ns=(0, published.modified_ns + 1))

    described = store.stat(NAME)
    assert described.content.sha256 is None
    assert described.version != published.version
    assert described.content.media_type == "text/plain"


def test_modified_file_has_another_version(store: LocalStore, directory: Path) -> None:
    published = publish(store, NAME, b"data")

    (directory / NAME).write_bytes(b"atad")
    os.utime(directory / NAME, ns=(0, published.modified_ns + 1))

    with pytest.raises(NotFound):
        store.delete(NAME, published.version)
    assert store.stat(NAME).version != published.version


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user.mime_type", b"text/html\r\nSet-Cookie: a=b"),
        ("user.mime_type", b"nonsense"),
        ("user.mime_type", b""),
        ("user.mime_type", b"\xff/\xff"),
        ("user.mime_type", b"a/" + b"b" * 2000),
        ("user.charset", b'utf-8"; x="'),
        ("user.shatag.sha256", b"abc"),
        ("user.shatag.sha256", b"Z" * 64),
        ("user.shatag.ts", b"yesterday"),
    ],
)
def test_malformed_attributes_are_ignored(
    store: LocalStore, directory: Path, name: str, value: bytes
) -> None:
    publish(store, NAME, b"data", content_of(b"data", "text/plain", "utf-8"))

    os.setxattr(directory / NAME, name, value)

    content = store.stat(NAME).content
    assert content.media_type == "text/plain"
    assert content.charset == ("utf-8" if "shatag" in name else None)
    digest_is_kept = "shatag" not in name
    assert content.sha256 == (hashlib.sha256(b"data").digest() if digest_is_kept else None)


class TestFileSystemWithoutAttributes:
    """On ramfs, which has no extended attributes."""

    @pytest.fixture
    def directory(self, mount: Mount) -> Path:
        path = mount("ramfs")
        probe = path / "probe"
        probe.touch()
        with pytest.raises(OSError, match="not supported"):
            os.setxattr(probe, "user.probe", b"")
        probe.unlink()
        return path / "store"

    def test_files_are_stored_without_digests(self, store: LocalStore) -> None:
        published = publish(store, "b.pdf", b"data", content_of(b"data", "application/pdf"))

        described = store.stat(published.name)
        assert described.content == Content("application/pdf")
        assert described.version == published.version
        assert list(store.list()) == [described]
        assert read(store, "b.pdf") == b"data"
        store.delete(published.name, published.version)
        assert names(store) == []
