"""The decision, over every kind of principal, set of scopes and action."""

from itertools import chain, combinations

import pytest

from fileservice.access import (
    Action,
    Forbidden,
    Principal,
    PrincipalKind,
    Scope,
    Unauthenticated,
    anonymous,
    decide,
)
from fileservice.names import FileName
from tests.support.rows import every_row

SCOPE_SETS = [
    frozenset(scopes)
    for scopes in chain.from_iterable(combinations(Scope, count) for count in range(len(Scope) + 1))
]
TOKEN = Principal(PrincipalKind.TOKEN, "ci", frozenset(Scope), prefix="ci-")


@every_row("action", Action)
def test_an_action_needs_all_of_its_scopes(action: Action) -> None:
    for scopes in SCOPE_SETS:
        principal = Principal(PrincipalKind.TOKEN, "ci", scopes)
        if action.scopes <= scopes:
            decide(principal, action)
            continue
        if action is Action.MANAGE_LINKS and Scope.ADMIN in scopes:
            continue  # see below
        with pytest.raises(Forbidden):
            decide(principal, action)
        with pytest.raises(Unauthenticated):
            decide(anonymous(scopes), action)


def test_who_administers_may_manage_links_without_making_any() -> None:
    admin = Principal(PrincipalKind.TOKEN, "ci", frozenset({Scope.ADMIN}))
    decide(admin, Action.MANAGE_LINKS)
    with pytest.raises(Forbidden):
        decide(admin, Action.SHARE)


def test_link_to_a_file_is_for_that_name_only() -> None:
    name = FileName.parse("ci-a.txt")
    scopes = frozenset({Scope.READ})
    link = Principal(PrincipalKind.LINK, "0" * 32, scopes, prefix=name, only=name)
    decide(link, Action.READ, name)
    for other in ("ci-a.txt.txt", "ci-b.txt"):
        with pytest.raises(Forbidden):
            decide(link, Action.READ, FileName.parse(other))


def test_the_page_is_shown_to_everybody_but_a_stranger_without_any_rights() -> None:
    decide(anonymous({Scope.LIST}), Action.VIEW_PAGE)
    decide(Principal(PrincipalKind.PERSON, "ada@example.org", frozenset()), Action.VIEW_PAGE)
    with pytest.raises(Unauthenticated):
        decide(anonymous(()), Action.VIEW_PAGE)


@every_row(
    ("name", "allowed"),
    [
        ("ci-a.txt", True),
        ("ci-.txt", True),
        ("ci.txt", False),
        ("c.txt", False),
        ("CI-a.txt", False),
        ("aci-a.txt", False),
        ("ci\u2010a.txt", False),
    ],
)
def test_only_names_with_the_prefix_may_be_touched(name: str, allowed: bool) -> None:
    for action in (Action.READ, Action.WRITE, Action.DELETE):
        if allowed:
            decide(TOKEN, action, FileName.parse(name))
        else:
            with pytest.raises(Forbidden, match="begin with 'ci-'"):
                decide(TOKEN, action, FileName.parse(name))
