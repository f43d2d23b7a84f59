"""Copies between stores are equal, go on where they ended, and overwrite nothing."""

import time
from pathlib import Path

from fileservice.integrity import ReadThrottle, copy_files
from fileservice.names import FileName
from fileservice.storage import Owner, Store
from tests.integrity.stores import LARGE, OpenStore, in_directory

UNLIMITED = ReadThrottle()


def copied(source: Store, target: Store) -> dict[str, str]:
    return {one.name: one.state for one in copy_files(source, target, rate=UNLIMITED)}


def test_directory_and_bucket_and_directory_are_equal(
    directory: OpenStore, bucket: OpenStore, tmp_path: Path
) -> None:
    expires = int(time.time()) + 3600
    contents = {"empty.txt": b"", "grüße.txt": b"some text\n", "large.txt": b"0123456789" * LARGE}
    contents["large.txt"] = contents["large.txt"][:LARGE]
    for name, data in contents.items():
        directory.put(name, data, expires=None if name == "empty.txt" else expires)
    (Path(directory.url) / "by-hand.txt").write_bytes(b"put there by hand\n")
    contents["by-hand.txt"] = b"put there by hand\n"
    last = in_directory(tmp_path / "last")

    assert copied(directory.store, bucket.store) == dict.fromkeys(contents, "copied")
    assert copied(bucket.store, last.store) == dict.fromkeys(contents, "copied")
    assert copied(directory.store, last.store) == dict.fromkeys(contents, "unchanged")
    for name, data in contents.items():
        assert last.read(name) == data
        before = directory.store.stat(FileName.parse(name))
        after = last.store.stat(FileName.parse(name))
        assert after.expires == before.expires
        assert after.content.media_type == before.content.media_type
        assert after.content.charset == before.content.charset
        if name != "by-hand.txt":
            assert after.version == before.version
            assert after.owner == Owner("token:ci")
    [due] = [entry for entry in [last.store.stat(FileName.parse("large.txt")).expires] if entry]
    assert due == expires


def test_another_file_at_the_target_stays(directory: OpenStore, tmp_path: Path) -> None:
    target = in_directory(tmp_path / "target")
    for name in ("a.txt", "b.txt", "c.txt"):
        directory.put(name, b"some text\n")
    target.put("a.txt", b"same size\n")
    target.put("b.txt", b"another size\n")
    target.put("c.txt", b"some text\n")
    assert copied(directory.store, target.store) == {
        "a.txt": "conflict",
        "b.txt": "conflict",
        "c.txt": "unchanged",
    }
    assert target.read("a.txt") == b"same size\n"


def test_damaged_file_is_not_copied_and_leaves_nothing_behind(
    kept: OpenStore, tmp_path: Path
) -> None:
    target = in_directory(tmp_path / "target")
    kept.put("a.txt", b"some text\n")
    kept.put("b.txt", b"some text\n")
    kept.rot("a.txt")
    assert copied(kept.store, target.store) == {"a.txt": "damaged", "b.txt": "copied"}
    assert [file.name for file in target.store.list()] == ["b.txt"]
    assert list((tmp_path / "target/.fileservice/staging").iterdir()) == []


def test_files_without_a_digest_are_compared_by_their_bytes(
    directory: OpenStore, tmp_path: Path
) -> None:
    target = in_directory(tmp_path / "target")
    for store, text in ((directory, "some text\n"), (target, "some text\n")):
        (Path(store.url) / "same.txt").write_text(text)
        (Path(store.url) / "other.txt").write_text(f"{store.url[-5:]:5}\n")
    assert copied(directory.store, target.store) == {
        "other.txt": "conflict",
        "same.txt": "unchanged",
    }


def test_file_that_expires_before_it_is_copied_is_missing(
    directory: OpenStore, tmp_path: Path
) -> None:
    directory.put("a.txt", b"some text\n", expires=int(time.time()) - 1)
    assert copied(directory.store, in_directory(tmp_path / "target").store) in (
        {},
        {"a.txt": "missing"},
    )
