"""The names of entries in an archive, and archives whose files change while they are sent."""

import io
import zipfile
from pathlib import Path

import pytest

from fileservice.gevent_executor import InlineExecutor
from fileservice.integrity import DamageMarks
from fileservice.names import FileName
from fileservice.storage.local import LocalStore
from fileservice.web.zip_archive import ZipArchive, entry_names
from tests.support.rows import every_row


@every_row(
    ("names", "entries"),
    [
        (["a.txt", "b.txt"], ["a.txt", "b.txt"]),
        (["é 日.txt"], ["é 日.txt"]),
        (['a<b>c:d"e|f?g*h.txt'], ["a_b_c_d_e_f_g_h.txt"]),
        (["a.txt", "A.TXT"], ["a.txt", "A (2).TXT"]),
        (["a?.txt", "a*.txt", "a_.txt"], ["a_.txt", "a_ (2).txt", "a_ (3).txt"]),
        (["a (2).txt", "a.txt", "A.txt"], ["a (2).txt", "a.txt", "A (3).txt"]),
        (["straße.txt", "STRASSE.txt"], ["straße.txt", "STRASSE (2).txt"]),
        (["noextension", "NOEXTENSION"], ["noextension", "NOEXTENSION (2)"]),
    ],
)
def test_entries_have_names_that_windows_can_unpack(names: list[str], entries: list[str]) -> None:
    assert list(entry_names(names)) == entries


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, fsync=False)


def archive_of(store: LocalStore) -> ZipArchive:
    return ZipArchive(store, InlineExecutor(), list(store.list()), DamageMarks(store.private_files))


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 1 << 20])
def test_the_length_is_known_and_the_archive_has_every_byte(
    store: LocalStore, tmp_path: Path, size: int
) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    (tmp_path / "é.txt").write_bytes(b"text")
    archive = archive_of(store)
    data = b"".join(archive)
    assert len(data) == archive.size
    with zipfile.ZipFile(io.BytesIO(data)) as unpacked:
        assert unpacked.testzip() is None
        assert unpacked.namelist() == ["a.bin", "é.txt"]
        assert unpacked.read("a.bin") == (tmp_path / "a.bin").read_bytes()


def test_an_archive_of_no_files_is_empty(store: LocalStore) -> None:
    assert zipfile.ZipFile(io.BytesIO(b"".join(archive_of(store)))).namelist() == []


def test_a_file_that_was_deleted_meanwhile_breaks_the_archive_off(
    store: LocalStore, tmp_path: Path
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_bytes(b"text")
    archive = archive_of(store)
    store.delete(FileName.parse("b.txt"))
    with pytest.raises(EOFError, match="deleted"):
        b"".join(archive)
    archive.close()


@pytest.mark.parametrize("content", [b"", b"tex", b"texts", b"t" * 300_000])
def test_a_file_that_has_another_size_meanwhile_breaks_the_archive_off(
    store: LocalStore, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.txt").write_bytes(b"text")
    archive = archive_of(store)
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(EOFError, match="changed"):
        b"".join(archive)
    archive.close()


def test_closing_an_archive_closes_the_file_that_is_being_read(
    store: LocalStore, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(1 << 20))
    archive = archive_of(store)
    next(iter(archive))
    assert archive._opened
    body = archive._opened.body
    archive.close()
    assert body.closed
