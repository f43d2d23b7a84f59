"""Downloads by links, by the clients that people and programs use."""

import random
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.support.links import LinkMaker, MadeLink
from tests.support.servers import LiveServer
from tests.support.wire import Wire, ask, eventually, request

SMALL = b"some text\n"
MIB = 1 << 20
LARGE = random.Random(5).randbytes(24 * MIB)
"""More than the buffers of two sockets, so that a client can stop in the middle of it."""
PEOPLE = {"Accept": "text/html"}


@pytest.fixture
def links(server: LiveServer) -> LinkMaker:
    """Makes links for files of the shared server, which has two workers."""
    (server.store / "small.txt").write_bytes(SMALL)
    return LinkMaker.of(server)


@pytest.fixture
def large(server: LiveServer, links: LinkMaker) -> MadeLink:
    """A link for one download of a large file."""
    (server.store / "large.bin").write_bytes(LARGE)
    return links.download("large.bin", 1)


def agent(name: str) -> dict[str, str]:
    """The fields of one of several strangers at the same address."""
    return {"User-Agent": name}


def begin(server: LiveServer, made: MadeLink, *fields: str) -> Wire:
    """Begin a download, and receive the first of its bytes."""
    wire = Wire(server)
    wire.send(request(f"GET {made.file}", *fields))
    assert b"200 OK" in wire.socket.recv(100)
    return wire


def test_curl_saves_the_file_under_its_name(
    server: LiveServer, links: LinkMaker, tool: Callable[[str], str], tmp_path: Path
) -> None:
    made = links.download("small.txt", 1)
    for expected in (0, 22):  # 22: the answer was an error, since the only use is taken
        done = subprocess.run(
            [tool("curl"), "-sfOJ", "--clobber", server.url + made.file], cwd=tmp_path, timeout=60
        )
        assert done.returncode == expected
    assert (tmp_path / "small.txt").read_bytes() == SMALL
    assert ask(server, request(f"GET {made.file}")).code() == "link-gone"


def test_page_is_for_people_and_json_for_programs(client: httpx.Client, links: LinkMaker) -> None:
    made = links.download("small.txt", 3, seconds=90_000)
    page = client.get(made.path, headers=PEOPLE)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>small.txt</title>" in page.text
    assert f'href="{made.file}"' in page.text
    assert "3 more downloads" in page.text
    assert "1 day" in page.text
    described = client.get(made.path).json()
    assert (described["filename"], described["size"], described["uses_left"]) == (
        "small.txt",
        len(SMALL),
        3,
    )
    assert client.get(described["url"]).content == SMALL
    assert client.get(made.path).json()["uses_left"] == 2


@pytest.mark.parametrize(
    ("of_file", "of_link"), [(3_600, None), (3_600, 7_200), (7_200, 3_600), (None, 3_600)]
)
def test_page_says_when_the_file_or_the_link_expires_whichever_is_first(
    client: httpx.Client, links: LinkMaker, of_file: int | None, of_link: int | None
) -> None:
    query = f"?expires={of_file}s" if of_file else ""
    stored = client.put(f"/upload/expires.txt{query}", content=SMALL).json()
    made = links.download("expires.txt", seconds=of_link)
    until = client.get(made.path).json()["expires"]
    left = datetime.fromisoformat(until) - datetime.fromisoformat(stored["modified"])
    assert 3_600 - 60 < left.total_seconds() < 3_600 + 60
    shown = until.replace("Z", "+00:00")
    assert f'<time datetime="{shown}">' in client.get(made.path, headers=PEOPLE).text


def test_looking_uses_nothing_up(client: httpx.Client, links: LinkMaker) -> None:
    made = links.download("small.txt", 1)
    etag = client.head(made.file).headers["ETag"]
    for bot in (
        "WhatsApp/2.23.20.0",
        "Slackbot-LinkExpanding 1.0",
        "TelegramBot (like TwitterBot)",
    ):
        for fields in (PEOPLE, {"Accept": "*/*"}, {}):
            assert client.get(made.path, headers=agent(bot) | fields).status_code == 200
            assert client.head(made.path, headers=agent(bot) | fields).status_code == 200
    assert client.head(made.file).headers["Content-Length"] == str(len(SMALL))
    for fields, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-Match": '"x"'}, 412),
        ({"Range": "bytes=100-"}, 416),
    ):
        assert client.get(made.file, headers=fields).status_code == status
    assert links.uses(made) == 0
    assert client.get(made.file).content == SMALL


