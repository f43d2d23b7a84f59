"""Other users of the machine, who read what is stored.

See also tests/storage/local/test_permissions.py. That no path leads into the private directory is
tested in test_path_and_encoding.py.
"""

from collections.abc import Callable
from stat import S_IMODE

import httpx
import pytest

from tests.support.servers import LiveServer
from tests.support.tus import Tus
from tests.web.application import TEXT


def store_in_all_ways(server: LiveServer) -> None:
    with server.client() as client:
        assert client.put("/upload/raw.txt", content=TEXT).status_code == 201
        form = {"file": ("form.txt", TEXT)}
        assert client.post("/upload", files=form).status_code == 201
        Tus(client).create("tus.txt", len(TEXT), TEXT)
        draft = {"Upload-Complete": "?1"}
        assert client.put("/upload/draft.txt", content=TEXT, headers=draft).status_code == 201
        etag = {"If-Match": client.get("/download/raw.txt").headers["ETag"]}
        assert client.put("/upload/raw.txt", content=TEXT * 2, headers=etag).is_success
        Tus(client).begin("unfinished.txt", 100)
        assert client.get("/download").status_code == httpx.codes.OK


@pytest.mark.parametrize(
    ("settings", "file", "directory"),
    [({}, 0o600, 0o700), ({"UMASK": "027"}, 0o640, 0o750)],
    ids=["by default", "open to the group"],
)
def test_stored_files_are_for_whom_the_operator_says_and_the_rest_is_for_nobody_else(
    over_a_directory: None,
    start_server: Callable[..., LiveServer],
    settings: dict[str, str],
    file: int,
    directory: int,
) -> None:
    server = start_server(**settings)
    store_in_all_ways(server)
    assert server.published() == ["draft.txt", "form.txt", "raw.txt", "tus.txt"]
    modes = {S_IMODE((server.store / name).stat().st_mode) for name in server.published()}
    assert modes == {file}
    assert S_IMODE(server.store.stat().st_mode) == directory
    private = server.store / ".fileservice"
    assert S_IMODE(private.stat().st_mode) == 0o700
