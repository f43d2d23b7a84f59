"""Sequences of requests and of changes of rights, compared with a model of what they may do."""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import TestResponse

from fileservice.access import access_file
from tests.support.access import EditedAccessFile, Rights
from tests.support.tus import BYTES, VERSION, named
from tests.web.application import application, published
from tests.web.bodies import environ_of

TOKENS = ("ada", "bob", "ci")
STRANGERS = Rights(frozenset({"read", "write"}))
NAMES = ("a.txt", "ab.txt", "abc.txt", "b.txt", "ba.txt")
LENGTH = 8
"""Bytes of every file that is uploaded in several requests."""
DATA = b"content\n"
UNKNOWN = "0" * 32
Refused = Literal[0, 401, 403]

anybody = st.sampled_from((*TOKENS, *TOKENS, "nobody", "forged"))
owner_or_other = st.none() | anybody
"""None stands for who began the upload."""
some_scopes = st.sets(st.sampled_from(("list", "read", "write", "delete"))).map(frozenset)
all_scopes = st.just(frozenset({"list", "read", "write", "delete"}))
some_rights = st.builds(
    Rights,
    scopes=all_scopes | some_scopes,
    prefix=st.sampled_from(("", "", "a", "ab", "b")),
    expired=st.sampled_from((False, False, False, True)),
)
a_name = st.sampled_from(NAMES)


@dataclass
class Upload:
    """What the model knows of an upload in several requests."""

    id: str
    owner: str
    name: str
    protocol: Literal["tus", "resume"]
    received: int = 0
    state: Literal["open", "complete", "published", "failed", "removed"] = "open"
    """Complete is one whose file could not be published, since the rights did not suffice."""

    @property
    def path(self) -> str:
        return f"/{self.protocol}/{self.id}"


