"""Who may do what: every kind of principal, set of scopes and call of every route.

The calls and the scopes they need are in tests/support/calls.py. The routes are those of the
application, so that a new one without a call fails a test.
"""

import itertools
import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fileservice.access import (
    DownloadGrant,
    LinkStore,
    Maker,
    MakerKind,
    Scope,
    Session,
    UploadGrant,
)
from fileservice.access.access_file import read_rules
from fileservice.access.sessions import seal
from fileservice.names import FileName
from fileservice.storage.local import LocalStore
from fileservice.web.door import declared_action
from tests.support.access import EditedAccessFile, Rights
from tests.support.calls import ANY, CALLS, LINK, PUBLIC, TEXT, Call
from tests.support.rows import every_row
from tests.web.application import UnreadableBody, application

SCOPE_SETS = [
    frozenset(chosen)
    for size in range(5)
    for chosen in itertools.combinations(("list", "read", "write", "delete"), size)
] + [frozenset({"share", "admin"}), frozenset(Scope)]
PREFIX = "p-"
ALL_OF_STRANGERS = ("list", "read", "write", "delete")
SECRET_KEY = "k" * 40


def of(scopes: frozenset[str]) -> str:
    return "+".join(sorted(scopes)) or "none"


def token_name(scopes: frozenset[str]) -> str:
    return f"t-{of(scopes).replace('+', '-')}"


