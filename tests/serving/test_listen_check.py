"""What is said where the service cannot listen."""

import os
import socket
import threading
from pathlib import Path

import pytest
from gunicorn.config import Config

from fileservice.serving import listen_check
from fileservice.serving.listen_check import CannotListen, check_listeners
from tests.support.ports import free_port

FIRST_PORT_OF_ALL = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
"""The first port that every user may have (ip(7)); Docker sets it to 0 in containers."""


def config(bind: str, **settings: object) -> Config:
    cfg = Config()
    for name, value in {"bind": bind, **settings}.items():
        cfg.set(name, value)
    return cfg


def problem(bind: str, **settings: object) -> str:
    with pytest.raises(CannotListen) as raised:
        check_listeners(config(bind, **settings))
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_a_free_port_and_a_new_socket_are_accepted(tmp_path: Path) -> None:
    check_listeners(config(f"127.0.0.1:{free_port()}"))
    check_listeners(config(f"unix:{tmp_path}/socket"))
    assert list(tmp_path.iterdir()) == []


def test_a_port_whose_listener_was_closed_a_moment_ago_is_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()  # this end is the one that waits for stray packets
    check_listeners(config(f"127.0.0.1:{port}"))


def test_a_port_that_a_dying_process_gives_up_a_moment_later_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listen_check, "_DYING_SECONDS", 60.0)  # the thread may begin late
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    ending = threading.Timer(0.2, listener.close)
    ending.start()
    check_listeners(config(f"127.0.0.1:{port}"))
    ending.join()


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("0.0.0.0", marks=pytest.mark.thorough)])
def test_a_port_in_use_is_named(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = problem(f"{host}:{port}")
    assert said.startswith(f"port {port} of {host} is in use: stop the process that listens there")
    assert "FILESERVICE_BIND" in said


def test_an_address_of_another_machine_is_named() -> None:
    assert problem("192.0.2.1:8000").startswith("this machine does not have the address 192.0.2.1:")


def test_a_host_that_cannot_be_resolved_is_named() -> None:
    assert problem("host.invalid:8000").startswith("host.invalid cannot be resolved:")


def test_a_port_of_root_is_named_to_others(root: None) -> None:
    port = int(FIRST_PORT_OF_ALL.read_text()) - 1
    if port < 1:
        pytest.skip("every user may listen on all ports here")
    said = as_nobody(f"127.0.0.1:{port}")
    assert said.startswith(f"this user may not listen on port {port}: set FILESERVICE_BIND to a")


def test_a_directory_where_no_socket_can_be_created_is_named(root: None, tmp_path: Path) -> None:
    said = as_nobody(f"unix:{tmp_path}/socket")
    assert said.startswith(f"this user may not create a socket in {tmp_path}: ")


def as_nobody(bind: str) -> str:
    """Return the problem that a process of another user has."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setuid(65534)
            check_listeners(config(bind))
        except CannotListen as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as result:
        text = result.read()
    os.waitpid(child, 0)
    return text


def test_what_is_no_socket_is_named_and_left(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("notes")
    assert problem(f"unix:{path}").startswith(f"{path} is not a socket: remove it")
    assert path.read_text() == "notes"


def test_a_missing_directory_of_a_socket_is_named(tmp_path: Path) -> None:
    said = problem(f"unix:{tmp_path}/run/socket")
    assert said.startswith(f"{tmp_path}/run is not a directory: create it")


def test_a_socket_where_a_process_listens_is_in_use_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert problem(f"unix:{path}").startswith(f"{path} is in use: ")
    check_listeners(config(f"unix:{path}"))  # the process was killed, and has left its socket


def test_sockets_that_are_inherited_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cfg = config(f"127.0.0.1:{listener.getsockname()[1]}")
        for name, value in (("GUNICORN_PID", "1"), ("LISTEN_PID", str(os.getpid()))):
            with monkeypatch.context() as context:
                context.setenv(name, value)
                check_listeners(cfg)
        monkeypatch.setenv("LISTEN_PID", "1")  # those are for another process
        with pytest.raises(CannotListen):
            check_listeners(cfg)
