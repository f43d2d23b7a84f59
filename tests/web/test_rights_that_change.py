"""A token whose rights change in the middle of an upload publishes nothing, whatever its form."""

import hashlib
import io
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fileservice.access import access_file
from fileservice.storage.local.resumable import LocalResumableWriter
from fileservice.wsgi_extensions import SEND_INTERIM_RESPONSE
from tests.support.access import EditedAccessFile
from tests.support.tus import BYTES, VERSION, named
from tests.support.wire import form, part
from tests.web.application import application, published
from tests.web.bodies import Body, environ_of

HALF = b"half of the text\n" * 2000
WHOLE = HALF * 2
NAME = "a.txt"
PARTIAL = {"Content-Type": "application/partial-upload"}
ALL = "list,read,write,delete"


@dataclass
class Uploader:
    """A client with one token, and the file that says what it may do."""

    client: FlaskClient
    access: EditedAccessFile
    root: Path
    patch: pytest.MonkeyPatch
    changes: list[str] = field(default_factory=list)

    def change(self, change: str) -> None:
        self.changes.append(change)
        match change:
            case "revoked":
                self.access.revoke("ci")
            case "expired":
                self.access.set("ci", ALL, expired=True)
            case "demoted":
                self.access.set("ci", "list,read,delete")
            case "moved":
                self.access.set("ci", ALL, prefix="b")
            case "restored":
                self.access.set("ci", ALL)

    def send(
        self, method: str, path: str, headers: dict[str, str], data: bytes, change: str
    ) -> TestResponse:
        """Send a request during whose body the rights change; "" for no change."""
        environ = environ_of(data, headers, lambda: change and self.change(change))
        return self.client.open(path, method=method, headers=headers, environ_overrides=environ)

    def begin(self, headers: dict[str, str], path: str = "/tus/", data: bytes = b"") -> str:
        """Create an upload, and return the path of its URL."""
        method = "POST" if path == "/tus/" else "PUT"
        created = self.send(method, path, headers, data, "")
        assert created.status_code == 201, created.text
        return created.headers["Location"].removeprefix("http://localhost")