class World:
    """A store, and applications over it; the tokens are named after the scopes that they have."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "store"
        self.root.mkdir()
        self.access = EditedAccessFile(directory / "access.toml")
        self._numbers = itertools.count()
        self._clients: dict[str, FlaskClient] = {}
        rights = {token_name(scopes): Rights(scopes) for scopes in SCOPE_SETS}
        rights |= {f"{token_name(s)}-prefix": Rights(s, PREFIX) for s in SCOPE_SETS}
        rights |= {f"{token_name(s)}-expired": Rights(s, expired=True) for s in SCOPE_SETS}
        rights["other"] = Rights(frozenset(Scope))
        self.access.set_all(rights)
        people = {token_name(scopes): scopes for scopes in SCOPE_SETS}
        self.access.set_people(people, people)
        self.other = self.access.credentials("other")
        # Uploads are begun by the same principals, while they have all rights.
        unlimited = EditedAccessFile(directory / "unlimited.toml", secrets_of=self.access)
        unlimited.set_all({name: Rights(frozenset(Scope)) for name in rights})
        everything = dict.fromkeys(people, frozenset[str](Scope))
        unlimited.set_people(everything, everything)
        self._unlimited = self._client(",".join(ALL_OF_STRANGERS), unlimited.path)

    def _client(self, anonymous: str, access: Path) -> FlaskClient:
        app = application(
            self.root,
            ANONYMOUS=anonymous,
            ACCESS_FILE=str(access),
            TRUSTED_PROXIES="127.0.0.1",
            IDENTITY_HEADER="X-Person",
            IDENTITY_GROUPS_HEADER="X-Groups",
            SECRET_KEY=SECRET_KEY,
        )
        return app.test_client(use_cookies=False)

    def clear(self) -> None:
        """Remove all files and uploads."""
        for path in (*self.root.iterdir(), *(self.root / ".fileservice/uploads").iterdir()):
            if path.is_file():
                path.unlink()

    def client(self, anonymous: frozenset[str]) -> FlaskClient:
        """A client of an application where strangers have these scopes."""
        known = ",".join(sorted(anonymous)) or "none"
        if known not in self._clients:
            self._clients[known] = self._client(known, self.access.path)
        return self._clients[known]

    def link(self, grant: UploadGrant | DownloadGrant) -> dict[str, str]:
        """The field that shows a new link of the operator."""
        links = LinkStore(LocalStore(self.root, fsync=False).private_files)
        _, secret = links.create(Maker(MakerKind.OPERATOR), grant)
        return {"Authorization": f"Bearer {secret}"}

    def name(self, prefix: str = "") -> str:
        """A name that was never used; all of them have the same length."""
        return f"{prefix}{next(self._numbers):06}.txt"

    def store(self, name: str) -> None:
        (self.root / name).write_bytes(TEXT)

    def sign_in(self, name: str) -> dict[str, str]:
        """Sign in with a token, while it has not expired, and return the field that shows it."""
        answer = self._unlimited.post(
            "/sign-in",
            data={"token": self.access.secret(name)},
            headers={"Sec-Fetch-Site": "same-origin"},
        )
        assert answer.status_code == 303, answer.text
        return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}

    def begin(self, credentials: Mapping[str, str], call: Call, name: str) -> str:
        """Begin an upload for a principal, by the protocol of the call, and return its id."""
        creation = CALLS["draft: create" if "/resume/" in call.rule else "tus: create"]
        asked = creation.request(name, "")
        headers = {**asked.headers, **credentials}
        environ = {"CONTENT_LENGTH": "0"}
        answer = self._unlimited.post(asked.path, headers=headers, environ_overrides=environ)
        assert answer.status_code == 201, answer.text
        return answer.headers["Location"].rpartition("/")[2]

    def files(self) -> dict[str, tuple[int, int, int]]:
        """Everything that is stored, but for the index of names, which is a cache."""
        found = {}
        for directory, _, names in os.walk(self.root):
            for name in names:
                path = Path(directory, name)
                if path != self.root / ".fileservice/names":
                    status = path.stat()
                    found[str(path)] = (status.st_ino, status.st_size, status.st_mtime_ns)
        return found


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(shared_world: World) -> World:
    """The shared world, with nothing in its store."""
    shared_world.clear()
    return shared_world


SAME_ID = {"X-Request-Id": "the-same-for-all"}
"""The applications trust the client as a proxy. With one id, answers can be compared."""
FORBIDDEN, UNAUTHENTICATED = (403, "forbidden"), (401, "unauthenticated")
NOTHING = frozenset[str]()
UNKNOWN = "0" * 32
"""An id that no upload has."""


@dataclass(frozen=True)
class Who:
    """Who makes a call, and with which status and code it is told that it may not."""

    client: FlaskClient
    credentials: Mapping[str, str]
    scopes: frozenset[str]
    refusal: tuple[int, str] = FORBIDDEN
    prefix: str = ""
    is_known: bool = True
    """Whether the credentials are valid; they are not if there are none."""
    is_in_file: bool = True
    """Whether ACCESS_FILE names the principal, so that it could have begun uploads before."""

    def may(self, call: Call, name: str) -> bool:
        if call.needs in (PUBLIC, LINK):
            return True
        if call.needs == ANY:
            return self.is_known or bool(self.scopes)
        if call.names_file and not name.startswith(self.prefix):
            return False
        return call.needs <= self.scopes

    def ask(self, call: Call, name: str, upload: str, *, untouched: bool) -> TestResponse:
        """Make the call. With `untouched`, reading its body is an error."""
        asked = call.request(name, upload)
        headers = {**asked.headers, **self.credentials, **SAME_ID}
        if not untouched:
            return self.client.open(
                asked.path, method=asked.method, headers=headers, data=asked.body
            )
        environ = {"wsgi.input": UnreadableBody(), "CONTENT_LENGTH": str(len(asked.body))}
        return self.client.open(
            asked.path, method=asked.method, headers=headers, environ_overrides=environ
        )


def anonymous(world: World, scopes: frozenset[str]) -> Who:
    granted = scopes - {"share", "admin"}  # which the setting does not take
    return Who(world.client(granted), {}, granted, UNAUTHENTICATED, is_known=False)


def token(world: World, scopes: frozenset[str]) -> Who:
    credentials = world.access.credentials(token_name(scopes))
    return Who(world.client(NOTHING), credentials, scopes)


def token_by_basic(world: World, scopes: frozenset[str]) -> Who:
    pair = f"anybody:{world.access.secret(token_name(scopes))}"
    credentials = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
    return Who(world.client(NOTHING), credentials, scopes)


def token_where_strangers_may_do_everything(world: World, scopes: frozenset[str]) -> Who:
    credentials = world.access.credentials(token_name(scopes))
    return Who(world.client(frozenset(ALL_OF_STRANGERS)), credentials, scopes)


def token_with_a_prefix(world: World, scopes: frozenset[str]) -> Who:
    credentials = world.access.credentials(f"{token_name(scopes)}-prefix")
    return Who(world.client(NOTHING), credentials, scopes, prefix=PREFIX)


def person_whom_a_proxy_names(world: World, scopes: frozenset[str]) -> Who:
    client = world.client(frozenset(ALL_OF_STRANGERS))
    return Who(client, {"X-Person": token_name(scopes)}, scopes)


def member_of_a_group(world: World, scopes: frozenset[str]) -> Who:
    credentials = {"X-Person": f"member-{of(scopes)}", "X-Groups": f"x,{token_name(scopes)}"}
    return Who(world.client(NOTHING), credentials, scopes)


def person_without_rights(world: World, scopes: frozenset[str]) -> Who:
    client = world.client(scopes - {"share", "admin"})
    return Who(client, {"X-Person": "unknown", "X-Groups": "x"}, NOTHING, is_in_file=False)


def guest_by_a_link(world: World, _scopes: frozenset[str]) -> Who:
    client = world.client(frozenset(ALL_OF_STRANGERS))
    credentials = world.link(UploadGrant(PREFIX))
    return Who(client, credentials, frozenset({"write"}), prefix=PREFIX, is_in_file=False)


def link_to_another_file(world: World, _scopes: frozenset[str]) -> Who:
    client = world.client(frozenset(ALL_OF_STRANGERS))
    credentials = world.link(DownloadGrant(FileName.parse("other.txt"), "version"))
    return Who(client, credentials, NOTHING, is_in_file=False)


def expired_token(world: World, scopes: frozenset[str]) -> Who:
    credentials = world.access.credentials(f"{token_name(scopes)}-expired")
    client = world.client(frozenset(ALL_OF_STRANGERS))
    return Who(client, credentials, NOTHING, UNAUTHENTICATED, is_known=False)


def unknown_token(world: World, scopes: frozenset[str]) -> Who:
    client = world.client(scopes - {"share", "admin"})
    credentials = {"Authorization": f"Bearer fs_{'x' * 43}"}
    return Who(client, credentials, NOTHING, UNAUTHENTICATED, is_known=False)


def signed_in_with_a_token(world: World, scopes: frozenset[str]) -> Who:
    client = world.client(frozenset(ALL_OF_STRANGERS))
    return Who(client, world.sign_in(token_name(scopes)), scopes)


def signed_in_with_a_token_with_a_prefix(world: World, scopes: frozenset[str]) -> Who:
    credentials = world.sign_in(f"{token_name(scopes)}-prefix")
    return Who(world.client(NOTHING), credentials, scopes, prefix=PREFIX)


def session_of(world: World, name: str, *groups: str, key: str = SECRET_KEY) -> dict[str, str]:
    """The field with which a browser shows the session of a person from an OpenID provider."""
    session = Session.of_person(name, groups, read_rules(world.access.path))
    return {"Cookie": f"fileservice-session={seal(session, key.encode())}"}


def person_who_has_signed_in(world: World, scopes: frozenset[str]) -> Who:
    client = world.client(frozenset(ALL_OF_STRANGERS))
    return Who(client, session_of(world, token_name(scopes)), scopes)


def member_of_a_group_who_has_signed_in(world: World, scopes: frozenset[str]) -> Who:
    credentials = session_of(world, f"member-{of(scopes)}", "x", token_name(scopes))
    return Who(world.client(NOTHING), credentials, scopes)


def forged_session(world: World, scopes: frozenset[str]) -> Who:
    """A browser keeps sending a session that is worth nothing, so it is a stranger's."""
    stranger = anonymous(world, scopes)
    return replace(stranger, credentials=session_of(world, token_name(frozenset(Scope)), key="x"))