@pytest.mark.parametrize("rounds", [3, pytest.param(40, marks=pytest.mark.thorough)])
def test_of_strangers_who_race_for_the_last_use_one_wins(
    server: LiveServer, links: LinkMaker, rounds: int
) -> None:
    strangers = 6
    start = threading.Barrier(strangers)

    def race(made: MadeLink, stranger: int) -> tuple[int, bytes]:
        with Wire(server) as wire:
            start.wait()
            answer = wire.ask(request(f"GET {made.file}", f"User-Agent: stranger {stranger}"))
            return answer.status, answer.body

    with ThreadPoolExecutor(strangers) as pool:
        for _ in range(rounds):
            made = links.download("small.txt", 1)
            answers = [*pool.map(race, [made] * strangers, range(strangers))]
            assert sorted(status for status, _ in answers) == [200] + [410] * (strangers - 1)
            assert [body for status, body in answers if status == 200] == [SMALL]
            assert links.uses(made) == 1


def test_ranges_of_one_download_count_once(client: httpx.Client, large: MadeLink) -> None:
    size = len(LARGE) // 4

    def fetch(number: int) -> bytes:
        span = {"Range": f"bytes={number * size}-{(number + 1) * size - 1}"}
        answer = client.get(large.file, headers=span | agent("one"))
        assert answer.status_code == 206
        return answer.content

    with ThreadPoolExecutor(4) as pool:
        assert b"".join(pool.map(fetch, range(4))) == LARGE
    assert client.get(large.file, headers=agent("another")).status_code == 410
    assert client.get(large.path, headers=agent("another")).status_code == 410


def test_broken_download_does_not_use_a_link_up(
    server: LiveServer, links: LinkMaker, large: MadeLink, client: httpx.Client
) -> None:
    wire = begin(server, large, "User-Agent: one")
    assert links.uses(large) == 1
    assert client.get(large.file, headers=agent("another")).status_code == 410
    wire.reset()
    eventually(lambda: links.uses(large) == 0)
    assert client.get(large.file, headers=agent("another")).content == LARGE
    assert client.get(large.file, headers=agent("one")).status_code == 410


def break_off(server: LiveServer, made: MadeLink, count: int, *fields: str) -> None:
    """Receive so many bytes of a response, and reset the connection."""
    with Wire(server) as wire:
        wire.send(request(f"GET {made.file}", *fields))
        while count > 0:
            data = wire.socket.recv(min(count, MIB))
            assert data
            count -= len(data)
        wire.reset()


def no_transfer_runs(links: LinkMaker, made: MadeLink) -> bool:
    return all(not use.transfers for use in links.get(made).uses)


def test_download_that_breaks_off_just_before_its_end_counts(
    server: LiveServer, links: LinkMaker, large: MadeLink, client: httpx.Client
) -> None:
    most = len(LARGE) * 99 // 100
    break_off(server, large, most, "User-Agent: one")
    eventually(lambda: no_transfer_runs(links, large))
    assert links.uses(large) == 1
    for name in ("another", "a third one"):
        assert client.get(large.file, headers=agent(name)).status_code == 410
    rest = {"Range": f"bytes={most}-"}
    assert client.get(large.file, headers=agent("one") | rest).content == LARGE[most:]