class Service:
    """An application that the tests of a module share, its store, and its ACCESS_FILE."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "store"
        self.access = EditedAccessFile(directory / "access.toml")
        self._app = application(self.root, ACCESS_FILE=str(self.access.path), ANONYMOUS="read")

    def emptied(self, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
        """Return a client for a store without files and uploads, and without tokens."""
        # A change is seen by the next request, and not only after some time.
        monkeypatch.setattr(access_file, "_CHECK_SECONDS", 0.0)
        monkeypatch.setattr(access_file, "_WRITING_SECONDS", 0.0)
        self.access.set_all({})
        for path in (*self.root.iterdir(), *(self.root / ".fileservice/uploads").iterdir()):
            if path.is_file():
                path.unlink()
        return self._app.test_client()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(tmp_path_factory.mktemp("rights"))


@pytest.fixture
def uploader(service: Service, monkeypatch: pytest.MonkeyPatch) -> Uploader:
    client = service.emptied(monkeypatch)
    credentials = service.access.set("ci", ALL)
    client.environ_base["HTTP_AUTHORIZATION"] = credentials["Authorization"]
    return Uploader(client, service.access, service.root, monkeypatch)


def put(uploader: Uploader, change: str) -> TestResponse:
    return uploader.send("PUT", f"/upload/{NAME}", {}, WHOLE, change)


def put_whose_length_is_unknown(uploader: Uploader, change: str) -> TestResponse:
    body = Body(WHOLE, lambda: change and uploader.change(change))
    environ = {
        "wsgi.input": io.BufferedReader(body),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }
    return uploader.client.put(f"/upload/{NAME}", environ_overrides=environ)


def form_with_file(uploader: Uploader, change: str) -> TestResponse:
    headers = {"Content-Type": "multipart/form-data; boundary=XboundaryX"}
    return uploader.send("POST", "/upload", headers, form(part("file", WHOLE, NAME)), change)


def tus_patch(uploader: Uploader, change: str) -> TestResponse:
    path = uploader.begin(VERSION | {"Upload-Length": str(len(WHOLE))} | named(NAME))
    headers = VERSION | BYTES | {"Upload-Offset": "0"}
    return uploader.send("PATCH", path, headers, WHOLE, change)


def tus_patch_with_checksum(uploader: Uploader, change: str) -> TestResponse:
    path = uploader.begin(VERSION | {"Upload-Length": str(len(WHOLE))} | named(NAME))
    checksum = b64encode(hashlib.sha256(WHOLE).digest()).decode()
    headers = VERSION | BYTES | {"Upload-Offset": "0", "Upload-Checksum": f"sha256 {checksum}"}
    return uploader.send("PATCH", path, headers, WHOLE, change)


def tus_creation_with_upload(uploader: Uploader, change: str) -> TestResponse:
    headers = VERSION | BYTES | {"Upload-Length": str(len(WHOLE))} | named(NAME)
    return uploader.send("POST", "/tus/", headers, WHOLE, change)


def tus_concatenation(uploader: Uploader, change: str) -> TestResponse:
    paths = [
        uploader.begin(
            VERSION | BYTES | {"Upload-Length": str(len(HALF)), "Upload-Concat": "partial"},
            data=HALF,
        )
        for _ in range(2)
    ]
    original, changed = LocalResumableWriter.read_at, False

    def read_at(self: LocalResumableWriter, count: int, offset: int) -> bytes:
        nonlocal changed
        if change and not changed:  # while the parts are copied
            changed = True
            uploader.change(change)
        return original(self, count, offset)

    uploader.patch.setattr(LocalResumableWriter, "read_at", read_at)
    headers = VERSION | named(NAME) | {"Upload-Concat": f"final;{' '.join(paths)}"}
    return uploader.send("POST", "/tus/", headers, b"", "")


def draft_patch(uploader: Uploader, change: str) -> TestResponse:
    path = uploader.begin({"Upload-Complete": "?0"}, f"/upload/{NAME}")
    headers = PARTIAL | {"Upload-Offset": "0", "Upload-Complete": "?1"}
    return uploader.send("PATCH", path, headers, WHOLE, change)


def draft_creation_with_104(uploader: Uploader, change: str) -> TestResponse:
    """The client is told the URL before it sends the file, as it is by our server."""
    informed = []

    def send_interim(status: str, _fields: Mapping[str, str]) -> None:
        informed.append(status)

    headers = {"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}
    environ = environ_of(WHOLE, headers, lambda: change and uploader.change(change))
    environ[SEND_INTERIM_RESPONSE] = send_interim
    answer = uploader.client.put(f"/upload/{NAME}", headers=headers, environ_overrides=environ)
    assert informed == ["104 Upload Resumption Supported"]
    return answer


WAYS = [
    put,
    put_whose_length_is_unknown,
    form_with_file,
    tus_patch,
    tus_patch_with_checksum,
    tus_creation_with_upload,
    tus_concatenation,
    draft_patch,
    draft_creation_with_104,
]
RESUMABLE_WAYS = [tus_patch, draft_patch, draft_creation_with_104]
REFUSALS = {"revoked": 401, "expired": 401, "demoted": 403, "moved": 403}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_an_upload_whose_token_does_not_change_is_published(
    uploader: Uploader, way: Callable[[Uploader, str], TestResponse]
) -> None:
    answer = way(uploader, "")
    assert answer.status_code in (201, 204), answer.text
    assert (uploader.root / NAME).read_bytes() == WHOLE


@pytest.mark.parametrize("change", REFUSALS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_token_that_is_changed_during_an_upload_publishes_nothing(
    uploader: Uploader, way: Callable[[Uploader, str], TestResponse], change: str
) -> None:
    answer = way(uploader, change)
    assert uploader.changes == [change]
    assert answer.status_code == REFUSALS[change]
    assert published(uploader.root) == []
    assert list((uploader.root / ".fileservice/staging").iterdir()) == []


@pytest.mark.parametrize("change", REFUSALS)
@pytest.mark.parametrize("way", RESUMABLE_WAYS, ids=lambda way: way.__name__)
def test_asking_for_the_offset_publishes_nothing_for_a_token_that_was_changed(
    uploader: Uploader, way: Callable[[Uploader, str], TestResponse], change: str
) -> None:
    """All bytes have arrived, so that asking would publish the file, and does so later."""
    assert way(uploader, change).status_code == REFUSALS[change]
    (upload,) = (path.name for path in (uploader.root / ".fileservice/uploads").iterdir()
                 if len(path.name) == 32)  # fmt: skip
    for path, headers in ((f"/tus/{upload}", VERSION), (f"/resume/{upload}", {})):
        asked = uploader.client.head(path, headers=headers)
        assert asked.status_code == REFUSALS[change]
        assert "Content-Location" not in asked.headers
    assert published(uploader.root) == []
    uploader.change("restored")
    assert uploader.client.head(f"/tus/{upload}", headers=VERSION).status_code == 200
    assert (uploader.root / NAME).read_bytes() == WHOLE


@pytest.mark.parametrize("change", REFUSALS)
def test_an_upload_that_was_begun_before_the_change_cannot_be_continued(
    uploader: Uploader, change: str
) -> None:
    begun = {
        "tus": uploader.begin(VERSION | {"Upload-Length": str(len(WHOLE))} | named(NAME)),
        "draft": uploader.begin({"Upload-Complete": "?0"}, "/upload/ab.txt"),
    }
    uploader.change(change)
    if change == "moved":
        uploader.access.set("ci", ALL, prefix="c")
    headers = VERSION | BYTES | {"Upload-Offset": "0"}
    tus = uploader.send("PATCH", begun["tus"], headers, WHOLE, "")
    headers = PARTIAL | {"Upload-Offset": "0", "Upload-Complete": "?1"}
    draft = uploader.send("PATCH", begun["draft"], headers, WHOLE, "")
    assert tus.status_code == draft.status_code == REFUSALS[change]
    assert published(uploader.root) == []


def test_a_token_that_was_demoted_has_only_the_rights_that_are_left(uploader: Uploader) -> None:
    client = uploader.client
    assert put(uploader, "").status_code == 201

    def statuses() -> list[int]:
        return [
            client.get("/download").status_code,
            client.get(f"/download/{NAME}").status_code,
            client.put(f"/upload/{NAME}", data=b"x").status_code,
            client.delete(f"/download/{NAME}", headers={"If-Match": '"x"'}).status_code,
        ]

    assert statuses() == [200, 200, 409, 412]
    for number, scope in enumerate(("list", "read", "write", "delete")):
        left = [name for name in ALL.split(",") if name != scope]
        uploader.access.set("ci", ",".join(left))
        expected = [200, 200, 409, 412]
        expected[number] = 403
        assert statuses() == expected
    uploader.access.set("ci", "")
    assert statuses() == [403] * 4
    uploader.access.set("ci", ALL, prefix="b")
    assert statuses() == [200, 403, 403, 403]
    uploader.access.revoke("ci")
    assert statuses() == [401] * 4
