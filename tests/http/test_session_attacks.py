"""Attacks on sessions of a running service with two workers; each test is one of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from fileservice.access.signing import serializer
from tests.access.rules import SECRET, token
from tests.support.people import ADA, CI, AccessFileOnDisk, browser, sign_in, sign_out
from tests.support.servers import LiveServer
from tests.support.wire import Wire, eventually, request
from tests.support.workers import wires_to_both_workers

Start = Callable[..., LiveServer]
COOKIE = "fileservice-session"
KEY, OTHER_KEY = "k" * 40, "o" * 40
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture
def access_file(tmp_path: Path) -> AccessFileOnDisk:
    return AccessFileOnDisk(tmp_path / "access.toml")


@pytest.fixture
def start(start_server: Start, access_file: AccessFileOnDisk) -> Start:
    """Start services for members only, with two workers."""

    def start(**settings: str) -> LiveServer:
        settings = {"ANONYMOUS": "none", "WORKERS": "2", "SECRET_KEY": KEY} | settings
        return start_server(ACCESS_FILE=str(access_file.path), **settings)

    return start


def session(server: LiveServer, secret: str = SECRET) -> str:
    """Sign in, and return the text of the session."""
    with browser(server) as client:
        assert sign_in(client, secret).status_code == 303
        return client.cookies[COOKIE]


def status(wire: Wire, cookie: str) -> int:
    return wire.ask(request("GET /download?limit=1", f"Cookie: {cookie}")).status


def is_over(wire: Wire, cookie: str) -> bool:
    return status(wire, cookie) == 401


def changed(text: str) -> Iterator[str]:
    """Yield texts with one character of another value, and all beginnings and ends of a text."""
    for place, character in enumerate(text):
        if character in BASE64:  # of the last one, the upper bits: the lower ones mean nothing
            other = BASE64[BASE64.index(character) ^ 0b100000]
            yield text[:place] + other + text[place + 1 :]
        else:
            yield text[:place] + "-" + text[place + 1 :]
        yield text[:place]
        yield text[place + 1 :]


def test_session_with_any_change_is_nobodys_at_every_worker(start: Start) -> None:
    server = start()
    text, other = session(server), session(server)
    payload, _, signature = text.rpartition(".")
    other_payload, _, other_signature = other.rpartition(".")
    texts = [
        *changed(text),
        f"{payload}.{other_signature}", f"{other_payload}.{signature}", payload, f"{payload}.",
        f".{signature}", f"{text}.{signature}", f"{payload}.{text}", text.upper(), text.swapcase(),
        f"{text}{text}", f"{text},{text}", f"x{text}", text.replace(".", "%2E"), "." * 50, "",
        "x" * 5000,
    ]  # fmt: skip
    with wires_to_both_workers(server) as wires:
        for wire in wires:
            assert status(wire, f"{COOKIE}={text}") == 200
            accepted = [each for each in texts if status(wire, f"{COOKIE}={each}") != 401]
            assert accepted == []
            assert status(wire, f"{COOKIE}-2={text}; session={text}; {COOKIE} {text}") == 401
            assert status(wire, f"{COOKIE}={text}") == 200


def test_text_that_was_signed_for_another_purpose_or_by_another_key_is_no_session(
    start: Start,
) -> None:
    server = start()
    text = session(server)
    with wires_to_both_workers(server) as wires:
        fields = serializer(KEY.encode(), "session 1").loads(text)
        for key, purpose, expected in (
            (KEY, "session 1", 200),  # so only the purpose or the key makes the difference
            (KEY, "OpenID Connect 1", 401),
            (KEY, "session 2", 401),
            (KEY, "", 401),
            (OTHER_KEY, "session 1", 401),
            ("", "session 1", 401),
        ):
            signed = serializer(key.encode(), purpose).dumps(fields)
            assert [status(wire, f"{COOKIE}={signed}") for wire in wires] == [expected] * 2


def test_session_that_was_ended_at_one_worker_is_worthless_at_the_other(start: Start) -> None:
    server = start()
    with wires_to_both_workers(server) as wires:
        for one, other in (wires, reversed(wires)):
            text = session(server)
            # Some bits of the last character mean nothing, so these are the same session.
            alike = [text[:-1] + BASE64[BASE64.index(text[-1]) & ~3 | bits] for bits in range(4)]
            cookies = [f"{COOKIE}={each}" for each in alike]
            assert status(other, cookies[0]) == 200  # the worker has seen it
            own = "Origin: http://files.example"
            answer = one.ask(request("POST /sign-out", f"Cookie: {cookies[0]}", own, body=b""))
            assert answer.status == 303
            assert {status(one, cookie) for cookie in cookies} == {401}
            eventually(partial(is_over, other, cookies[0]), seconds=10)
            assert {status(other, cookie) for cookie in cookies} == {401}


@pytest.mark.thorough
def test_services_with_keys_of_their_own_over_one_store_have_sessions_of_their_own(
    start: Start, tmp_path: Path
) -> None:
    store = str(tmp_path / "common")
    one, other = start(STORE_URL=store), start(STORE_URL=store, SECRET_KEY=OTHER_KEY)
    texts = {server.url: session(server) for server in (one, other)}

    def seen(text: str) -> list[int]:
        with wires_to_both_workers(one) as first, wires_to_both_workers(other) as second:
            return [status(wire, f"{COOKIE}={text}") for wire in first + second]

    assert seen(texts[one.url]) == [200, 200, 401, 401]
    assert seen(texts[other.url]) == [401, 401, 200, 200]
    with browser(other) as client:
        client.cookies[COOKIE] = texts[one.url]
        sign_out(client)
    assert seen(texts[one.url]) == [200, 200, 401, 401], "it is nobody's session there"
    with browser(one) as client:
        client.cookies[COOKIE] = texts[one.url]
        sign_out(client)
    eventually(lambda: seen(texts[one.url]) == [401] * 4)
    assert seen(texts[other.url]) == [401, 401, 200, 200]
    stored = httpx.put(
        f"{one.url}/upload/a.txt", content=b"text", headers={"Authorization": f"Bearer {SECRET}"}
    )
    assert stored.status_code == 201
    read = httpx.get(f"{other.url}/download/a.txt", cookies={COOKIE: texts[other.url]})
    assert read.text == "text"


def test_flood_of_sign_ins_is_limited_over_all_workers_and_locks_out_nobody_who_is_known(
    start: Start, access_file: AccessFileOnDisk
) -> None:
    never_used = "fs_" + "n" * 43
    access_file.write(CI + ADA + token("new", never_used, '["list"]'))
    server = start(AUTH_FAILURE_LIMIT="10/hour")
    with browser(server) as member:
        assert sign_in(member).status_code == 303

        def guess(number: int) -> int:
            with browser(server) as attacker:
                return sign_in(attacker, f"fs_{number:043}").status_code

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(guess, range(80)))
        assert (statuses.count(401), statuses.count(429)) == (10, 70)
        assert member.get("/download").status_code == 200
        assert sign_in(member).status_code == 303
        assert member.get("/download").status_code == 200
    with browser(server) as late:
        assert sign_in(late, never_used).status_code == 429
        assert "Set-Cookie" not in late.get("/sign-in").headers
