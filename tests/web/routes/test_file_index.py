"""GET /files/: the index for tools that follow links."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import pytest
from flask.testing import FlaskClient

from tests.access.rules import SECRET, token
from tests.web.application import TEXT, application

NAMES = ["A & B.txt", "javascript:alert(1).txt", "x%2Fy.txt", "<b>.txt", "\"q\" 'q'.txt", "ü#?.txt"]


def links(page: str) -> dict[str, str]:
    """The links of a page: text → target."""
    return {
        unescape(text): target
        for target, text in re.findall(r'<a href="([^"]*)">([^<]*)</a>', page)
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_link_of_every_name_leads_to_its_file(
    client: FlaskClient, root: Path, name: str
) -> None:
    (root / name).write_bytes(name.encode())
    found = links(client.get("/files/").text)
    assert list(found) == [name]
    address = urljoin("http://localhost/files/", found[name])
    assert address.startswith("http://localhost/files/")
    answer = client.get(address)
    assert (answer.status_code, answer.data) == (200, name.encode())


def test_a_line_has_the_time_and_the_size(client: FlaskClient, root: Path) -> None:
    path = root / "a.txt"
    path.write_bytes(TEXT)
    modified = client.head("/files/a.txt").last_modified
    assert modified
    line = f'<a href="a.txt">a.txt</a> {modified:%Y-%m-%d %H:%M:%S} {len(TEXT)}\n'
    assert line in client.get("/files/").text


def test_a_file_is_answered_as_at_its_other_address(client: FlaskClient) -> None:
    client.put("/upload/a.txt", data=TEXT)
    headers = {"Range": "bytes=0-3"}
    there, here = (client.get(f"/{at}/a.txt", headers=headers) for at in ("download", "files"))
    for answer in (there, here):
        del answer.headers["X-Request-Id"]
    assert (here.status_code, here.data, here.headers) == (206, TEXT[:4], there.headers)
    assert client.delete("/files/a.txt").json["address"] == "/download/a.txt"
    assert client.put("/files/a.txt").json["address"] == "/upload/a.txt"


def test_an_index_of_many_files_has_them_all(client: FlaskClient, root: Path) -> None:
    names = [f"{number:04}.txt" for number in range(600)]
    for name in names:
        (root / name).touch()
    answer = client.get("/files/")
    assert list(links(answer.text)) == names
    assert answer.text.endswith("</pre></body></html>\n")


def test_the_index_is_not_sent_again_while_nothing_changes(client: FlaskClient) -> None:
    headers = {"If-None-Match": client.get("/files/").headers["ETag"]}
    assert client.get("/files/", headers=headers).status_code == 304
    client.put("/upload/a.txt", data=TEXT)
    assert client.get("/files/", headers=headers).status_code == 200


def test_nothing_in_the_index_can_run(client: FlaskClient) -> None:
    policy = client.get("/files/").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy


def test_without_the_slash_one_is_led_to_the_index(tmp_path: Path) -> None:
    client = application(tmp_path, PUBLIC_URL="https://example.org/s").test_client()
    answer = client.get("/files")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/s/files/")


def test_a_prefix_hides_the_other_names(tmp_path: Path) -> None:
    access = tmp_path / "access.toml"
    access.write_text(token(scopes='["list"]', rest='prefix = "a-"'))
    (tmp_path / "store").mkdir()
    for name in ("a-1.txt", "b-1.txt"):
        (tmp_path / "store" / name).touch()
    client = application(
        tmp_path / "store", ANONYMOUS="none", ACCESS_FILE=str(access)
    ).test_client()
    headers = {"Authorization": f"Bearer {SECRET}"}
    assert list(links(client.get("/files/", headers=headers).text)) == ["a-1.txt"]
