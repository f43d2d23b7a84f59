"""What the secret of a link allows where it is sent as Bearer."""

from pathlib import Path

import pytest

from fileservice.access import AccessRules, LinkStore, Principal, Scope, SecretKey
from fileservice.storage.local import LocalStore
from fileservice.web.link_credentials import LinkCredentials
from tests.support.links import LinkMaker

RULES = AccessRules.empty()


def identified(root: Path, secret: str, path: str) -> Principal:
    files = LocalStore(root, fsync=False).private_files
    credentials = LinkCredentials(LinkStore(files), SecretKey(files, None))
    return credentials.identify({"PATH_INFO": path}, secret, RULES)


@pytest.mark.parametrize("path", ["/archive.zip", "/download", "/upload", "/files/", "/", ""])
def test_link_for_downloads_reads_only_where_uses_are_counted(tmp_path: Path, path: str) -> None:
    links = LinkMaker(str(tmp_path))
    (tmp_path / "a.txt").write_text("text")
    made = links.download("a.txt", 1)
    assert identified(tmp_path, made.secret, path).scopes == frozenset()
    assert identified(tmp_path, made.secret, "/download/a.txt").scopes == {Scope.READ}


@pytest.mark.parametrize("path", ["/tus/", "/upload", "/upload/from-a.txt"])
def test_link_for_uploads_uploads_in_every_way(tmp_path: Path, path: str) -> None:
    made = LinkMaker(str(tmp_path)).upload("from-")
    guest = identified(tmp_path, made.secret, path)
    assert (guest.scopes, guest.prefix) == ({Scope.WRITE}, "from-")
