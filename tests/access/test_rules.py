"""Who a secret, a session and a name in other systems stand for."""

from fileservice.access import AccessRules, PrincipalKind, Quota, Scope
from tests.access.rules import SECRET, hash_of, rules, token

PEOPLE = """
    [users."ada@example.org"]
    scopes = ["write"]
    quota = { bytes = "1GiB" }
    [groups.staff]
    scopes = ["list", "read"]
    [groups.interns]
    scopes = ["list"]
"""
PAST = "expires = 2020-01-01T00:00:00Z"
FUTURE = "expires = 2999-01-01T00:00:00+01:00"


def test_secret_of_a_token_authenticates_it_with_all_that_the_file_says() -> None:
    rest = 'prefix = "ci-"\nquota = { bytes = "10GiB", files = 1000 }\n' + FUTURE
    found = rules(token(scopes='["list", "write"]', rest=rest)).authenticate(SECRET)
    assert found
    assert found.id == "token:ci"
    assert found.kind is PrincipalKind.TOKEN
    assert found.scopes == {Scope.LIST, Scope.WRITE}
    assert found.prefix == "ci-"
    assert found.quota == Quota(bytes=10 << 30, files=1000)


def test_other_secrets_authenticate_nobody() -> None:
    found = rules(token() + token("other", secret="fs_other", rest=PAST))
    for secret in ("", SECRET[:-1], SECRET + "s", SECRET.upper(), hash_of(SECRET), "fs_other", "é"):
        assert found.authenticate(secret) is None
    assert AccessRules.empty().authenticate(SECRET) is None
    assert AccessRules.empty().authenticate("") is None


def test_session_of_a_token_lasts_until_its_secret_changes_or_it_is_gone_or_has_expired() -> None:
    before = rules(token())
    fingerprint = before.fingerprint("ci")
    assert fingerprint
    assert before.token("ci", fingerprint) == before.authenticate(SECRET)
    assert rules(token(scopes="[]")).token("ci", fingerprint) is not None
    assert rules(token(secret="fs_new")).token("ci", fingerprint) is None
    assert rules(token(rest=PAST)).token("ci", fingerprint) is None
    assert rules(token("other")).token("ci", fingerprint) is None
    assert before.token("ci", "") is None
    assert before.token("ci", "é") is None
    assert AccessRules.empty().fingerprint("ci") is None


def test_hash_cannot_be_used_where_the_fingerprint_can_be_seen() -> None:
    fingerprint = rules(token()).fingerprint("ci")
    assert fingerprint
    assert fingerprint not in hash_of(SECRET)


def test_person_has_the_scopes_of_the_user_and_of_all_its_groups() -> None:
    found = rules(PEOPLE).person("ada@example.org", ["staff", "unknown"])
    assert found
    assert found.id == "person:ada@example.org"
    assert found.kind is PrincipalKind.PERSON
    assert found.scopes == {Scope.LIST, Scope.READ, Scope.WRITE}
    assert found.quota == Quota(bytes=1 << 30)
    assert found.prefix == ""


def test_person_that_only_a_group_names_has_its_scopes_and_no_quota() -> None:
    found = rules(PEOPLE).person("bob@example.org", ["interns"])
    assert found
    assert found.scopes == {Scope.LIST}
    assert found.quota == Quota()


def test_person_that_nothing_names_is_nobody() -> None:
    for name, groups in [("bob@example.org", []), ("staff", ["Staff"]), ("ADA@example.org", [""])]:
        assert rules(PEOPLE).person(name, groups) is None
