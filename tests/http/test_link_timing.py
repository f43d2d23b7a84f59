"""The time of an answer does not say whether there ever was a link."""

import secrets

import pytest

from tests.http.test_access_timing import assert_indistinguishable, measured
from tests.support.links import LinkMaker
from tests.support.servers import LiveServer
from tests.support.wire import request

pytestmark = pytest.mark.usefixtures("over_a_directory")  # a bucket takes what time it takes


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", ["", "/a.txt"])
def test_unknown_links_take_the_time_of_those_that_are_over(server: LiveServer, file: str) -> None:
    (server.store / "a.txt").write_bytes(b"some text\n")
    links = LinkMaker.of(server)
    revoked, expired = links.download("a.txt", 3), links.download("a.txt", 3, seconds=-5)
    links.revoke(revoked)
    kinds = {
        "revoked": request(f"GET {revoked.path}{file}"),
        "expired": request(f"GET {expired.path}{file}"),
    }
    for number in (1, 2):
        kinds[f"unknown {number}"] = request(f"GET /s/{secrets.token_urlsafe(32)}{file}")
    measure = measured(server, kinds, rounds=4000)
    assert_indistinguishable(measure)