def test_all_but_the_last_byte_cannot_be_fetched_more_often_than_the_link_allows(
    server: LiveServer, links: LinkMaker, client: httpx.Client
) -> None:
    """By one client after another, whole and by ranges, in one piece and in several."""
    (server.store / "large.bin").write_bytes(LARGE)
    made = links.download("large.bin", 5)
    last = len(LARGE) - 1
    half = len(LARGE) // 2
    break_off(server, made, len(LARGE) - 1000, "User-Agent: 1")
    break_off(server, made, len(LARGE) - 1000, "User-Agent: 2", f"Range: bytes=0-{last}")
    break_off(server, made, half + MIB, "User-Agent: 3", f"Range: bytes=0-{last - 1}")
    break_off(server, made, MIB, "User-Agent: 4", f"Range: bytes={half}-{last - 1}")
    both = {"Range": f"bytes=0-{half},{half + 1}-{last - 1}"}
    assert client.get(made.file, headers=agent("5") | both).status_code == 206
    eventually(lambda: no_transfer_runs(links, made))
    assert links.uses(made) == 5
    for number in range(6, 9):
        assert client.get(made.file, headers=agent(str(number))).status_code == 410


def test_first_half_can_be_broken_off_again_and_again(
    server: LiveServer, links: LinkMaker, large: MadeLink, client: httpx.Client
) -> None:
    for number in range(3):
        break_off(server, large, MIB, f"User-Agent: {number}")
        eventually(lambda: links.uses(large) == 0)
    assert client.get(large.file, headers=agent("another")).content == LARGE


def test_download_that_curl_continues_counts_once(
    server: LiveServer,
    links: LinkMaker,
    large: MadeLink,
    tool: Callable[[str], str],
    tmp_path: Path,
) -> None:
    begin(server, large, "User-Agent: curl").reset()
    eventually(lambda: links.uses(large) == 0)
    (tmp_path / "large.bin").write_bytes(LARGE[: 5 * MIB])
    command = [tool("curl"), "-sf", "-A", "curl", "-C", "-", "-O", server.url + large.file]
    subprocess.run(command, cwd=tmp_path, timeout=60, check=True)
    assert (tmp_path / "large.bin").read_bytes() == LARGE
    assert links.uses(large) == 1
    assert httpx.get(server.url + large.file).status_code == 410


@pytest.mark.parametrize(
    "spans", ["{half}-,0-{before}", "0-0,{half}-,0-{before}", "{half}-"], ids=str
)
def test_ranges_that_are_broken_off_do_not_give_the_end_of_a_file_for_nothing(
    server: LiveServer, links: LinkMaker, large: MadeLink, client: httpx.Client, spans: str
) -> None:
    """With the beginning from a download that broke off as well, somebody would have it all."""
    begin(server, large, "User-Agent: one").reset()
    eventually(lambda: links.uses(large) == 0)
    half = len(LARGE) // 2
    wire = Wire(server)
    span = spans.format(half=half, before=half - 1)
    wire.send(request(f"GET {large.file}", "User-Agent: one", f"Range: bytes={span}"))
    assert b" 206 " in wire.socket.recv(100)
    wire.reset()
    eventually(lambda: not links.get(large).uses or not links.get(large).uses[0].transfers)
    assert links.uses(large) == 1
    assert client.get(large.file, headers=agent("another")).status_code == 410
    rest = {"Range": f"bytes={half}-"}
    assert client.get(large.file, headers=agent("one") | rest).content == LARGE[half:]


def test_retry_while_the_first_attempt_seems_to_be_under_way_counts_once(
    server: LiveServer, large: MadeLink, client: httpx.Client
) -> None:
    wire = begin(server, large, "User-Agent: one")
    assert client.get(large.file, headers=agent("one")).content == LARGE
    wire.reset()
    assert client.get(large.file, headers=agent("one")).status_code == 410
    end = {"Range": f"bytes={len(LARGE) - 10}-"}
    assert client.get(large.file, headers=agent("one") | end).content == LARGE[-10:]
    assert client.get(large.file, headers=agent("another") | end).status_code == 410


