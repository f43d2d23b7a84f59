"""What is in files is refused on every way in, and nothing of a refused file stays."""

import io
import zipfile

import httpx
import pytest

from tests.support.servers import LiveServer
from tests.support.tus import Tus
from tests.support.wire import assert_holds_only

PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name in names:
            made.writestr(name, b"x")
    return buffer.getvalue()


PROBLEMS = {
    "climbing.zip": (archive("../a"), 422, "content-refused", {"risk": "unsafe-names"}),
    "pixels.png": (
        PNG_START + b"\x7f\xff\xff\xff" * 2 + b"\x08\2\0\0\0",
        422,
        "too-complex",
        {"resource": "pixels", "limit": 250_000_000},
    ),
    "damaged.zip": (archive("a") + b"<script>", 415, "content-mismatch", {}),
}


@pytest.mark.parametrize("way", ["PUT", "form", "tus"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_file_is_refused_on_every_way_in(
    client: httpx.Client, server: LiveServer, name: str, way: str
) -> None:
    content, status, code, members = PROBLEMS[name]
    if way == "PUT":
        answer = client.put(f"/upload/{name}", content=content)
    elif way == "form":
        answer = client.post("/upload", files={"file": (name, content)})
    else:
        tus = Tus(client)
        answer = tus.patch(tus.begin(name, len(content)), 0, content)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert members.items() <= problem.items()
    assert_holds_only(server, [])


def test_resumable_upload_ends_with_the_refusal(client: httpx.Client, server: LiveServer) -> None:
    """As soon as the bytes that have arrived show it, and with the file of concatenated uploads."""
    content = PROBLEMS["pixels.png"][0].ljust(5000, b"\0")
    tus = Tus(client)
    url = tus.begin("a.png", 10_000)
    assert tus.patch(url, 0, content).json()["code"] == "too-complex"
    assert tus.head(url).status_code == 410

    damaged = PROBLEMS["climbing.zip"][0]
    part = tus.begin("a.zip", len(damaged), Upload_Concat="partial")
    assert tus.patch(part, 0, damaged).status_code == 204
    final = tus.create("a.zip", Upload_Concat=f"final;{part}")
    assert final.json()["code"] == "content-refused"
    assert tus.head(part).status_code in (404, 410)
    assert_holds_only(server, [])


def test_problem_is_explained_in_german(client: httpx.Client) -> None:
    content = PROBLEMS["pixels.png"][0]
    answer = client.put("/upload/a.png", content=content, headers={"Accept-Language": "de"})
    assert "250.000.000 Pixel" in answer.json()["detail"]


def test_ordinary_archive_is_stored(client: httpx.Client) -> None:
    assert client.put("/upload/content.zip", content=archive("a", "b/c")).status_code == 201
