"""What the client sends to whom: tokens, the secrets of links, and nothing to other hosts."""

import os
import socket
import termios
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fileservice.client import Address
from tests.cli.clients import Person
from tests.support.access import EditedAccessFile
from tests.support.servers import LiveServer
from tests.support.wire import eventually


@pytest.fixture(scope="module")
def access_file(tmp_path_factory: pytest.TempPathFactory) -> EditedAccessFile:
    file = EditedAccessFile(tmp_path_factory.mktemp("access") / "access.toml")
    file.set("all", "list,read,write,delete,share")
    file.set("reader", "list,read")
    return file


@pytest.fixture(scope="module")
def guarded(
    start_module_server: Callable[..., LiveServer], access_file: EditedAccessFile
) -> LiveServer:
    """A server that wants a token."""
    return start_module_server(ANONYMOUS="none", ACCESS_FILE=str(access_file.path))


@pytest.fixture
def owner(guarded: LiveServer, access_file: EditedAccessFile, tmp_path: Path) -> Iterator[Person]:
    """Somebody whose token may do everything."""
    token = {"FILESERVICE_TOKEN": access_file.secret("all")}
    yield Person(guarded.url, tmp_path, token)
    guarded.clear()


@pytest.fixture
def stranger(guarded: LiveServer, tmp_path: Path) -> Person:
    """Somebody without a token."""
    return Person(guarded.url, tmp_path / "stranger")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("some text\n")
    return path


def test_token_comes_from_the_environment_or_from_a_file(
    owner: Person, stranger: Person, access_file: EditedAccessFile, file: Path, tmp_path: Path
) -> None:
    assert owner.run("put", file).returncode == 0
    assert stranger.run("ls").returncode == 6
    secret = tmp_path / "secret"
    secret.write_text(access_file.secret("reader") + "\n")
    assert stranger.run("ls", "--token-file", secret).returncode == 0
    assert stranger.run("rm", "a.txt", "--token-file", secret).returncode == 6
    secret.write_text("wrong")
    done = stranger.run("ls", "--token-file", secret)
    assert done.returncode == 6
    assert "wrong" not in done.stderr


@pytest.mark.parametrize("token", ["fs_secret\nX: y", "fs_secret x", "fs_secrét"])
def test_token_that_cannot_be_one_is_not_shown(stranger: Person, token: str) -> None:
    done = replace(stranger, environ={"FILESERVICE_TOKEN": token}).run("ls")
    assert done.returncode == 1
    assert "secr" not in done.stderr.replace("the secret of none", "")


def test_link_lets_a_stranger_fetch_the_file(
    owner: Person, stranger: Person, file: Path, tmp_path: Path
) -> None:
    assert owner.run("put", file).returncode == 0
    url = owner.run("share", "a.txt", "--uses", 1).stdout.strip()
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    assert stranger.run("get", url, "-o", fetched).returncode == 0
    assert (fetched / "a.txt").read_text() == "some text\n"
    (fetched / "a.txt").unlink()
    [link] = owner.json("share", "a.txt", "--note", "for Ada")
    assert link["note"] == "for Ada"


@pytest.fixture
def locked(owner: Person, file: Path, tmp_path: Path) -> str:
    """The URL of a link with a password."""
    assert owner.run("put", file).returncode == 0
    (tmp_path / "password").write_text("pässword of a link \n")
    options = ("--password-file", tmp_path / "password", "--expires", "1d")
    return owner.run("share", "a.txt", *options).stdout.strip()


