"""Who makes a request, and that neither the time nor the cost says more."""

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fileservice.access import AccessFile, Scope, Unauthenticated, anonymous
from fileservice.web.authentication import Authenticator
from tests.access.rules import SECRET, token
from tests.support.rows import every_row

COUNT = 500
"""Tokens of each kind."""
EXPIRED = "expires = 2020-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def authenticator(tmp_path_factory: pytest.TempPathFactory) -> Authenticator:
    path = tmp_path_factory.mktemp("access") / "access.toml"
    valid = (token(f"v{number}", secret("valid", number)) for number in range(COUNT))
    expired = (token(f"e{n}", secret("expired", n), rest=EXPIRED) for n in range(COUNT))
    path.write_text(token() + "".join([*valid, *expired]))
    return Authenticator(anonymous({Scope.LIST}), AccessFile(path))


def secret(kind: str, number: int) -> str:
    return f"fs_{kind:_>20}{number:023}"


def bearer(text: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {text}"}


def is_refused(authenticator: Authenticator, environ: dict[str, str]) -> bool:
    try:
        authenticator.identify(environ)
    except Unauthenticated:
        return True
    return False


def test_secret_makes_the_principal_and_nothing_makes_an_anonymous_one(
    authenticator: Authenticator,
) -> None:
    assert authenticator.identify(bearer(SECRET)).id == "token:ci"
    assert authenticator.identify({}).id == "anonymous"


@every_row("value", ["", " ", "Bearer", "Bearer wrong", "Basic Og==", "Negotiate x"])
def test_wrong_or_empty_credentials_are_never_anonymous(
    authenticator: Authenticator, value: str
) -> None:
    assert is_refused(authenticator, {"HTTP_AUTHORIZATION": value})
    assert is_refused(Authenticator(anonymous(Scope)), {"HTTP_AUTHORIZATION": value})


@pytest.mark.thorough
def test_unknown_expired_and_almost_right_secrets_take_the_same_time(
    authenticator: Authenticator,
) -> None:
    makers: dict[str, Callable[[int], str]] = {
        "unknown": lambda number: secret("unknown", number),
        "expired": lambda number: secret("expired", number),
        # As many different ones as of the other kinds: what was looked up a moment ago is kept.
        "almost right": lambda number: secret("valid", number) + "x",
    }
    environs = {
        kind: [bearer(make(number)) for number in range(COUNT)] for kind, make in makers.items()
    }
    seconds: dict[str, list[int]] = {kind: [] for kind in environs}
    for number in range(10_000):
        for kind in random.sample(list(environs), len(environs)):
            begun = time.perf_counter_ns()
            refused = is_refused(authenticator, environs[kind][number % COUNT])
            seconds[kind].append(time.perf_counter_ns() - begun)
            assert refused
    medians = [statistics.median(values) for values in seconds.values()]
    assert max(medians) < 1.5 * min(medians)


@pytest.mark.thorough
def test_cost_does_not_grow_with_the_number_of_tokens(
    authenticator: Authenticator, tmp_path: Path
) -> None:
    (tmp_path / "access.toml").write_text(token())
    alone = Authenticator(anonymous(()), AccessFile(tmp_path / "access.toml"))

    def cost(of: Authenticator) -> float:
        begun = time.perf_counter()
        for _ in range(200):
            of.identify(environ)
        return time.perf_counter() - begun

    environ = bearer(SECRET)
    costs = [(cost(authenticator), cost(alone)) for _ in range(50)]
    assert min(many for many, _ in costs) < 2 * min(one for _, one in costs)
