"""The original brief: every call exactly as it is written there."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.servers import ROOT, LiveServer
from tests.support.wire import assert_holds_only

Sample = Callable[[str], Path]
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def curl(server: LiveServer, tool: Callable[[str], str], tmp_path: Path, sample: Sample):
    """Run a command line of the brief beside a sample.pdf, against the test's server."""
    shutil.copy(sample("note.pdf"), tmp_path / "sample.pdf")

    def run(command: str) -> str:
        assert command.startswith("curl ")
        line = command.replace("http://localhost:8000", server.url)
        line = line.replace("curl", tool("curl") + " --no-progress-meter", 1)
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, capture_output=True, timeout=30, check=True
        )
        return done.stdout.decode()

    return run


def test_the_root_redirects_to_the_upload_page(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == 302
    assert client.base_url.join(answer.headers["Location"]).path == "/upload"


def test_curl_uploads_a_form(curl, server: LiveServer, sample: Sample) -> None:
    answer = curl('curl -i -X POST -F "file=@sample.pdf" http://localhost:8000/upload')
    assert answer.startswith("HTTP/1.1 201 ")
    assert server.published() == ["sample.pdf"]
    assert (server.store / "sample.pdf").read_bytes() == sample("note.pdf").read_bytes()


def test_curl_uploads_raw_bytes_that_claim_to_be_json(
    curl, server: LiveServer, sample: Sample
) -> None:
    answer = curl(
        'curl -i -X POST -H "Content-Type: application/json" --data-binary "@sample.pdf"'
        " http://localhost:8000/upload/my_upload.pdf"
    )
    assert answer.startswith("HTTP/1.1 201 ")
    assert server.published() == ["my_upload.pdf"]
    assert (server.store / "my_upload.pdf").read_bytes() == sample("note.pdf").read_bytes()


def test_the_list_gives_names_and_urls_sorted_by_name(client: httpx.Client, sample: Sample) -> None:
    pdf = sample("note.pdf").read_bytes()
    for name in ("sample.pdf", "b.pdf", "a.pdf"):
        assert client.post(f"/upload/{name}", content=pdf).status_code == 201
    answer = client.get("/download")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert [(file["filename"], file["url"]) for file in answer.json()] == [
        (name, str(client.base_url.join(f"/download/{name}")))
        for name in ("a.pdf", "b.pdf", "sample.pdf")
    ]


def test_the_list_of_an_empty_store_is_empty(client: httpx.Client) -> None:
    assert client.get("/download").json() == []


def test_the_url_in_the_list_gives_the_file(client: httpx.Client, sample: Sample) -> None:
    pdf = sample("note.pdf").read_bytes()
    client.post("/upload", files={"file": ("sample.pdf", pdf)})
    (file,) = client.get("/download").json()
    answer = client.get(file["url"])
    assert (answer.status_code, answer.content) == (200, pdf)


@pytest.mark.parametrize("form", [True, False], ids=["as a form", "as raw bytes"])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("sample", 400, "no-extension"),
        ("sample.exe", 415, "extension-not-allowed"),
        ("taken.pdf", 409, "name-taken"),
    ],
)
def test_a_name_that_breaks_the_rules_is_refused_without_effect(
    client: httpx.Client,
    server: LiveServer,
    sample: Sample,
    form: bool,
    name: str,
    status: int,
    code: str,
) -> None:
    stored = sample("note.pdf").read_bytes()
    client.post("/upload/taken.pdf", content=stored).raise_for_status()
    if form:
        answer = client.post("/upload", files={"file": (name, stored + b"\n")})
    else:
        answer = client.post(f"/upload/{name}", content=stored + b"\n")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert_holds_only(server, ["taken.pdf"])
    assert (server.store / "taken.pdf").read_bytes() == stored


def test_the_page_has_a_form_that_uploads_one_file(client: httpx.Client) -> None:
    answer = client.get("/upload", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    (form,) = re.findall(r"<form[^>]*multipart.*?</form>", answer.text, re.DOTALL)
    assert re.search(r'method="post"', form, re.IGNORECASE)
    assert 'enctype="multipart/form-data"' in form
    assert re.search(r'action="/upload"', form)
    (field,) = re.findall(r"<input[^>]* name=[^>]*>", form)
    assert 'type="file"' in field
    assert 'name="file"' in field
    assert "multiple" not in field


def test_a_browser_is_redirected_to_the_page_which_shows_what_it_stored(
    client: httpx.Client, sample: Sample
) -> None:
    pdf = sample("note.pdf").read_bytes()
    answer = client.post("/upload", files={"file": ("Übersicht <b>.pdf", pdf)}, headers=BROWSER)
    assert answer.status_code == 303
    assert client.base_url.join(answer.headers["Location"]).path == "/upload"
    page = client.get("/upload", headers=BROWSER)
    assert page.status_code == 200
    # in the message, and in the list
    assert page.text.count("<bdi>Übersicht &lt;b&gt;.pdf</bdi>") == 2
    again = client.get("/upload", headers=BROWSER)
    assert again.text.count("<bdi>Übersicht &lt;b&gt;.pdf</bdi>") == 1  # the list only


def test_a_browser_whose_upload_fails_sees_the_error_and_a_link_to_the_page(
    client: httpx.Client, server: LiveServer
) -> None:
    answer = client.post("/upload", files={"file": ("setup.exe", b"MZ")}, headers=BROWSER)
    assert answer.status_code == 415
    assert answer.headers["Content-Type"].startswith("text/html")
    assert ".exe" in answer.text
    assert re.search(r'<a[^>]*href="/upload"', answer.text)
    assert_holds_only(server, [])


def test_the_service_listens_on_port_8000(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--print-config"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "FILESERVICE_STORE_URL": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert re.search(r"^bind\s+= \['127\.0\.0\.1:8000'\]$", done.stdout, re.MULTILINE)