def test_password_of_a_link_is_read_from_a_file(
    stranger: Person, locked: str, guarded: LiveServer, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("password-that-is-wrong")
    (fetched := tmp_path / "fetched").mkdir()
    for options in ([], ["--password-file", wrong]):
        done = stranger.run("get", locked, "-o", fetched, *options)
        assert done.returncode == 6
        assert "that-is-wrong" not in done.stdout + done.stderr
    done = stranger.run("get", locked, "-o", fetched, "--password-file", tmp_path / "password")
    assert done.returncode == 0, done.stderr
    assert (fetched / "a.txt").read_text() == "some text\n"
    assert "of a link " not in done.stdout + done.stderr + guarded.log()


def test_password_of_a_link_is_asked_for_without_echo(
    stranger: Person, locked: str, tool: Callable[[str], str]
) -> None:
    setsid = (tool("setsid"), "--ctty", "--wait")
    controller, terminal = os.openpty()
    with (
        stranger.start("get", locked, "-o", "-", stdin=terminal, command=setsid) as process,
        os.fdopen(controller, "r+b", buffering=0) as keyboard,
    ):
        os.close(terminal)
        shown = b""
        while b"Password" not in shown:
            shown += keyboard.read(100)
        # What is typed before the echo is off would be shown, and then be thrown away.
        eventually(lambda: not termios.tcgetattr(keyboard)[3] & termios.ECHO)
        keyboard.write("pässword of a link \n".encode())
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert output == "some text\n"
    assert "of a link " not in shown.decode() + errors


def test_password_is_sent_to_links_alone(owner: Person, file: Path, tmp_path: Path) -> None:
    assert owner.run("put", file).returncode == 0
    (tmp_path / "password").write_text("password")
    done = owner.run("get", "a.txt", "--password-file", tmp_path / "password", "-o", tmp_path)
    assert done.returncode == 0  # by the token


def test_link_lets_a_guest_send_a_file(
    owner: Person, stranger: Person, guarded: LiveServer, file: Path
) -> None:
    url = owner.run("share", "--upload-prefix", "from-ada-", "--files", 1).stdout.strip()
    done = stranger.run("put", file, url, "--name", "from-ada-a.txt")
    assert done.returncode == 0, done.stderr
    assert guarded.published() == ["from-ada-a.txt"]


def test_link_that_is_wrong_is_not_found(stranger: Person, guarded: LiveServer) -> None:
    assert stranger.run("get", f"{guarded.url}/s/{'x' * 43}").returncode == 5
    assert stranger.run("share", "--uses", 1).returncode == 2


def test_token_is_not_sent_to_another_service(owner: Person, tmp_path: Path) -> None:
    received = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            for _ in range(2):
                connection, _ = other.accept()
                with connection:
                    received.extend(connection.recv(65536))
                    # Otherwise the second request may come on the connection that is being closed.
                    connection.sendall(
                        b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                    )

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{other.getsockname()[1]}/download/a.txt"
        assert owner.run("get", url, "-o", tmp_path).returncode == 5
        thread.join()
    assert b"GET /download/a.txt" in received
    assert b"authorization" not in received.lower()


def test_client_that_may_not_ask_so_often_gives_up_when_it_would_have_to_wait_for_longer(
    start_server: Callable[..., LiveServer], file: Path
) -> None:
    person = Person(start_server(RATE_LIMIT="1/minute").url, file.parent)
    assert person.run("ls").returncode == 0
    done = person.run("put", file, "--retry-for", "1s")
    assert done.returncode == 7


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h", Address("http://h")),
        ("https://h:1/files/", Address("https://h:1/files")),
        ("http://h/upload", Address("http://h")),
        ("http://h/x/upload/a%20b.txt", Address("http://h/x", "a b.txt")),
        ("http://h/download/a.txt?inline=1", Address("http://h", "a.txt")),
        ("http://h/s/secret", Address("http://h", "", "secret")),
        ("http://h/x/s/secret/a.txt", Address("http://h/x", "a.txt", "secret")),
    ],
)
def test_url_says_where_the_service_is_and_what_is_meant(url: str, address: Address) -> None:
    assert Address.parse(url) == address


@pytest.mark.parametrize("url", ["", "h", "ftp://h/", "http://", "http://user:secret@h/"])
def test_url_that_is_none_of_a_service_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        Address.parse(url)
