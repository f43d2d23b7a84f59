"""fileservice verify and copy: results, the exit status, and what a killed command leaves."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import Done, run
from tests.integrity.stores import LARGE, OpenStore, in_bucket, in_directory
from tests.support.faulty_proxy import FaultyProxy
from tests.support.seaweed import SeaweedClient
from tests.support.servers import ROOT
from tests.support.wire import eventually


@pytest.fixture
def store(tmp_path: Path) -> OpenStore:
    return in_directory(tmp_path / "store")


def verify(store: OpenStore, *arguments: object) -> Done:
    return run("verify", *arguments, FILESERVICE_STORE_URL=store.url)


def test_damaged_file_is_named_and_the_status_says_so(store: OpenStore) -> None:
    store.put("a.txt", b"some text\n")
    store.put("b.txt", b"some text\n")
    assert verify(store).returncode == 0
    store.rot("b.txt")
    done = verify(store)
    assert done.returncode == 3
    assert done.stdout.startswith("damaged  b.txt: the SHA-256 is ")
    assert "1 intact, 1 damaged" in done.stderr
    states = [json.loads(line)["state"] for line in verify(store, "--json").stdout.splitlines()]
    assert states == ["intact", "damaged"]


def test_single_files_can_be_verified(store: OpenStore) -> None:
    store.put("a.txt", b"some text\n")
    store.put("b.txt", b"some text\n")
    store.rot("b.txt")
    assert verify(store, "a.txt").returncode == 0
    assert verify(store, "b.txt", "a.txt").returncode == 3
    assert verify(store, "none.txt").returncode == 5
    assert verify(store, "../a.txt").returncode == 2
    store.rot("b.txt")
    assert verify(store, "b.txt").stdout == "restored  b.txt\n"


def test_store_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    for arguments in (["verify", "--store-url", tmp_path / "none"],
                      ["copy", tmp_path / "none", tmp_path / "target"]):  # fmt: skip
        done = run(*arguments)
        assert done.returncode == 1
        assert "is not the directory of a service" in done.stderr
    assert not list(tmp_path.iterdir())


def test_directory_with_other_files_is_no_target(store: OpenStore, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mine.txt").touch()
    assert run("copy", store.url, tmp_path / "home").returncode == 1
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["mine.txt"]


def test_copy_says_what_it_could_not_copy(store: OpenStore, tmp_path: Path) -> None:
    target = in_directory(tmp_path / "target")
    store.put("a.txt", b"some text\n")
    store.put("b.txt", b"some text\n")
    target.put("a.txt", b"another text\n")
    done = run("copy", store.url, target.url)
    assert done.returncode == 4
    assert done.stdout == "conflict  a.txt: the target has one of another size\n"
    store.rot("b.txt")
    target.store.delete(target.store.stat(next(iter(target.store.list("a.txt"))).name).name)
    assert run("copy", store.url, target.url).returncode == 3


def test_copy_that_was_killed_goes_on_and_leaves_no_half_file(
    store: OpenStore, seaweed: SeaweedClient
) -> None:
    prefix = f"copy-{secrets.token_hex(8)}"
    bucket = in_bucket(seaweed, prefix)
    content = os.urandom(LARGE)
    for name in ("a.txt", "b.txt", "c.txt"):
        store.put(name, content)
    with FaultyProxy(seaweed.port) as proxy:
        proxy.silence_after = 2 * LARGE
        command = [sys.executable, "-m", "fileservice", "copy", "--threads", "1", store.url]
        with subprocess.Popen(
            [*command, seaweed.url(prefix, proxy.port)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            eventually(lambda: proxy.mode == "silence" or process.poll() is not None)
            assert process.poll() is None
            process.kill()
    assert {file.name for file in bucket.store.list()} < {"a.txt", "b.txt", "c.txt"}
    done = run("copy", store.url, bucket.url, "--json")
    assert done.returncode == 0, done.stderr
    states = [json.loads(line)["state"] for line in done.stdout.splitlines()]
    assert states.count("unchanged") >= 1
    assert states.count("copied") >= 1
    assert all(bucket.read(name) == content for name in ("a.txt", "b.txt", "c.txt"))
