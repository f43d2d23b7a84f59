"""Real tus clients over bad connections: received bytes are kept, and the file ends up complete."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.checks import (
    assert_absent,
    assert_kept,
    assert_replaced,
    assert_survives,
    assert_whole,
)
from tests.clients.clients import PATIENT, PERSISTENT, Client
from tests.clients.conftest import first_client
from tests.clients.fault_proxy import Fault, FaultProxy, Link, delay, random_plan
from tests.support.servers import LiveServer
from tests.support.wire import eventually

MIB = 1024 * 1024
EVERY_FAULT = (
    delay,
    Link.reset,
    Link.silence,
    Link.close_server,
    Link.close_client,
    Link.lose_answer,
)
CHUNKED = ("--chunk-size", str(MIB))


@pytest.mark.thorough
@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.thorough)])
def test_uploads_survive_every_kind_of_connection_fault(
    tus_server: LiveServer,
    tus_js: Client,
    tuspy: Client,
    make_text: Callable[..., Path],
    count: int,
) -> None:
    files = [make_text((6 + seed) * MIB + seed, seed) for seed in range(count)]

    def survive(client: Client, seed: int) -> None:
        file = files[seed]
        name, size = f"{client.name}-{seed}.txt", file.stat().st_size
        options = CHUNKED if seed % 2 else ()
        with FaultProxy(tus_server.port, random_plan(seed, size, *EVERY_FAULT)) as proxy:
            outcome = client.upload(proxy.url, file, name, *PERSISTENT, *options)
            assert outcome.done, (name, outcome, str(proxy.traffic))
            assert_kept(proxy)
            assert_replaced(proxy)
        assert_whole(tus_server, name, file)

    cases = [(client, seed) for client in (tus_js, tuspy) for seed in range(len(files))]
    with ThreadPoolExecutor(len(cases)) as together:  # for they wait, most of the time
        for survived in [together.submit(survive, *case) for case in cases]:
            survived.result()


@pytest.mark.thorough
def test_an_upload_of_30_mib_survives_eight_resets(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path]
) -> None:
    size = 30 * MIB
    file = make_text(size)
    plan = random_plan(30, size, Link.reset, times=8)
    assert_survives(client, tus_server, plan, file)


def test_a_client_that_checks_its_chunks_survives_resets(
    tus_server: LiveServer, tuspy: Client, make_text: Callable[..., Path]
) -> None:
    size = 8 * MIB
    file = make_text(size)
    plan = random_plan(8, size, Link.reset, Link.lose_answer, times=3)
    assert_survives(tuspy, tus_server, plan, file, "--checksum", *CHUNKED)


@first_client
def test_a_client_that_lost_the_answer_to_its_creation_creates_another_upload(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path]
) -> None:
    file = make_text(MIB)
    plan = [Fault(1, Link.lose_answer)]
    traffic = assert_survives(client, tus_server, plan, file, *PATIENT)
    assert len(traffic.uploads()) == 2


@first_client
def test_a_client_that_lost_the_last_answer_learns_that_the_upload_is_complete(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path]
) -> None:
    size = 3 * MIB
    file = make_text(size)
    plan = [Fault(size - 10, Link.lose_answer)]
    traffic = assert_survives(client, tus_server, plan, file, *PATIENT)
    (upload,) = traffic.uploads()
    assert traffic.ranges(upload) == [(0, size)]


def test_bytes_that_reached_the_server_before_a_connection_ended_are_kept(
    tus_server: LiveServer, tus_js: Client, make_text: Callable[..., Path]
) -> None:
    size = 12 * MIB
    file = make_text(size)
    plan = random_plan(12, size, Link.close_server)
    # The client waits for so long; a server that is only slow must not be given up.
    slowly = ("--give-up-after", "6000")
    traffic = assert_survives(tus_js, tus_server, plan, file, *slowly)
    (upload,) = traffic.uploads()
    assert traffic.bytes_sent_again(upload) == 0, traffic


@first_client
def test_a_client_continues_after_a_late_request_of_its_own_took_the_lock(
    tus_server: LiveServer, client: Client, make_text: Callable[..., Path]
) -> None:
    """A request that its client gave up can reach the server late, and find the upload quiet."""

    def overtake(_link: Link) -> None:
        (upload,) = proxy.traffic.uploads()
        fields = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
        fields["Upload-Offset"] = "0"

        def has_had_the_upload() -> bool:  # it has nothing to add
            with tus_server.client() as late:
                answer = late.patch(upload, content=b"late", headers=fields)
            # It is locked until what was forwarded has been taken in.
            assert answer.status_code in (409, 423), answer.text
            return answer.status_code == 409

        eventually(has_had_the_upload)

    file = make_text(6 * MIB)
    with FaultProxy(tus_server.port, [Fault(3 * MIB, overtake)]) as proxy:
        outcome = client.upload(proxy.url, file, "a.txt", "--retry-delays", "50,100,100,100")
        assert outcome.done, (outcome, str(proxy.traffic))
        assert proxy.fired == 1
        assert len(proxy.traffic.ranges(*proxy.traffic.uploads())) > 1
    assert_whole(tus_server, "a.txt", file)


@pytest.mark.parametrize(
    ("first", "second"),
    [("tus_js", "tuspy"), pytest.param("tuspy", "tus_js", marks=pytest.mark.thorough)],
)
def test_another_client_continues_from_the_address_of_the_upload(
    tus_server: LiveServer,
    make_text: Callable[..., Path],
    request: pytest.FixtureRequest,
    first: str,
    second: str,
) -> None:
    size = 8 * MIB
    file = make_text(size)
    one, other = request.getfixturevalue(first), request.getfixturevalue(second)
    with FaultProxy(tus_server.port, [Fault(5 * MIB, Link.silence)]) as proxy:
        with one.start(proxy.url, file, "a.txt", "--chunk-size", str(2 * MIB)):
            proxy.wait_until_silent()
        assert_absent(tus_server, "a.txt")
        (upload,) = proxy.traffic.uploads()
        url = ("--url", proxy.url + upload)
        outcome = other.upload(proxy.url, file, "a.txt", *PERSISTENT, *url)
        assert outcome.done, (outcome, str(proxy.traffic))
        assert outcome.url == proxy.url + upload
        assert_kept(proxy)
        assert_replaced(proxy)
        assert proxy.traffic.uploads() == [upload]
    assert_whole(tus_server, "a.txt", file)
