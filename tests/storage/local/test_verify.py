"""Verification: which directories cannot be a store, and what the log says of others."""

import errno
import os
from pathlib import Path

import pytest

from fileservice.storage import StorageUnavailable, open_store, verify_store
from fileservice.storage.local import staging
from tests.storage.local.conftest import Mount, StagedFiles


def messages_of(directory: Path) -> list[str]:
    return [message for _, message in verify_store(str(directory), fsync=True).messages]


def test_file_system_without_hard_links_is_refused(
    staged_files: StagedFiles, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)

    with pytest.raises(StorageUnavailable, match="no hard links"):
        verify_store(str(directory), fsync=True)
    assert staged_files() == []


def test_missing_extended_attributes_are_reported(mount: Mount) -> None:
    directory = mount("ramfs") / "store"

    [message] = [text for text in messages_of(directory) if "extended attributes" in text]

    assert str(directory) in message
    assert "409" in message


@pytest.mark.parametrize("reason", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_fault_that_may_go_away_by_itself_is_reported_and_not_raised(
    directory: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def create(*_: object) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(staging, "create", create)

    [message] = messages_of(directory)

    assert f"{directory} cannot be written to at present ({os.strerror(reason)})" in message


def test_path_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/store")):
        with pytest.raises(StorageUnavailable):
            open_store(str(path), fsync=True)


def test_empty_directory_that_existed_before_is_reported_as_a_possible_mount_point(
    tmp_path: Path,
) -> None:
    [created] = messages_of(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    [found_empty] = messages_of(tmp_path / "empty")

    assert "mounted" not in created
    assert "check that it is mounted" in found_empty
