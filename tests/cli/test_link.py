"""fileservice link: links are made, listed and revoked in the store of a service."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fileservice.access import LinkGone, LinkStore, MakerKind, NoSuchLink, UploadGrant, is_password
from fileservice.storage import open_store
from tests.cli import commands
from tests.cli.commands import Done, run_process
from tests.support.seaweed import SeaweedClient
from tests.support.servers import ROOT, LiveServer

URL = re.compile(r"(\S*)/s/([A-Za-z0-9_-]{43})\n")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The directory of a service, with one file."""
    path = tmp_path / "store"
    open_store(str(path), fsync=False)
    (path / "a.txt").write_text("some text\n")
    return path


def run(store: Path | str, *arguments: object, given: str = "", **environ: str) -> Done:
    return commands.run(
        "link", *arguments, given=given, FILESERVICE_STORE_URL=str(store), **environ
    )


def links_of(store: Path) -> LinkStore:
    return LinkStore(open_store(str(store), fsync=False).private_files)


def secret_in(done: Done) -> str:
    assert done.returncode == 0, done.stderr
    match = URL.fullmatch(done.stdout)
    assert match, done.stdout
    assert match[2] not in done.stderr
    return match[2]


def test_link_to_a_file_is_that_of_the_operator(store: Path) -> None:
    began = time.time()
    done = run_process(
        *("link", "a.txt", "--expires", "7d", "--uses", 3, "--note", "for Ada"),
        FILESERVICE_STORE_URL=str(store),
    )
    link = links_of(store).find(secret_in(done))
    assert link.maker.kind is MakerKind.OPERATOR
    assert link.download
    assert (link.download.name, link.download.uses, link.note) == ("a.txt", 3, "for Ada")
    assert link.expires
    assert int(began) <= link.expires - 7 * 86400 <= time.time() + 1


def test_link_for_guests(store: Path) -> None:
    done = run(store, "--upload-prefix", "from-ada-", "--files", 5, "--bytes", "1GiB")
    assert links_of(store).find(secret_in(done)).upload == UploadGrant("from-ada-", 5, 1 << 30)


def test_url_begins_with_the_public_url(store: Path) -> None:
    done = run(store, "a.txt", FILESERVICE_PUBLIC_URL="https://files.example/x/")
    match = URL.fullmatch(done.stdout)
    assert match
    assert match[1] == "https://files.example/x"
    assert run(store, "a.txt").stdout.startswith("/s/")


def test_password_is_read_from_the_first_line_and_not_kept(store: Path) -> None:
    link = links_of(store).find(
        secret_in(run(store, "a.txt", "--password-file", "-", given="hunter2\nmore\n"))
    )
    assert is_password("hunter2", link.password)
    kept = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file())
    assert b"hunter2" not in kept


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["a.txt", "--uses", "0"], "--uses: must be a number"),
        (["a.txt", "--expires", "7w"], "--expires: must be a duration"),
        (["a.txt", "--expires", "400d"], "--expires: must be within"),
        (["a.txt", "--upload-prefix", "x-"], "either NAME or --upload-prefix"),
        (["a.txt", "--files", "5"], "either NAME or --upload-prefix"),
        (["--files", "5"], "--upload-prefix: must be given"),
        (["--upload-prefix", "x-", "--bytes", "1 GB"], "--bytes: must be a size"),
        (["--upload-prefix", "../"], "--upload-prefix: cannot be used"),
        (["missing.txt"], "there is no file named 'missing.txt'"),
        (["a/b.txt"], "NAME: the name must be one path segment"),
        (["a.txt", "--password-file", "-"], "--password-file: must have 1 to"),
        (["make"], "either NAME or --upload-prefix"),
        (["revoke", "0" * 32], "there is no such link"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistake_is_named_and_makes_no_link(
    store: Path, arguments: list[str], problem: str
) -> None:
    done = run(store, *arguments)
    assert done.returncode in (1, 2)
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(links_of(store).list()) == []


def test_directory_that_is_no_store_is_not_made_one(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        done = run(path, "a.txt")
        assert done.returncode == 1
        assert "is not the directory of a service" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_links_are_listed_without_their_secrets_and_revoked(store: Path) -> None:
    secrets = [
        secret_in(run(store, "a.txt", "--note", "for Ada")),
        secret_in(run(store, "--upload-prefix", "x-", "--files", "5")),
    ]
    listed = run(store, "list", "--json").stdout
    assert not any(secret in listed for secret in secrets)
    by_gift = {one.get("name", "guests"): one for one in json.loads(listed)}
    assert by_gift["a.txt"]["note"] == "for Ada"
    assert by_gift["guests"]["upload"] == {"prefix": "x-", "files": 5, "bytes": None}
    assert run(store, "revoke", by_gift["a.txt"]["id"]).returncode == 0
    with pytest.raises(LinkGone):
        links_of(store).find(secrets[0])
    assert links_of(store).find(secrets[1])
    rows = run(store, "list").stdout.splitlines()
    assert rows[0].split() == ["ID", "MAKER", "GIVES", "EXPIRES", "NOTE"]
    assert [("revoked" in row) for row in rows if "a.txt" in row] == [True]
    assert [row for row in rows if "uploads x-* (5 files)" in row]


def test_url_that_cannot_be_shown_leaves_no_link_that_works(store: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fileservice", "link", "a.txt", "--store-url", str(store)],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert "the link was revoked again" in done.stderr
    (link,) = links_of(store).list()
    assert link.revoked is not None


def test_links_in_a_bucket(seaweed: SeaweedClient) -> None:
    url = seaweed.url(f"links-{os.urandom(8).hex()}")
    done = run(url, "--upload-prefix", "x-", "--files", "5")
    link = LinkStore(open_store(url, fsync=True).private_files).find(secret_in(done))
    assert link.upload == UploadGrant("x-", 5)
    assert link.id in run(url, "list").stdout
    assert run(url, "revoke", link.id).returncode == 0
    assert json.loads(run(url, "list", "--json").stdout)[0]["revoked"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_store_of_another_user_is_left_alone(store: Path) -> None:
    os.chown(store / ".fileservice", 12345, 12345)
    done = run(store, "a.txt")
    assert done.returncode == 1
    assert "belongs to the user 12345: run this command as that user" in done.stderr


def test_running_service_knows_what_the_command_has_changed(store: Path) -> None:
    server = LiveServer({"STORE_URL": str(store), "WORKERS": "1", "ANONYMOUS": "none"})
    try:
        secret = secret_in(run(store, "--upload-prefix", "x-"))
        with server.client() as client:
            client.headers["Authorization"] = f"Bearer {secret}"
            assert client.put("/upload/x-1.txt", content=b"text\n").status_code == 201
            (link,) = links_of(store).list()
            assert run(store, "revoke", link.id).returncode == 0
            answer = client.put("/upload/x-2.txt", content=b"text\n")
        assert (answer.status_code, answer.json()["code"]) == (410, "link-gone")
        with pytest.raises(NoSuchLink):
            links_of(store).find(secret[::-1])
    finally:
        server.stop()