class Environment:
    """An application over a directory, and its ACCESS_FILE."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "store"
        self.access = EditedAccessFile(directory / "access.toml")
        app = application(
            self.root,
            ACCESS_FILE=str(self.access.path),
            ANONYMOUS=",".join(sorted(STRANGERS.scopes)),
        )
        self.client: FlaskClient = app.test_client()

    def clear(self) -> None:
        self.access.set_all({})
        for path in (*self.root.iterdir(), *(self.root / ".fileservice/uploads").iterdir()):
            if path.is_file():
                path.unlink()


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    # A change is seen by the next request, and not only after some time.
    monkeypatch.setattr(access_file, "_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(access_file, "_WRITING_SECONDS", 0.0)
    return Environment(tmp_path)


class Model(RuleBasedStateMachine):
    """Makes requests, and compares what comes of them with what the model expects."""

    environment: Environment
    uploads = Bundle("uploads")

    def __init__(self) -> None:
        super().__init__()
        self.environment.clear()
        self.client, self.access = self.environment.client, self.environment.access
        self.rights: dict[str, Rights] = {}
        self.files: dict[str, bytes] = {}

    # What the model expects

    def refused(self, who: str, scope: str, name: str | None = None) -> Refused:
        """The status of a refusal; 0 if the request is allowed."""
        if who == "nobody":
            return 0 if scope in STRANGERS.scopes else 401
        rights = self.rights.get(who)
        if rights is None or rights.expired:
            return 401
        if scope not in rights.scopes or (name and not name.startswith(rights.prefix)):
            return 403
        return 0

    def prefix(self, who: str) -> str:
        return self.rights[who].prefix if who in self.rights else ""

    def publish(self, who: str, upload: Upload) -> int:
        """Publish a complete upload if it may be; return the status, 0 for success."""
        if refused := self.refused(who, "write", upload.name):
            upload.state = "complete"
            return refused
        if upload.name in self.files:
            upload.state = "failed"
            return 409
        upload.state = "published"
        self.files[upload.name] = DATA
        return 0

    def hidden(self, who: str, upload: Upload) -> int:
        """The status if a principal may not know of an upload, or it has ended badly; else 0."""
        if refused := self.refused(who, "write"):
            return refused
        if who != upload.owner or upload.state == "removed":
            return 404
        return 410 if upload.state == "failed" else 0

    # What is asked of the service

    def ask(
        self, who: str, method: str, path: str, headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> TestResponse:  # fmt: skip
        fields = dict(headers or {})
        if who != "nobody":
            fields |= self.access.credentials(who)
        environ = {} if data is None else environ_of(data, fields, lambda: None)
        return self.client.open(path, method=method, headers=fields, environ_overrides=environ)

    def set(self, who: str, rights: Rights) -> None:
        self.rights[who] = rights
        self.access.set(who, rights.scopes, rights.prefix, expired=rights.expired)

    @initialize()
    def give_all_rights_to_all_tokens(self) -> None:
        for who in TOKENS:
            self.set(who, Rights(frozenset({"list", "read", "write", "delete"})))

    @rule(who=st.sampled_from(TOKENS), rights=some_rights)
    def add_or_change_a_token(self, who: str, rights: Rights) -> None:
        self.set(who, rights)

    @rule(who=st.sampled_from(TOKENS))
    def revoke_a_token(self, who: str) -> None:
        if self.rights.pop(who, None):
            self.access.revoke(who)

    @rule(who=anybody, name=a_name)
    def put(self, who: str, name: str) -> None:
        answer = self.ask(who, "PUT", f"/upload/{name}", data=b"put\n")
        expected = self.refused(who, "write", name) or (409 if name in self.files else 201)
        assert answer.status_code == expected
        if expected == 201:
            self.files[name] = b"put\n"

    @rule(who=anybody, name=a_name)
    def read(self, who: str, name: str) -> None:
        answer = self.ask(who, "GET", f"/download/{name}")
        expected = self.refused(who, "read", name) or (200 if name in self.files else 404)
        assert answer.status_code == expected
        if expected == 200:
            assert answer.data == self.files[name]

    @rule(who=anybody, name=a_name)
    def delete(self, who: str, name: str) -> None:
        answer = self.ask(who, "DELETE", f"/download/{name}")
        expected = self.refused(who, "delete", name) or (204 if name in self.files else 404)
        assert answer.status_code == expected
        if expected == 204:
            del self.files[name]

    @rule(
        who=anybody,
        prefix=st.sampled_from(("", "a", "ab", "b", "c")),
        more=st.sampled_from(("", "&limit=9", "&limit=9&sort=-size", "&q=b", "&after=a.txt")),
    )
    def list(self, who: str, prefix: str, more: str) -> None:
        answer = self.ask(who, "GET", f"/download?prefix={prefix}{more}")
        if refused := self.refused(who, "list"):
            assert answer.status_code == refused
            return
        visible = (name for name in sorted(self.files) if name.startswith(self.prefix(who)))
        names = [name for name in visible if name.startswith(prefix)]
        if "q=" in more:
            names = [name for name in names if "b" in name]
        if "after=" in more:
            names = [name for name in names if name > "a.txt"]
        listed = [file["filename"] for file in answer.json]
        assert (sorted(listed) if "sort" in more else listed) == names

    @rule(who=anybody)
    def view_the_page(self, who: str) -> None:
        answer = self.ask(who, "GET", "/upload")
        rights = STRANGERS if who == "nobody" else self.rights.get(who)
        if rights is None or rights.expired:
            assert answer.status_code == 401
            return
        shown = re.findall("<th [^>]*rowheader.*?<bdi>(.*?)</bdi>", html.unescape(answer.text))
        visible = [name for name in sorted(self.files) if name.startswith(rights.prefix)]
        assert shown == (visible if "list" in rights.scopes else [])
        assert ('<form id="upload"' in answer.text) is ("write" in rights.scopes)
        assert ('data-do="delete"' in answer.text) is (
            {"list", "delete"} <= rights.scopes and bool(visible)
        )

    @rule(target=uploads, who=anybody, name=a_name, protocol=st.sampled_from(("tus", "resume")))
    def begin(self, who: str, name: str, protocol: Literal["tus", "resume"]) -> object:
        if protocol == "tus":
            fields = VERSION | {"Upload-Length": str(LENGTH)} | named(name)
            answer = self.ask(who, "POST", "/tus/", fields)
        else:
            fields = {"Upload-Complete": "?0"}
            answer = self.ask(who, "PUT", f"/upload/{name}", fields, b"")
        expected = self.refused(who, "write", name) or (409 if name in self.files else 201)
        assert answer.status_code == expected
        if expected != 201:
            return multiple()
        return Upload(answer.headers["Location"].rpartition("/")[2], who, name, protocol)

    def append_to(
        self, who: str, upload: Upload, count: int, change: Rights | None = None
    ) -> TestResponse:
        end = upload.received + count
        fields = {"Upload-Offset": str(upload.received)}
        if upload.protocol == "tus":
            fields |= VERSION | BYTES
        else:
            fields |= {
                "Content-Type": "application/partial-upload",
                "Upload-Complete": "?1" if end == LENGTH else "?0",
            }
        if who != "nobody":
            fields |= self.access.credentials(who)
        environ = environ_of(
            DATA[upload.received : end], fields, lambda: change and self.set(who, change)
        )
        return self.client.patch(upload.path, headers=fields, environ_overrides=environ)

    @rule(other=owner_or_other, upload=uploads, count=st.sampled_from((1, 3, LENGTH)))
    def append(self, other: str | None, upload: Upload, count: int) -> None:
        who = other or upload.owner
        if upload.state in ("complete", "published") and who == upload.owner:
            return
        count = min(count, LENGTH - upload.received)
        answer = self.append_to(who, upload, count)
        expected = self.hidden(who, upload) or self.refused(who, "write", upload.name)
        if not expected:
            upload.received += count
            is_last = upload.received == LENGTH
            done = 201 if is_last and upload.protocol == "resume" else 204
            expected = (self.publish(who, upload) if is_last else 0) or done
        assert answer.status_code == expected

    @rule(upload=uploads, rights=some_rights)
    def change_the_rights_while_the_rest_is_sent(self, upload: Upload, rights: Rights) -> None:
        who = upload.owner
        if who == "nobody" or upload.state != "open" or upload.received > LENGTH - 2:
            return
        if self.refused(who, "write", upload.name):
            return
        answer = self.append_to(who, upload, LENGTH - upload.received, rights)
        upload.received = LENGTH
        done = 204 if upload.protocol == "tus" else 201
        assert self.rights[who] == rights
        assert answer.status_code == (self.publish(who, upload) or done)

    @rule(other=owner_or_other, upload=uploads, protocol=st.sampled_from(("tus", "resume")))
    def ask_for_the_offset(self, other: str | None, upload: Upload, protocol: str) -> None:
        who = other or upload.owner
        answer = self.ask(who, "HEAD", f"/{protocol}/{upload.id}", VERSION)
        expected = self.hidden(who, upload)
        if not expected and upload.state == "complete":
            expected = self.publish(who, upload)
        assert answer.status_code == (expected or (200 if protocol == "tus" else 204))
        if not expected:
            assert int(answer.headers["Upload-Offset"]) == upload.received
        assert ("Content-Location" in answer.headers) is (
            not expected and upload.state == "published"
        )

    @rule(other=owner_or_other, upload=uploads, protocol=st.sampled_from(("tus", "resume")))
    def terminate(self, other: str | None, upload: Upload, protocol: str) -> None:
        who = other or upload.owner
        answer = self.ask(who, "DELETE", f"/{protocol}/{upload.id}", VERSION)
        expected = self.hidden(who, upload)
        assert answer.status_code == (expected or 204)
        if not expected:
            upload.state = "removed"

    @invariant()
    def exactly_the_files_of_the_model_are_stored(self) -> None:
        root = self.environment.root
        assert {name: (root / name).read_bytes() for name in published(root)} == self.files


def run(environment: Environment, *, examples: int, steps: int, shrinks: bool) -> None:
    machine = type("Model", (Model,), {"environment": environment})
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # A failure is short enough to be read, and to shorten it takes minutes.
        phases=[phase for phase in Phase if shrinks or phase is not Phase.shrink],
    )
    run_state_machine_as_test(machine, settings=chosen)


def test_requests_do_what_the_rights_of_the_moment_allow(environment: Environment) -> None:
    run(environment, examples=40, steps=30, shrinks=False)


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_long_sequences_do_what_the_rights_of_the_moment_allow(environment: Environment) -> None:
    run(environment, examples=300, steps=60, shrinks=True)