def session_of_an_expired_token(world: World, scopes: frozenset[str]) -> Who:
    stranger = anonymous(world, scopes)
    return replace(stranger, credentials=world.sign_in(f"{token_name(frozenset(Scope))}-expired"))


Kind = Callable[[World, frozenset[str]], Who]
KINDS: list[Kind] = [
    anonymous,
    token,
    token_with_a_prefix,
    token_by_basic,
    token_where_strangers_may_do_everything,
    person_whom_a_proxy_names,
    member_of_a_group,
    person_without_rights,
    guest_by_a_link,
    link_to_another_file,
    expired_token,
    unknown_token,
    signed_in_with_a_token,
    signed_in_with_a_token_with_a_prefix,
    person_who_has_signed_in,
    member_of_a_group_who_has_signed_in,
    forged_session,
    session_of_an_expired_token,
]
"""What makes a principal of each kind with a set of scopes."""
WORTHLESS_KINDS = (
    person_without_rights, link_to_another_file, expired_token, unknown_token,
    session_of_an_expired_token,
)  # fmt: skip
VALID_KINDS = [kind for kind in KINDS if kind not in WORTHLESS_KINDS]


def principals(scope_sets: Iterable[frozenset[str]], kinds: Iterable[Kind]) -> list[object]:
    """The parameters of a test: each kind with each set of scopes; some are thorough."""
    return [
        pytest.param(
            kind,
            scopes,
            id=f"{kind.__name__}-{of(scopes)}",
            marks=[] if kind in (anonymous, token) or len(scopes) in (0, 4) else _THOROUGH,
        )
        for kind in kinds
        for scopes in scope_sets
    ]


_THOROUGH = [pytest.mark.thorough]


def seen(answer: TestResponse) -> tuple[object, ...]:
    """All that a client sees of an answer."""
    return answer.status, sorted(answer.headers), answer.data


