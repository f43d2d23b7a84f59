"""fileservice sweep: what has expired is removed once, and what has not stays."""

import json
import time
from pathlib import Path

import pytest

from fileservice.storage import open_store
from tests.cli.commands import Done, run
from tests.support.seaweed import SeaweedClient
from tests.support.tus import VERSION, named
from tests.support.wire import eventually
from tests.web.application import application


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    open_store(str(path), fsync=False)
    return path


def sweep(store: object, *options: str, **settings: str) -> Done:
    variables = {"STORE_URL": str(store), "FSYNC": "false", **settings}
    environ = {f"FILESERVICE_{name}": value for name, value in variables.items()}
    return run("sweep", *options, **environ)


def test_expired_files_uploads_and_staged_files_are_removed_and_others_stay(store: Path) -> None:
    service = application(store).test_client()  # it sweeps only before requests
    for name, expires in (("a.txt", "1d"), ("b.txt", "1s")):
        url = f"/upload/{name}?expires={expires}"
        assert service.put(url, data=b"some text\n").status_code == 201
    length = {"Upload-Length": "10"}
    begun = service.post("/tus/", headers=VERSION | named("c.txt") | length)
    assert begun.status_code == 201
    upload = store / ".fileservice" / "uploads" / begun.headers["Location"].rpartition("/")[2]
    staged = store / ".fileservice" / "staging" / ("0" * 32)
    staged.write_bytes(b"of a process that died")
    expired = time.time() + 2
    eventually(lambda: time.time() > expired)
    assert (store / "b.txt").exists()

    done = sweep(store, "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"files": 1, "uploads": 0, "links": 0, "problems": []}
    assert (store / "a.txt").exists()
    assert not (store / "b.txt").exists()
    assert not staged.exists()
    assert upload.exists()
    done = sweep(store, "--json", UPLOAD_EXPIRY="1s")
    assert json.loads(done.stdout)["uploads"] == 1
    assert not upload.exists()
    done = sweep(store)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_files_that_are_removed_are_reported_when_the_service_runs_again(store: Path) -> None:
    url = "/upload/a.txt?expires=1s"
    service = application(store).test_client()
    assert service.put(url, data=b"some text\n").status_code == 201
    expired = time.time() + 2
    eventually(lambda: time.time() > expired)

    done = sweep(
        store,
        ON_STORED="https://receiver.example/events",
        ON_STORED_SECRET="whsec_" + "A" * 32,
        PUBLIC_URL="https://files.example.org",
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert not (store / "a.txt").exists()
    (event,) = (store / ".fileservice" / "events").iterdir()
    assert not event.name.startswith("pending")
    written = json.loads(event.read_bytes())["event"]
    assert written["type"] == "fileservice.file.expired"
    assert written["subject"] == "a.txt"
    assert written["source"] == "https://files.example.org"


def test_what_is_not_a_store_is_left(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for path in (tmp_path / "notes", tmp_path / "missing"):
        done = sweep(path)
        assert done.returncode == 1
        assert f"{path} is not the directory of a service" in done.stderr
    assert list(tmp_path.rglob("*")) == [tmp_path / "notes"]


def test_wrong_settings_end_the_command(store: Path) -> None:
    done = sweep(store, UPLOAD_EXPIRY="soon")
    assert done.returncode == 1
    assert "FILESERVICE_UPLOAD_EXPIRY='soon': must be a duration" in done.stderr


def test_a_store_with_another_identity_is_left(store: Path) -> None:
    staged = store / ".fileservice" / "staging" / ("0" * 32)
    staged.write_bytes(b"of a process that died")
    done = sweep(store, STORE_ID="1" * 32)
    assert done.returncode == 1
    assert "identity" in done.stderr
    assert staged.exists()


def test_what_cannot_be_removed_is_named_and_the_rest_is_removed(store: Path) -> None:
    upload = "0" * 32
    (store / ".fileservice" / "uploads" / f"{upload}.json").mkdir()  # no record can be read there
    (staged := store / ".fileservice" / "staging" / upload).write_bytes(b"of a dead process")
    done = sweep(store, "--json")
    assert done.returncode == 1
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem.startswith(f"the upload {upload} could not be swept")
    assert problem in done.stderr
    assert "Error: not everything could be removed" in done.stderr
    assert not staged.exists()


def test_a_bucket_is_swept(seaweed: SeaweedClient) -> None:
    done = sweep(seaweed.url("swept"))
    assert (done.returncode, done.stderr) == (0, "")
