"""Lengths below nothing, which add to a limit what they should take from it.

See also tests/serving/test_framing.py, tests/protocols/test_tus.py and test_resumable_draft.py.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.protocols import resumable_draft, tus
from tests.support.servers import LiveServer
from tests.support.tus import BYTES, VERSION, named
from tests.support.wire import Wire, request
from tests.web.application import TEXT, published

REFUSED = {400, 411, 413}


def created(client: FlaskClient, length: str) -> list[int]:
    """Try to begin an upload of this length in every way; return the statuses."""
    fields = VERSION | named("a.txt") | {"Upload-Length": length}
    by_tus = client.post("/tus/", headers=fields)
    begun = client.post("/tus/", headers=VERSION | named("b.txt") | {"Upload-Defer-Length": "1"})
    path = begun.headers["Location"].removeprefix("http://localhost")
    later = VERSION | BYTES | {"Upload-Offset": "0", "Upload-Length": length}
    by_patch = client.patch(path, headers=later, data=b"")
    offset = VERSION | BYTES | {"Upload-Offset": length}
    at_offset = client.patch(path, headers=offset, data=TEXT)
    return [by_tus.status_code, by_patch.status_code, at_offset.status_code]


@pytest.mark.parametrize(
    "length", ["-1", "-0", "-9223372036854775808", "+10", "1e1", "0x10", "9" * 19]
)
def test_a_length_that_is_no_number_of_bytes_begins_no_upload(
    client_of: Callable[..., FlaskClient], length: str
) -> None:
    assert set(created(client_of(), length)) <= REFUSED


def test_without_the_form_of_numbers_a_length_is_below_nothing(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tus, "_INTEGER", re.compile("-?[0-9]{1,18}"))
    assert not set(created(client_of(), "-1")) <= REFUSED


def test_a_length_of_the_draft_that_is_no_number_counts_as_missing(
    client_of: Callable[..., FlaskClient],
) -> None:
    answer = client_of().put(
        "/upload/a.txt", headers={"Upload-Complete": "?0", "Upload-Length": "-1"}, data=TEXT
    )
    assert answer.status_code == 201
    assert "Upload-Length" not in answer.headers
    assert resumable_draft.number({"Upload-Length": "-1"}, "Upload-Length") is None


@pytest.mark.parametrize("length", ["-1", "+10", "1e1", "0x0a", "10, 11", "9" * 30])
def test_content_length_that_is_no_number_stores_nothing(server: LiveServer, length: str) -> None:
    with Wire(server) as wire:
        answer = wire.ask(request("PUT /upload/a.txt", f"Content-Length: {length}", body=TEXT))
        assert answer.status in (400, 413)
        assert answer.closes()
    assert server.published() == []


def test_a_length_below_nothing_gives_no_quota_back(
    client_of: Callable[..., FlaskClient], root: Path, tmp_path: Path
) -> None:
    secret, access = "fs_" + "A" * 43, tmp_path / "access.toml"
    access.write_text(
        f'[tokens.owner]\nhash = "sha256:{hashlib.sha256(secret.encode()).hexdigest()}"\n'
        'scopes = ["write"]\nquota = { bytes = "1KiB" }\n'
    )
    client = client_of(ACCESS_FILE=str(access))
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    for length in ("-1000000", "-1"):
        created(client, length)
    assert client.put("/upload/c.txt", data=b"x" * 1025).status_code == 507
    assert published(root) == []