def test_every_method_of_every_route_has_a_call_in_the_table(world: World) -> None:
    app = world.client(NOTHING).application
    calls = {(call.method, call.rule) for call in CALLS.values()}
    routes = set()
    for rule in app.url_map.iter_rules():
        methods = (rule.methods or set()) - {"OPTIONS"}
        routes |= {(method, rule.rule) for method in methods}
    # HEAD is the same view as GET. Where GET has a call, HEAD needs no other.
    heads = {("HEAD", rule) for method, rule in routes if method == "GET"}
    assert routes - heads <= calls
    assert calls <= routes


def test_every_route_declares_the_scopes_of_the_table(world: World) -> None:
    app = world.client(NOTHING).application
    declared = {
        (method, rule.rule): declared_action(app.view_functions[rule.endpoint])
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method != "OPTIONS"
    }
    for call in CALLS.values():
        action = declared[call.method, call.rule]
        if call.needs == LINK:
            assert call.rule.startswith("/s/<link_secret>")
            continue
        needs = NOTHING if call.needs == ANY else call.needs
        assert action.scopes == (needs if call.declares is None else call.declares), call


@pytest.mark.parametrize(("kind", "scopes"), principals(SCOPE_SETS, KINDS))
def test_nobody_gets_what_they_may_not(world: World, kind: Kind, scopes: frozenset[str]) -> None:
    """The refusal has the same bytes whether the file or upload exists, and nothing is read."""
    who = kind(world, scopes)
    foreign = world.begin(world.other, CALLS["tus: offset"], world.name())
    refused = []
    for call_id, call in CALLS.items():
        for prefix in {who.prefix, ""}:
            taken, free = world.name(prefix), world.name(prefix)
            if who.may(call, taken):
                continue
            world.store(taken)
            uploads = [] if call.needs <= who.scopes else [foreign, UNKNOWN]
            if call.expects == "upload" and who.refusal == FORBIDDEN and who.is_in_file:
                uploads.append(world.begin(who.credentials, call, world.name(prefix)))
            if call.expects == "upload" and not uploads:
                continue  # who cannot have begun one under such a name
            refused.append((call_id, call, (taken, free), uploads))
    before = world.files()
    for call_id, call, names, uploads in refused:
        untouched = not (call.name_is_in_body and call.needs <= who.scopes)
        answers = [
            who.ask(call, name, upload, untouched=untouched)
            for name in names
            for upload in (uploads if call.expects == "upload" else [""])
        ]
        assert len({str(seen(answer)) for answer in answers}) == 1, call_id
        assert answers[0].status_code == who.refusal[0], call_id
        assert ("WWW-Authenticate" in answers[0].headers) is (who.refusal == UNAUTHENTICATED)
        if call.method != "HEAD":
            assert answers[0].json["code"] == who.refusal[1], call_id
    assert world.files() == before


@pytest.mark.parametrize(("kind", "scopes"), principals(SCOPE_SETS, VALID_KINDS))
def test_everybody_gets_what_they_may(world: World, kind: Kind, scopes: frozenset[str]) -> None:
    who = kind(world, scopes)
    for call_id, call in CALLS.items():
        name = world.name(who.prefix)
        if not who.may(call, name) or (call.needs == PUBLIC and who.credentials):
            continue
        upload = ""
        if call.expects == "file":
            world.store(name)
        elif call.expects == "upload":
            upload = world.begin(who.credentials, call, name)
        answer = who.ask(call, name, upload, untouched=False)
        assert answer.status_code == call.status, (call_id, answer.text)


@pytest.mark.parametrize(
    ("kind", "scopes"), principals([s for s in SCOPE_SETS if "write" in s], VALID_KINDS)
)
def test_uploads_of_others_are_answered_like_those_that_never_existed(
    world: World, kind: Kind, scopes: frozenset[str]
) -> None:
    who = kind(world, scopes)
    for call_id, call in CALLS.items():
        if call.expects != "upload":
            continue
        name = world.name(who.prefix)
        foreign = world.begin(world.other, call, name)
        before = world.files()
        answers = [
            who.ask(call, name, upload, untouched=True) for upload in (foreign, UNKNOWN, "x")
        ]
        assert world.files() == before
        assert {answer.status_code for answer in answers} == {404}, call_id
        assert len({str(seen(answer)) for answer in answers}) == 1, call_id


@every_row("call", CALLS.values())
def test_options_need_no_credentials_and_say_nothing_about_a_file(world: World, call: Call) -> None:
    taken, free = world.name(), world.name()
    world.store(taken)
    client = world.client(NOTHING)
    paths = [call.request(name, UNKNOWN).path for name in (taken, free)]
    answers = [client.options(path, headers=SAME_ID) for path in paths]
    assert answers[0].status_code in (200, 204)
    assert seen(answers[0]) == seen(answers[1])
