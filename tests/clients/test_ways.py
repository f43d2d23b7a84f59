"""The ways in which real tus clients upload, and what they report of a refusal."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.checks import (
    assert_absent,
    assert_gone,
    assert_kept,
    assert_survives,
    assert_whole,
)
from tests.clients.clients import PERSISTENT, Client
from tests.clients.conftest import first_client
from tests.clients.fault_proxy import Fault, FaultProxy, Link, delay, random_plan
from tests.support.servers import LiveServer

MIB = 1024 * 1024
SECONDS = 120
CHUNKED = ("--chunk-size", str(MIB))
NOT_TO_BE_GUESSED = "Übermaß, 100 % – «ça va»? 日本.txt"


def test_a_client_uploads_a_file_under_any_name(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path]
) -> None:
    file = make_text(2 * MIB + 1)
    outcome = client.upload(tus_server.url, file, NOT_TO_BE_GUESSED, *CHUNKED)
    assert outcome.done, outcome
    assert tus_server.published() == [NOT_TO_BE_GUESSED]
    assert_whole(tus_server, NOT_TO_BE_GUESSED, file)


@first_client
def test_a_client_uploads_an_empty_file(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path]
) -> None:
    file = make_text(0)
    outcome = client.upload(tus_server.url, file, "a.txt")
    assert outcome.done, outcome
    assert_whole(tus_server, "a.txt", file)


@pytest.mark.parametrize("size", [5 * MIB, pytest.param(MIB // 2, marks=pytest.mark.thorough)])
def test_a_client_sends_the_first_bytes_with_the_creation(
    tus_server: LiveServer, tus_js: Client, make_text: Callable[..., Path], size: int
) -> None:
    file = make_text(size)
    plan = [Fault(size // 2, Link.reset)]
    assert_survives(tus_js, tus_server, plan, file, "--with-creation", *CHUNKED)


def test_a_client_sends_patch_as_an_overridden_post(
    tus_server: LiveServer, tus_js: Client, make_text: Callable[..., Path]
) -> None:
    file = make_text(2 * MIB)
    outcome = tus_js.upload(tus_server.url, file, "a.txt", "--override-method", *CHUNKED)
    assert outcome.done, outcome
    assert outcome.answers == ["POST 201", "POST 204", "POST 204"]
    assert_whole(tus_server, "a.txt", file)


# Where the chunks fill the file exactly, tus-js-client 4.3.1 waits for ever for one byte more.
@pytest.mark.parametrize(
    "size", [4 * MIB + 1, *(pytest.param(n, marks=pytest.mark.thorough) for n in (4 * MIB - 1, 1))]
)
def test_a_client_declares_the_length_at_the_end(
    tus_server: LiveServer, tus_js: Client, make_text: Callable[..., Path], size: int
) -> None:
    file = make_text(size)
    outcome = tus_js.upload(tus_server.url, file, "a.txt", "--deferred-length", *CHUNKED)
    assert outcome.done, outcome
    assert_whole(tus_server, "a.txt", file)


def test_an_upload_with_deferred_length_survives_cuts(
    tus_server: LiveServer, tus_js: Client, make_text: Callable[..., Path]
) -> None:
    size = 6 * MIB
    file = make_text(size)
    plan = random_plan(6, size, delay, Link.reset, Link.close_client, Link.lose_answer)
    assert_survives(tus_js, tus_server, plan, file, "--deferred-length", *CHUNKED)


def test_parallel_partial_uploads_become_one_file(
    tus_server: LiveServer, tus_js: Client, make_text: Callable[..., Path]
) -> None:
    size = 12 * MIB + 1
    file = make_text(size)
    plan = random_plan(6, size, delay, Link.reset, Link.silence, Link.close_client)
    with FaultProxy(tus_server.port, plan) as proxy:
        outcome = tus_js.upload(
            proxy.url, file, "a.txt", "--parallel-uploads", "4", *CHUNKED, *PERSISTENT
        )
        assert outcome.done, (outcome, str(proxy.traffic))
        assert_kept(proxy)
        *parts, final = proxy.traffic.uploads()
        assert len(parts) >= 4
    assert outcome.url == proxy.url + final
    assert_whole(tus_server, "a.txt", file)


@first_client
def test_a_name_that_is_taken_is_refused_at_once(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path]
) -> None:
    first, second = make_text(MIB, seed=1), make_text(MIB, seed=2)
    assert client.upload(tus_server.url, first, "a.txt").done
    outcome = client.upload(tus_server.url, second, "a.txt")
    assert not outcome.done
    assert outcome.status == 409
    assert outcome.problem()["code"] == "name-taken"
    assert_whole(tus_server, "a.txt", first)


@first_client
def test_a_type_that_is_not_allowed_is_refused_at_once(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path]
) -> None:
    outcome = client.upload(tus_server.url, make_text(MIB), "a.exe")
    assert not outcome.done
    assert outcome.status == 415
    assert outcome.problem()["code"] == "extension-not-allowed"


@first_client
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(CHUNKED, id="in chunks"),
        pytest.param((), id="in one request", marks=pytest.mark.thorough),
    ],
)
def test_bytes_that_are_not_what_the_name_says_are_refused(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path], options: tuple[str, ...]
) -> None:
    with FaultProxy(tus_server.port) as proxy:
        outcome = client.upload(proxy.url, make_text(12 * MIB), "a.png", *options)
        (upload,) = proxy.traffic.uploads()
    assert not outcome.done
    assert outcome.status == 415
    assert outcome.problem()["code"] == "content-mismatch"
    assert_absent(tus_server, "a.png")
    assert_gone(tus_server, upload)


@first_client
def test_the_first_of_two_uploads_to_one_name_to_end_wins(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path]
) -> None:
    slow, fast = make_text(3 * MIB, seed=1), make_text(MIB, seed=2)
    paused, go_on = threading.Event(), threading.Event()

    def pause(_link: Link) -> None:
        paused.set()
        assert go_on.wait(SECONDS)

    with (
        FaultProxy(tus_server.port, [Fault(2 * MIB, pause)]) as proxy,
        client.start(proxy.url, slow, "a.txt") as run,
    ):
        assert paused.wait(SECONDS)
        assert client.upload(tus_server.url, fast, "a.txt").done
        go_on.set()
        outcome = run.outcome()
        (upload,) = proxy.traffic.uploads()
    assert not outcome.done
    assert outcome.status == 409
    assert outcome.problem()["code"] == "name-taken"
    assert_whole(tus_server, "a.txt", fast)
    assert_gone(tus_server, upload)