def test_use_of_a_worker_that_died_is_not_lost_for_the_client_and_not_given_to_others(
    start_server: Callable[..., LiveServer],
) -> None:
    server = start_server(WORKERS="1")
    (server.store / "large.bin").write_bytes(LARGE)
    large = LinkMaker.of(server).download("large.bin", 1)
    with begin(server, large, "User-Agent: one"):
        server.kill_workers()
    url = server.url + large.file
    assert httpx.get(url, headers=agent("another")).status_code == 410
    assert httpx.get(url, headers=agent("one") | {"Range": "bytes=5-9"}).content == LARGE[5:10]


def test_two_people_at_one_address_differ_by_the_cookie_of_the_page(
    server: LiveServer, links: LinkMaker, large: MadeLink
) -> None:
    with server.client() as ada, server.client() as bob:
        for person in (ada, bob):
            assert person.get(large.path, headers=PEOPLE | agent("Firefox")).status_code == 200
        with ada.stream("GET", large.file, headers=agent("Firefox")) as download:
            assert download.status_code == 200
            assert bob.get(large.file, headers=agent("Firefox")).status_code == 410
            assert ada.get(large.path, headers=agent("Firefox")).json()["uses_left"] == 1


def test_link_that_is_revoked_meanwhile_does_not_interrupt_a_download(
    server: LiveServer, links: LinkMaker, large: MadeLink, client: httpx.Client
) -> None:
    with client.stream("GET", large.file) as download:
        received = download.iter_raw(MIB)
        first = next(received)
        links.revoke(large)
        assert client.get(large.file).status_code == 410
        assert client.get(large.path).status_code == 410
        assert first + b"".join(received) == LARGE
    assert links.get(large).revoked


def test_link_is_gone_at_the_second_at_which_it_expires(
    client: httpx.Client, links: LinkMaker
) -> None:
    made = links.download("small.txt", seconds=3)
    assert client.get(made.file).status_code == 200
    eventually(lambda: client.get(made.file).status_code == 410)
    assert client.get(made.path, headers=PEOPLE).status_code == 410


@pytest.mark.parametrize("again", [b"other text\n", None], ids=["other bytes", "nothing"])
def test_link_does_not_follow_its_name_to_another_file(
    client: httpx.Client, links: LinkMaker, again: bytes | None
) -> None:
    made = links.download("small.txt")
    assert client.get(made.file).content == SMALL
    assert client.delete("/download/small.txt").status_code == 204
    if again:
        assert client.put("/upload/small.txt", content=again).status_code == 201
    for path in (made.file, made.path):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (410, "link-gone")


def test_link_gives_no_other_file_and_nothing_else(
    server: LiveServer, client: httpx.Client, links: LinkMaker
) -> None:
    (server.store / "other.txt").write_bytes(b"secret")
    made = links.download("small.txt")
    for name in ("other.txt", "missing.txt", "small.txt.txt"):
        assert client.get(f"{made.path}/{name}").status_code == 403
    assert client.post(made.path, files={"file": ("a.txt", SMALL)}).status_code == 403
    assert client.delete(made.file).status_code == 405
    bearer = {"Authorization": f"Bearer {made.secret}"}
    assert client.get("/download/other.txt", headers=bearer).status_code == 403
    assert client.get("/download", headers=bearer).status_code == 403
    assert client.delete("/download/small.txt", headers=bearer).status_code == 403


def test_secret_as_bearer_takes_a_use(client: httpx.Client, links: LinkMaker) -> None:
    made = links.download("small.txt", 1)
    bearer = {"Authorization": f"Bearer {made.secret}"}
    assert client.head("/download/small.txt", headers=bearer).status_code == 200
    assert client.get("/download/small.txt", headers=bearer).content == SMALL
    assert client.get("/download/small.txt", headers=bearer).status_code == 410
    assert client.get(made.file).status_code == 410


@pytest.mark.parametrize(
    "fields",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document", "Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
    ],
    ids=str,
)
def test_page_of_another_site_takes_no_use_by_embedding_the_file(
    client: httpx.Client, links: LinkMaker, fields: dict[str, str]
) -> None:
    made = links.download("small.txt", 1)
    answer = client.get(made.file, headers=fields)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross-site")
    assert links.uses(made) == 0
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    assert client.get(made.file, headers=followed).content == SMALL
