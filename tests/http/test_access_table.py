"""Who may do what, on a real server: a sample of the table in tests/web/test_access_table.py."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.support.access import EditedAccessFile, Rights
from tests.support.calls import ANY, CALLS, LINK, PUBLIC, TEXT, Call
from tests.support.request_ids import FIELD, without_id
from tests.support.servers import LiveServer
from tests.support.wire import Answer, Wire, assert_holds_only, request

TAKEN, FREE, FOREIGN = "a1.txt", "a2.txt", "0" * 32
RIGHTS = {
    "nothing": Rights(frozenset()),
    "list": Rights(frozenset({"list"})),
    "read": Rights(frozenset({"read"})),
    "write": Rights(frozenset({"write"})),
    "delete": Rights(frozenset({"delete"})),
    "elsewhere": Rights(frozenset({"list", "read", "write", "delete"}), prefix="b"),
    "expired": Rights(frozenset({"list", "read", "write", "delete"}), expired=True),
}
WHO = [*RIGHTS, "nobody", "unknown"]


@dataclass(frozen=True)
class Guarded:
    """A server where strangers may only list, and the credentials of the tokens."""

    server: LiveServer
    access: EditedAccessFile

    def credentials(self, who: str) -> Mapping[str, str]:
        return {} if who == "nobody" else self.access.credentials(who)


@pytest.fixture(scope="module")
def guarded_server(
    start_module_server: Callable[..., LiveServer], tmp_path_factory: pytest.TempPathFactory
) -> Guarded:
    access = EditedAccessFile(tmp_path_factory.mktemp("access") / "access.toml")
    access.set_all(RIGHTS)
    server = start_module_server(WORKERS="1", ANONYMOUS="list", ACCESS_FILE=str(access.path))
    return Guarded(server, access)


@pytest.fixture
def guarded(guarded_server: Guarded) -> Iterator[Guarded]:
    """The server of this module, emptied."""
    guarded_server.server.clear()
    yield guarded_server
    log = guarded_server.server.log()
    assert not any(guarded_server.access.secret(who) in log for who in WHO)


def may(who: str, call: Call) -> bool:
    """Whether the call is allowed for TAKEN and FREE, to the unknown upload FOREIGN."""
    if call.needs == LINK:
        return True
    if who in ("expired", "unknown"):
        return False
    scopes = {"list"} if who == "nobody" else RIGHTS[who].scopes
    if call.needs in (PUBLIC, ANY):
        return True
    if who == "elsewhere" and call.names_file and call.expects != "upload":
        return False
    return call.needs <= scopes


def raw(call: Call, name: str, credentials: Mapping[str, str], *, body: bool) -> bytes:
    """The bytes of a request; without its body, the head asks whether it is wanted."""
    asked = call.request(name, FOREIGN)
    fields = [f"{field}: {value}" for field, value in {**asked.headers, **credentials}.items()]
    line = f"{asked.method} {asked.path}"
    if body or not asked.body:
        return request(line, *fields, body=asked.body if asked.body else None)
    return request(line, *fields, "Expect: 100-continue", f"Content-Length: {len(asked.body)}")


def seen(answer: Answer) -> tuple[object, ...]:
    changing = ("date", FIELD)
    headers = [field for field in answer.headers.multi_items() if field[0] not in changing]
    return answer.reason, headers, without_id(answer.body, answer.headers)


@pytest.mark.parametrize("who", WHO)
def test_a_refusal_is_the_same_for_every_name_and_asks_for_no_body(
    guarded: Guarded, who: str
) -> None:
    (guarded.server.store / TAKEN).write_bytes(TEXT)
    credentials = guarded.credentials(who)
    status = 401 if who in ("nobody", "unknown", "expired") else 403
    refused = 0
    for call_id, call in CALLS.items():
        if may(who, call):
            continue
        refused += 1
        answers = []
        for name in (TAKEN, FREE):
            with Wire(guarded.server) as wire:
                # The name of a file in a form is in the body.
                in_body = call.name_is_in_body and who == "elsewhere"
                answers.append(wire.ask(raw(call, name, credentials, body=in_body)))
        assert answers[0].status == status, (call_id, answers[0])  # and not 100
        assert seen(answers[0]) == seen(answers[1]), call_id
    assert refused > 5
    assert_holds_only(guarded.server, [TAKEN])


def test_a_body_that_is_sent_with_a_refused_request_does_not_become_the_next_request(
    guarded: Guarded,
) -> None:
    smuggled = raw(CALLS["delete"], TAKEN, guarded.credentials("delete"), body=True)
    (guarded.server.store / TAKEN).write_bytes(TEXT)
    for who in ("read", "nobody"):
        fields = [f"{name}: {value}" for name, value in guarded.credentials(who).items()]
        with Wire(guarded.server) as wire:
            answer = wire.ask(request(f"PUT /upload/{FREE}", *fields, body=smuggled))
            assert answer.status in (401, 403)
            if not answer.closes():
                assert wire.ask(request("GET /healthz")).status == 200
    assert_holds_only(guarded.server, [TAKEN])


def test_what_is_allowed_works(guarded: Guarded) -> None:
    """With these scopes alone, so that no call needs more than the contract says."""
    allowed = {
        "list": ("list", "list: page", "list: head", "page"),
        "read": ("download", "download: range", "download: condition", "head", "page"),
        "write": ("put", "form", "draft: create", "tus: create", "tus: create a part", "page"),
        "delete": ("delete: condition", "delete", "page"),
        "nobody": ("list", "page", "root", "health"),
    }
    for who, calls in allowed.items():
        (guarded.server.store / TAKEN).write_bytes(TEXT)
        for call_id in calls:
            name = TAKEN if CALLS[call_id].expects == "file" else f"{call_id[:5]}.txt"
            with Wire(guarded.server) as wire:
                asked = raw(CALLS[call_id], name, guarded.credentials(who), body=True)
                answer = wire.ask(asked)
            assert answer.status == CALLS[call_id].status, (who, call_id, answer)
            if name != TAKEN:
                guarded.server.clear()
