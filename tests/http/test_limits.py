"""Limits of uploads under way, wrong credentials, requests and bytes, over all workers."""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.access.rules import SECRET, token
from tests.support.processes import cpu_seconds
from tests.support.redis import PASSWORD, RedisServer
from tests.support.servers import LiveServer
from tests.support.tus import BYTES, VERSION, Tus, named
from tests.support.wire import Answer, Wire, ask, eventually, form_request, part, request

Start = Callable[..., LiveServer]
TEXT = b"some text\n"
BEGUN = request("PUT /upload/slow.txt", "Content-Length: 20") + TEXT
"""An upload whose second half is missing."""


@contextlib.contextmanager
def uploads_under_way(server: LiveServer, number: int) -> Iterator[list[Wire]]:
    """Begin so many uploads, each on a connection of its own."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server)) for _ in range(number)]
        for index, wire in enumerate(wires):
            line = f"PUT /upload/slow-{index}.txt"
            wire.send(request(line, "Content-Length: 20", "Expect: 100-continue"))
            assert wire.answer().status == 100
        yield wires


def is_busy(answer: Answer) -> bool:
    if answer.status == 503:
        assert (answer.code(), answer.headers["Retry-After"]) == ("busy", "2")
    return answer.status == 503


def put(name: str = "a.txt") -> bytes:
    return request(f"PUT /upload/{name}", body=TEXT)


WAYS = {
    "raw": request("PUT /upload/a.txt", "Content-Length: 1000000"),
    "raw, chunked": request("POST /upload/a.txt", "Transfer-Encoding: chunked"),
    "form": form_request(b"", "Content-Length: 1000000"),
    "tus, without a body": request(
        "POST /tus/", "Tus-Resumable: 1.0.0", "Upload-Length: 10", "Content-Length: 0"
    ),
    "tus, with a body": request(
        "POST /tus/",
        *(f"{name}: {value}" for name, value in (VERSION | named("a.txt") | BYTES).items()),
        *("Upload-Length: 1000000", "Content-Length: 1000000"),
    ),
    "tus, PATCH": request(
        "PATCH /tus/" + "0" * 32,
        *(f"{name}: {value}" for name, value in (VERSION | BYTES).items()),
        *("Upload-Offset: 0", "Content-Length: 1000000"),
    ),
    "tus, PATCH as POST": request(
        "POST /tus/" + "0" * 32,
        *(f"{name}: {value}" for name, value in (VERSION | BYTES).items()),
        *("X-HTTP-Method-Override: PATCH", "Upload-Offset: 0", "Content-Length: 1000000"),
    ),
    "draft": request(
        "PUT /upload/a.txt",
        *("Upload-Draft-Interop-Version: 8", "Upload-Complete: ?0", "Content-Length: 1000000"),
    ),
    "draft, PATCH": request(
        "PATCH /resume/" + "0" * 32,
        *("Content-Type: application/partial-upload", "Upload-Offset: 0"),
        *("Upload-Complete: ?1", "Content-Length: 1000000"),
    ),
}
"""The heads of uploads in every way; none of the bodies is sent."""


def test_one_upload_too_many_is_refused_before_its_body_in_every_way(start_server: Start) -> None:
    server = start_server(MAX_UPLOADS="3", WORKERS="2")
    with uploads_under_way(server, 3) as wires:
        for way, head in WAYS.items():
            assert is_busy(ask(server, head)), way
        assert ask(server, request("GET /download")).status == 200
        for wire in wires:
            wire.send(TEXT + TEXT)
            assert wire.answer().status == 201
    for way, head in WAYS.items():
        with Wire(server) as wire:
            wire.send(head)
            wire.finish()
            assert wire.answer().status != 503, way
    assert ask(server, put()).status == 201


def reset_after_half(wire: Wire) -> None:
    wire.send(BEGUN)
    wire.reset()


def finish_after_half(wire: Wire) -> None:
    wire.send(BEGUN)
    wire.finish()
    assert wire.answer().status == 400


def reset_after_head(wire: Wire) -> None:
    wire.send(request("PUT /upload/slow.txt", "Content-Length: 20"))
    wire.reset()


def reset_in_chunk(wire: Wire) -> None:
    wire.send(request("PUT /upload/slow.txt", "Transfer-Encoding: chunked") + b"ff\r\nabc")
    wire.reset()


def break_chunk(wire: Wire) -> None:
    wire.send(request("PUT /upload/slow.txt", "Transfer-Encoding: chunked") + b"xyz\r\n")
    assert wire.answer().status == 400


def reset_in_form(wire: Wire) -> None:
    body = b"--XboundaryX\r\n" + part("file", b"some", "slow.txt")
    wire.send(form_request(body, f"Content-Length: {len(body) + 100}"))
    wire.reset()


def reset_when_all_is_sent(wire: Wire) -> None:
    wire.send(put("slow.txt"))
    wire.reset()


def stall(wire: Wire) -> None:
    wire.send(BEGUN)
    assert wire.answer().status == 408


def be_refused(wire: Wire) -> None:
    wire.send(request("PUT /upload/a.exe", "Content-Length: 1000000"))
    assert wire.answer().status == 415


def send_other_content(wire: Wire) -> None:
    assert wire.ask(request("PUT /upload/slow.pdf", body=TEXT)).status == 415


def send_a_bad_name(wire: Wire) -> None:
    assert wire.ask(request("PUT /upload/%00.txt", body=TEXT)).status in (400, 404)


def vanish_in_tus(wire: Wire) -> None:
    fields = VERSION | named("slow.txt") | BYTES | {"Upload-Length": "20", "Content-Length": "20"}
    wire.send(request("POST /tus/", *(f"{name}: {value}" for name, value in fields.items())) + TEXT)
    wire.reset()


def vanish_in_draft(wire: Wire) -> None:
    fields = ("Upload-Draft-Interop-Version: 8", "Upload-Complete: ?1", "Content-Length: 20")
    wire.send(request("PUT /upload/slow.txt", *fields) + TEXT)
    assert wire.answer().status == 104
    wire.reset()


EXITS = (
    *(reset_after_half, finish_after_half, reset_after_head, reset_in_chunk, break_chunk),
    *(reset_in_form, reset_when_all_is_sent, stall, be_refused, send_other_content),
    *(send_a_bad_name, vanish_in_tus, vanish_in_draft),
)


def test_every_end_of_an_upload_allows_another(start_server: Start) -> None:
    server = start_server(MAX_UPLOADS="1", WORKERS="1", IDLE_TIMEOUT="1s")
    for end in EXITS:
        server.clear()
        with Wire(server) as wire:
            end(wire)
        eventually(lambda: not is_busy(ask(server, put())))


def test_uploads_of_a_worker_that_was_killed_do_not_count(start_server: Start) -> None:
    server = start_server(MAX_UPLOADS="2", WORKERS="2")
    with uploads_under_way(server, 2):
        assert is_busy(ask(server, put()))
        server.kill_workers()
        with uploads_under_way(server, 2):
            assert is_busy(ask(server, put()))
    eventually(lambda: ask(server, put()).status == 201)


@pytest.mark.thorough
def test_uploads_of_replaced_workers_count_until_they_end(start_server: Start) -> None:
    server = start_server(MAX_UPLOADS="1", WORKERS="1")
    with uploads_under_way(server, 1) as [wire]:
        old = server.workers()
        server.process.send_signal(1)
        eventually(lambda: set(server.workers()) - set(old))
        eventually(lambda: is_busy(ask(server, put())))
        wire.send(TEXT + TEXT)
        assert wire.answer().status == 201
    eventually(lambda: ask(server, put()).status == 201)


@pytest.mark.thorough
def test_refusing_uploads_costs_little(start_server: Start) -> None:
    server = start_server(MAX_UPLOADS="1", WORKERS="1")
    [worker] = server.workers()
    head = request("PUT /upload/a.txt", "Content-Length: 1000000")
    bad = request("PUT /upload/a.exe", "Content-Length: 1000000")

    def cost(data: bytes, status: int) -> float:
        before = cpu_seconds(worker)
        for _ in range(300):
            assert ask(server, data).status == status
        return cpu_seconds(worker) - before

    other_refusals = cost(bad, 415)
    with uploads_under_way(server, 1):
        assert cost(head, 503) < 2 * other_refusals + 0.2


@pytest.mark.parametrize("limit", [32, pytest.param(512, marks=pytest.mark.thorough)])
def test_upload_beyond_the_limit_does_not_disturb_those_under_way(
    start_server: Start, limit: int
) -> None:
    settings = {} if limit == 512 else {"MAX_UPLOADS": str(limit)}
    server = start_server(WORKERS="2", **settings)
    with uploads_under_way(server, limit) as wires:
        with ThreadPoolExecutor(8) as pool:
            refused = [pool.submit(ask, server, put(f"more-{n}.txt")) for n in range(64)]
            for wire in wires:
                wire.send(TEXT)
        # The uploads under way were given no end, so every further one was too many.
        assert all(is_busy(each.result()) for each in refused)
        for wire in wires:
            wire.send(TEXT)
        assert [wire.answer().status for wire in wires] == [201] * limit
    assert len(server.published()) == limit


def guess(server: LiveServer, *fields: str, secret: str = "wrong") -> Answer:
    return ask(server, request("GET /download", f"Authorization: Bearer {secret}", *fields))


@pytest.fixture
def with_token(start_server: Start, tmp_path: Path) -> Start:
    """Start servers that know a token and allow three failures an hour."""
    file = tmp_path / "access.toml"
    file.write_text(token(scopes='["list", "read", "write"]'))

    def start(**settings: str) -> LiveServer:
        settings = {"AUTH_FAILURE_LIMIT": "3/hour", "WORKERS": "2"} | settings
        return start_server(ACCESS_FILE=str(file), **settings)

    return start


def test_wrong_credentials_are_limited_over_all_workers(with_token: Start) -> None:
    server = with_token()
    answers = [guess(server, secret=f"guess-{n}") for n in range(20)]
    assert [answer.status for answer in answers] == [401] * 3 + [429] * 17
    assert answers[-1].code() == "too-many-requests"
    assert 3500 < int(answers[-1].headers["Retry-After"]) <= 3600
    assert guess(server, secret=SECRET).status == 429
    assert ask(server, request("GET /download")).status == 200, "nothing is shown, so nothing fails"


def test_wrong_credentials_at_the_same_time_are_limited(
    with_token: Start,
) -> None:
    server = with_token(AUTH_FAILURE_LIMIT="20/hour")
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda n: guess(server, secret=f"{n}").status, range(200)))
    assert (statuses.count(401), statuses.count(429)) == (20, 180)


@pytest.mark.thorough
def test_a_token_that_was_used_before_works_while_its_address_guesses(with_token: Start) -> None:
    server = with_token()
    assert guess(server, secret=SECRET).status == 200
    for _ in range(10):
        guess(server)
    assert guess(server).status == 429
    for _ in range(10):
        assert guess(server, secret=SECRET).status == 200


def test_forged_addresses_do_not_get_around_the_limit(with_token: Start) -> None:
    server = with_token()
    statuses = [guess(server, f"X-Forwarded-For: 192.0.2.{n}").status for n in range(10)]
    assert statuses == [401] * 3 + [429] * 7


def test_forged_addresses_do_not_get_around_the_limit_behind_a_proxy(with_token: Start) -> None:
    server = with_token(TRUSTED_PROXIES="127.0.0.1")

    def status(forged: str, client: str) -> int:
        return guess(server, f"X-Forwarded-For: {forged}, {client}").status

    statuses = [status(f"192.0.2.{n}", "198.51.100.1") for n in range(10)]
    assert statuses == [401] * 3 + [429] * 7
    assert status("198.51.100.1", "198.51.100.2") == 401, "nobody can lock out another address"


def get(*fields: str) -> bytes:
    return request("GET /download", *fields)


def test_requests_are_limited_over_all_workers(start_server: Start) -> None:
    """A check and a use that race: no more requests pass than the limit has."""
    server = start_server(RATE_LIMIT="50/hour", WORKERS="2")
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: ask(server, get()).status, range(200)))
    assert Counter(statuses) == {200: 50, 429: 150}
    refused = ask(server, request("PUT /upload/a.txt", "Content-Length: 1000000"))
    assert refused.code() == "too-many-requests"
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert ask(server, request("GET /healthz")).status == 200


def test_limits_counted_in_sum_and_not_for_each_chunk(start_server: Start) -> None:
    server = start_server(RATE_LIMIT="100KiB/hour", WORKERS="2")
    with server.client() as client:
        tus = Tus(client)
        url = tus.begin("a.txt", 300 << 10)
        chunk = b"a" * (30 << 10)
        offset = 0
        while (answer := tus.patch(url, offset, chunk)).status_code == 204:
            offset += len(chunk)
            assert offset <= 130 << 10
        assert (answer.status_code, answer.json()["code"]) == (429, "too-many-requests")
        assert 90 << 10 <= offset <= 120 << 10
        assert client.put("/upload/b.txt", content=b"b").status_code == 429
    assert server.published() == []


def test_bytes_of_downloads_and_of_uploads_count_together(start_server: Start) -> None:
    server = start_server(RATE_LIMIT="1MiB/hour", WORKERS="1")
    content = b"a" * (600 << 10)
    assert ask(server, request("PUT /upload/a.txt", body=content)).status == 201
    assert ask(server, request("GET /download/a.txt")).body == content
    assert ask(server, request("GET /download/a.txt")).status == 429


def test_only_bytes_that_were_sent_count(start_server: Start) -> None:
    server = start_server(RATE_LIMIT="100MiB/hour", WORKERS="1")
    (server.store / "large.txt").write_bytes(b"a" * (90 << 20))
    for _ in range(3):
        with Wire(server) as wire:
            wire.send(request("GET /download/large.txt"))
            assert wire.socket.recv(100)
            wire.reset()
    assert ask(server, request("GET /download/large.txt", "Range: bytes=0-9")).status == 206


def test_a_transfer_that_has_begun_continues_past_the_limit(start_server: Start) -> None:
    server = start_server(RATE_LIMIT="1MiB/hour", WORKERS="1")
    content = b"a" * (8 << 20)
    assert ask(server, request("PUT /upload/a.txt", body=content)).status == 201
    assert ask(server, request("GET /download/a.txt")).status == 429


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


def test_two_services_with_one_redis_count_in_sum(
    start_server: Start, redis: RedisServer, tmp_path: Path
) -> None:
    url = tmp_path / "url"
    url.write_text(redis.patient_url() + "\n")
    settings = {"RATE_LIMIT": "50/hour", "LIMITS_URL_FILE": str(url), "WORKERS": "2"}
    servers = [
        start_server(STORE_URL=str(tmp_path / name), **settings) for name in ("one", "other")
    ]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: ask(servers[n % 2], get()).status, range(200)))
    assert (statuses.count(200), statuses.count(429)) == (50, 150)
    assert all(PASSWORD not in server.log() for server in servers)


def test_without_redis_the_service_answers_and_counts_alone(
    start_server: Start, redis: RedisServer
) -> None:
    server = start_server(RATE_LIMIT="50/hour", LIMITS_URL=redis.patient_url(), WORKERS="1")
    assert ask(server, get()).status == 200
    redis.stop()
    assert [ask(server, get()).status for _ in range(60)] == [200] * 50 + [429] * 10
    assert server.log().count("does not answer") == 1
    assert PASSWORD not in server.log()


def test_waiting_for_redis_does_not_stop_other_requests(
    start_server: Start, redis: RedisServer
) -> None:
    server = start_server(RATE_LIMIT="1000/hour", LIMITS_URL=redis.patient_url(5), WORKERS="1")
    assert ask(server, get()).status == 200
    redis.suspend()
    answered = threading.Event()
    health_checks = 0

    def wait() -> None:
        assert ask(server, get()).status == 200
        answered.set()

    with ThreadPoolExecutor(1) as pool, server.client() as client:
        waiting = pool.submit(wait)
        while not answered.wait(0.02):
            assert client.get("/healthz").status_code == 200
            health_checks += 1
        waiting.result()
    assert health_checks >= 5, "these do not ask Redis, so they are answered while others wait"
