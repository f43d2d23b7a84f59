"""Uploads from the page: choosing and dropping files, refusals, pauses, cuts and resuming."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.browser.conftest import MIB
from tests.browser.watched import STILL_HELD, Watched, assert_stored
from tests.support.servers import LiveServer
from tests.support.wire import eventually

Open = Callable[..., Watched]
Make = Callable[..., Path]
SLOW = MIB // 4
"""Bytes per second at which an upload of 12 MiB does not end before its test has met it, even if
the machine stops for some seconds."""


def test_dropped_files_are_stored_and_a_disallowed_one_is_reported(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    good = [make_file(name) for name in ("one.txt", "two.txt", "three.csv")]
    tab.drop(*good, make_file("four.exe"))
    for file in good:
        tab.wait_for(file.name, "done")
    tab.wait_for("four.exe", "refused")
    assert "Files with the extension .exe are not accepted" in tab.transfer("four.exe").inner_text()
    assert_stored(server.url, good)
    assert server.published() == sorted(file.name for file in good)
    assert not any("four.exe" in request.url for request in tab.requests)
    tab.page.locator("#files").get_by_role("link", name="three.csv", exact=True).wait_for()


def test_the_digest_of_a_stored_file_is_shown_and_can_be_copied(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page(permissions=["clipboard-read", "clipboard-write"])
    file = make_file("a.txt")
    tab.choose(file)
    tab.wait_for("a.txt", "done")
    tab.transfer("a.txt").get_by_text("SHA-256", exact=True).click()
    shown = tab.transfer("a.txt").locator("code").inner_text()
    digest = httpx.get(f"{server.url}/download", params={"limit": 1}).json()[0]["digest"]
    assert httpx.get(f"{server.url}/download/a.txt").headers["Repr-Digest"] == digest
    tab.press("Copy", "the SHA-256 of a.txt")
    tab.page.wait_for_function(
        "() => navigator.clipboard.readText().then((text) => text.length === 64)"
    )
    assert tab.page.evaluate("navigator.clipboard.readText()") == shown
    assert len(shown) == 64


@pytest.mark.parametrize(
    "size",
    [pytest.param(10, id="small"), pytest.param(9 * MIB, id="large", marks=pytest.mark.thorough)],
)
def test_a_name_that_is_taken_is_refused_before_a_byte_is_sent(
    open_page: Open, make_file: Make, server: LiveServer, size: int
) -> None:
    (server.store / "a.bmp").write_bytes(b"BM")
    tab = open_page()
    tab.choose(make_file("a.bmp", size))
    tab.wait_for("a.bmp", "refused")
    assert "already a file with this name" in tab.transfer("a.bmp").inner_text()
    assert all(request.method in ("GET", "HEAD") for request in tab.requests)


def test_a_file_that_is_too_large_is_refused_before_a_byte_is_sent(
    open_page: Open, make_file: Make, start_server: Callable[..., LiveServer]
) -> None:
    tab = open_page(at=start_server(MAX_FILE_SIZE="1MiB"))
    tab.choose(make_file("a.txt", MIB + 1))
    tab.wait_for("a.txt", "refused")
    assert "larger than 1.0 MiB" in tab.transfer("a.txt").inner_text()
    assert all(request.method in ("GET", "HEAD") for request in tab.requests)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(1000, id="small", marks=pytest.mark.thorough),
        pytest.param(12 * MIB, id="large"),
    ],
)
def test_content_that_does_not_match_the_extension_is_refused_with_the_reason(
    open_page: Open, make_file: Make, server: LiveServer, tmp_path: Path, size: int
) -> None:
    tab = open_page()
    tab.expected.append("415 (Unsupported Media Type)")
    wrong = make_file("a.txt", size).rename(tmp_path / "a.png")
    tab.choose(wrong)
    tab.wait_for("a.png", "refused")
    assert "the content is" in tab.transfer("a.png").inner_text()
    assert server.published() == []
    assert sum(len(request.post_data_buffer or b"") for request in tab.requests) < MIB


def test_a_paused_large_upload_is_resumed_from_its_offset(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    tab.expected += STILL_HELD
    tab.network(SLOW)
    file = make_file("a.bmp", 12 * MIB)
    tab.choose(file)
    tab.wait_until_sent("a.bmp", 0.02)
    tab.transfer("a.bmp").get_by_text("per second").wait_for()
    tab.press("Pause", "a.bmp")
    tab.wait_for("a.bmp", "paused")
    assert "paused" in tab.transfer("a.bmp").inner_text()
    patches = len(tab.offsets())
    tab.network()
    tab.press("Resume", "a.bmp")
    tab.wait_for("a.bmp", "done")
    assert tab.offsets()[patches] > 0
    assert_stored(server.url, [file])


def test_a_paused_small_upload_is_sent_again(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    tab.network(MIB // 16)
    file = make_file("a.txt", 2 * MIB)
    tab.choose(file)
    tab.wait_until_sent("a.txt", 0.02)
    tab.press("Pause", "a.txt")
    tab.wait_for("a.txt", "paused")
    tab.network()
    tab.press("Resume", "a.txt")
    tab.wait_for("a.txt", "done")
    assert_stored(server.url, [file])


def test_a_cancelled_upload_is_removed_from_the_page_and_the_server(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    tab.network(SLOW)
    tab.choose(make_file("a.bmp", 12 * MIB))
    tab.wait_until_sent("a.bmp", 0.02)
    upload = next(request.url for request in tab.requests if request.method == "PATCH")
    with tab.page.expect_response(lambda answer: answer.request.method == "DELETE") as deletion:
        tab.press("Cancel", "a.bmp")
    assert deletion.value.status == 204
    assert tab.transfer("a.bmp").count() == 0
    assert httpx.head(upload, headers={"Tus-Resumable": "1.0.0"}).status_code == 404
    assert tab.page.evaluate("document.activeElement.id") == "file"


def test_only_two_files_are_uploaded_at_a_time(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    tab.network(MIB // 16)
    files = [make_file(f"{number}.txt", MIB) for number in range(5)]
    tab.choose(*files)
    tab.page.wait_for_selector("[data-state=sending]")
    assert tab.page.locator("[data-state=sending]").count() == 2
    assert tab.page.locator("[data-state=waiting]").count() == 3
    tab.network()
    for file in files:
        tab.wait_for(file.name, "done")
    assert_stored(server.url, files)


@pytest.mark.parametrize("size", [12 * MIB, pytest.param(200 * MIB, marks=pytest.mark.thorough)])
def test_an_upload_survives_kill_9_of_the_server(
    open_page: Open, make_file: Make, start_server: Callable[..., LiveServer], size: int
) -> None:
    server = start_server()
    tab = open_page(at=server)
    tab.expected += ["net::ERR_", "the server cannot be reached", *STILL_HELD]
    tab.network(size // 20)
    file = make_file("a.bmp", size)
    tab.choose(file)
    tab.wait_until_sent("a.bmp", 0.2)
    server.kill()
    tab.wait_for("a.bmp", "retrying")
    tab.network()
    server.start()
    tab.wait_for("a.bmp", "done", seconds=90)
    assert_stored(server.url, [file])
    assert tab.offsets() == sorted(tab.offsets())
    eventually(lambda: not server.staged())


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(2 * MIB, id="small", marks=pytest.mark.thorough),
        pytest.param(12 * MIB, id="large"),
    ],
)
def test_an_upload_waits_while_there_is_no_network(
    open_page: Open, make_file: Make, server: LiveServer, size: int
) -> None:
    tab = open_page()
    tab.expected += ["net::ERR_INTERNET_DISCONNECTED", *STILL_HELD]
    tab.network(size // 40)
    file = make_file("a.bmp", size)
    tab.choose(file)
    tab.wait_until_sent("a.bmp", 0.05)
    tab.network(offline=True)
    tab.wait_for("a.bmp", "retrying")
    # The request may fail before the page is told that there is no network.
    tab.transfer("a.bmp").get_by_text("no network").wait_for()
    tab.network()
    tab.wait_for("a.bmp", "done")
    assert_stored(server.url, [file])


@pytest.mark.thorough
def test_an_upload_waits_while_the_server_still_holds_its_earlier_request(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    tab = open_page()
    tab.expected += ["net::ERR_INTERNET_DISCONNECTED", *STILL_HELD]
    tab.network(SLOW)
    file = make_file("a.bmp", 12 * MIB)
    tab.choose(file)
    tab.wait_until_sent("a.bmp", 0.02)
    tab.network(offline=True)
    tab.wait_for("a.bmp", "retrying")
    url = next(request.url for request in tab.requests if request.method == "PATCH")
    path = server.store / ".fileservice/uploads" / url.rpartition("/")[2]
    with path.open("rb") as held, tab.page.expect_response(lambda answer: answer.status == 423):
        fcntl.flock(held, fcntl.LOCK_EX)  # as a worker does while it adds to the upload
        tab.network()
    tab.wait_for("a.bmp", "done")
    assert_stored(server.url, [file])


def test_an_upload_is_resumed_in_a_new_tab_when_its_file_is_chosen_again(
    open_page: Open, new_context: Callable[..., object], make_file: Make, server: LiveServer
) -> None:
    context = new_context()
    first = open_page(context=context)
    first.network(SLOW)
    file = make_file("a.bmp", 12 * MIB)
    first.choose(file)
    first.wait_until_sent("a.bmp", 0.02)
    first.close()
    second = open_page(context=context)
    second.expected += STILL_HELD
    assert "Choose the same file again to continue it" in second.transfer("a.bmp").inner_text()
    second.choose(file)
    assert second.transfer("a.bmp").count() == 1
    second.wait_for("a.bmp", "done")
    assert second.offsets()[0] > 0
    assert_stored(server.url, [file])
    third = open_page(context=context)
    assert third.transfer("a.bmp").count() == 0


def test_an_unfinished_upload_can_be_discarded(
    open_page: Open, new_context: Callable[..., object], make_file: Make, server: LiveServer
) -> None:
    context = new_context()
    first = open_page(context=context)
    first.network(SLOW)
    first.choose(make_file("a.bmp", 12 * MIB))
    first.wait_until_sent("a.bmp", 0.02)
    first.close()
    second = open_page(context=context)
    with second.page.expect_response(lambda answer: answer.request.method == "DELETE") as deletion:
        second.press("Discard", "a.bmp")
    assert deletion.value.status == 204
    assert second.transfer("a.bmp").count() == 0


@pytest.mark.parametrize(
    "size",
    [pytest.param(MIB, id="small"), pytest.param(40 * MIB, id="large", marks=pytest.mark.thorough)],
)
def test_a_file_that_is_changed_while_it_is_sent_is_not_stored(
    open_page: Open, make_file: Make, server: LiveServer, size: int
) -> None:
    tab = open_page()
    tab.expected += ["net::ERR_UPLOAD_FILE_CHANGED", *STILL_HELD]
    tab.network(size // 40)
    file = make_file("a.bmp", size)
    tab.choose(file)
    tab.wait_until_sent("a.bmp", 0.05)
    tab.press("Pause", "a.bmp")
    tab.wait_for("a.bmp", "paused")
    file.write_bytes(b"BM")
    tab.press("Resume", "a.bmp")
    tab.wait_for("a.bmp", "refused")
    assert "changed, moved or deleted" in tab.transfer("a.bmp").inner_text()
    assert server.published() == []


def test_the_page_may_be_reached_by_another_name_than_the_public_one(
    open_page: Open, make_file: Make, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server(PUBLIC_URL="https://files.example")
    tab = open_page(at=server)
    file = make_file("a.bmp", 9 * MIB)
    tab.choose(file)
    tab.wait_for("a.bmp", "done")
    assert_stored(server.url, [file])


@pytest.mark.thorough
def test_a_download_in_the_middle_of_an_upload_does_not_end_it(
    open_page: Open, make_file: Make, server: LiveServer
) -> None:
    (server.store / "z.txt").write_bytes(b"x")
    tab = open_page()
    tab.network(MIB // 8)
    file = make_file("a.txt", 4 * MIB)
    tab.choose(file)
    tab.wait_until_sent("a.txt", 0.02)
    with tab.page.expect_download():
        tab.page.get_by_role("link", name="z.txt", exact=True).click()
    tab.network()
    tab.wait_for("a.txt", "done")
    assert_stored(server.url, [file])


def test_leaving_the_page_in_the_middle_of_an_upload_asks_first(
    open_page: Open, make_file: Make
) -> None:
    tab = open_page()
    asked = []

    def stay(dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    tab.on("dialog", stay)
    tab.network(MIB // 16)
    tab.page.locator("h1").click()  # browsers ask only those who did something
    tab.choose(make_file("a.txt", 4 * MIB))
    tab.wait_until_sent("a.txt", 0.01)
    with tab.page.expect_event("dialog"):
        tab.page.evaluate("setTimeout(() => location.reload())")
    tab.page.locator("h1").click()
    assert asked == ["beforeunload"]
    tab.press("Cancel", "a.txt")
