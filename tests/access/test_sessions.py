"""Sessions: what a browser cannot change, and what the rights of a session come from."""

import base64
import dataclasses
import zlib

from itsdangerous import URLSafeSerializer

from fileservice.access import AccessRules, Scope
from fileservice.access.rules import Grant, Token
from fileservice.access.sessions import LIFETIME, Session, seal, unseal
from fileservice.access.signing import serializer
from tests.support.rows import every_row

KEY = b"k" * 64
NOW = 1_800_000_000.0
RULES = AccessRules(
    tokens={"ci": Token("ci", b"d" * 32, frozenset({Scope.READ}), prefix="ci-")},
    users={"ada@example.org": Grant(frozenset({Scope.READ, Scope.WRITE}))},
    groups={"staff": Grant(frozenset({Scope.LIST})), "ops": Grant(frozenset({Scope.DELETE}))},
)


def sessions() -> list[Session]:
    return [
        Session.of_token("ci", RULES, NOW),
        Session.of_person("ada@example.org", ("staff", "ops"), RULES, NOW),
    ]


@every_row("session", sessions())
def test_sealed_session_is_read_until_it_is_over(session: Session) -> None:
    text = seal(session, KEY)
    assert unseal(text, KEY, NOW) == session
    assert unseal(text, KEY, NOW + LIFETIME - 1) == session
    assert unseal(text, KEY, NOW + LIFETIME) is None


def test_each_session_has_an_id_of_its_own() -> None:
    ids = {session.id for _ in range(10) for session in sessions()}
    assert len(ids) == 20
    assert all(len(session_id) == 32 for session_id in ids)


def test_session_with_any_character_changed_is_none() -> None:
    text = seal(sessions()[0], KEY)
    for index, character in enumerate(text):
        changed = text[:index] + ("A" if character != "A" else "B") + text[index + 1 :]
        found = unseal(changed, KEY, NOW)
        # The last character of a signature has bits that do not count.
        assert found is None or index == len(text) - 1
    for length in range(len(text)):
        assert unseal(text[:length], KEY, NOW) is None


@every_row("text", ["", ".", "..", "a.b", "\x00", "\N{EURO SIGN}.a", "." * 5000])
def test_text_that_is_no_session_is_none(text: str) -> None:
    assert unseal(text, KEY, NOW) is None


def test_text_that_was_signed_for_another_purpose_or_by_another_key_is_none() -> None:
    session = sessions()[1]
    fields = [session.id, session.expires, "person", session.name, "", ["staff"]]
    assert unseal(serializer(KEY, "session 1").dumps(fields), KEY, NOW)
    assert unseal(serializer(KEY, "OpenID Connect").dumps(fields), KEY, NOW) is None
    assert unseal(serializer(b"other" * 10, "session 1").dumps(fields), KEY, NOW) is None
    assert unseal(URLSafeSerializer(KEY).dumps(fields), KEY, NOW) is None


def test_compressed_text_without_a_signature_is_not_decompressed() -> None:
    bomb = base64.urlsafe_b64encode(zlib.compress(bytes(1 << 20))).decode().rstrip("=")
    assert unseal(f".{bomb}.signature", KEY, NOW) is None


def test_session_contains_no_secret_and_no_rights() -> None:
    text = seal(sessions()[0], KEY)
    _, fields = serializer(KEY, "session 1").loads_unsafe(text)
    assert len(fields) == len(dataclasses.fields(Session))
    assert fields[2:4] == ["token", "ci"]
    assert not {"read", (b"d" * 32).hex(), "d" * 32} & set(fields[4:5])


def test_session_of_a_token_is_the_principal_of_the_token() -> None:
    principal = sessions()[0].principal(RULES)
    assert principal == RULES.tokens["ci"].principal
    assert principal.id == "token:ci"


def test_session_of_a_person_has_the_rights_of_the_user_and_its_groups() -> None:
    principal = sessions()[1].principal(RULES)
    assert principal
    assert principal.id == "person:ada@example.org"
    assert principal.scopes == {Scope.READ, Scope.WRITE, Scope.LIST, Scope.DELETE}


def test_session_loses_what_the_rules_no_longer_give() -> None:
    _, person = sessions()
    demoted = dataclasses.replace(RULES, users={"ada@example.org": Grant(frozenset({Scope.READ}))})
    without_group = dataclasses.replace(RULES, groups={"staff": RULES.groups["staff"]})
    without_user = dataclasses.replace(RULES, users={})
    assert scopes(person, demoted) == {Scope.READ, Scope.LIST, Scope.DELETE}
    assert scopes(person, without_group) == {Scope.READ, Scope.WRITE, Scope.LIST}
    assert scopes(person, without_user) == {Scope.LIST, Scope.DELETE}
    assert person.principal(AccessRules.empty()) is None


def test_session_of_a_token_ends_with_the_token() -> None:
    token, _ = sessions()
    known = RULES.tokens["ci"]
    for changed in (
        {},
        {"other": dataclasses.replace(known, name="other")},
        {"ci": dataclasses.replace(known, digest=b"e" * 32)},  # a new secret of the same name
        {"ci": dataclasses.replace(known, expires=1.0)},
    ):
        assert token.principal(AccessRules(tokens=changed)) is None
    demoted = {"ci": dataclasses.replace(known, scopes=frozenset({Scope.LIST}))}
    assert scopes(token, AccessRules(tokens=demoted)) == {Scope.LIST}


def test_session_keeps_only_the_groups_that_the_rules_name() -> None:
    groups = ("staff", *(f"group-{number}" for number in range(1000)))
    session = Session.of_person("ada@example.org", groups, RULES, NOW)
    assert session.groups == ("staff",)
    assert len(seal(session, KEY)) < 400


def scopes(session: Session, rules: AccessRules) -> frozenset[Scope]:
    principal = session.principal(rules)
    assert principal
    return principal.scopes
