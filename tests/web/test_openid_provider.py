"""A provider that lies, stalls or sends too much: nobody is signed in by it, and nothing hangs."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from fileservice.access import Authorization
from fileservice.web import openid_provider
from fileservice.web.errors import ProviderUnavailable, SignInFailed
from fileservice.web.openid_provider import OpenIDProvider
from tests.support.rows import every_row

CLIENT = "files"
BEGUN = Authorization("state", "nonce-of-this-browser", "verifier" * 8, "http://files/callback")


@cache
def key(name: str, key_id: str = "one") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": key_id})


def signed(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, key("provider"))


class Hostile:
    """A provider whose answers a test changes; `requests` has the path and body of each request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.keys = [key("provider")]
        self.metadata: dict[str, object] = {}
        self.claims: dict[str, object] = {}
        self.userinfo: dict[str, object] = {"sub": "1f3a"}
        self.sign: Callable[[dict[str, Any]], str] = signed
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                """In silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        path = handler.path.partition("?")[0]
        self.requests.append((path, handler.rfile.read(length).decode()))
        status, fields, body = self.answers.get(path) or (200, {}, self.body(path))
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | fields).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def body(self, path: str) -> bytes:
        now = int(time.time())
        documents: dict[str, Callable[[], object]] = {
            "/.well-known/openid-configuration": lambda: {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **self.metadata,
            },
            "/jwks": lambda: {"keys": [key.as_dict(private=False) for key in self.keys]},
            "/token": lambda: {
                "access_token": "access",
                "token_type": "Bearer",
                "id_token": self.sign(
                    {
                        "iss": self.issuer,
                        "aud": CLIENT,
                        "sub": "1f3a",
                        "iat": now,
                        "exp": now + 60,
                        "nonce": BEGUN.nonce,
                        **self.claims,
                    }
                ),
            },
            "/userinfo": lambda: self.userinfo,
        }
        return json.dumps(documents[path]()).encode()

    def provider(self) -> OpenIDProvider:
        return OpenIDProvider(self.issuer, CLIENT, "the client's secret", "groups")


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    # Its threads may be slow on a busy machine, and that is no failure of the provider.
    for limit in ("_WAIT_SECONDS", "_ANSWER_SECONDS", "_RETRY_SECONDS"):
        monkeypatch.setattr(openid_provider, limit, 60.0)
    hostile = Hostile()
    thread = threading.Thread(target=hostile.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield hostile
    hostile.server.shutdown()
    thread.join()
    hostile.server.server_close()


def unsigned(claims: dict[str, Any]) -> str:
    header = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    return f"{header}.{signed(claims).split('.')[1]}."


def signed_by_the_client_secret(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("the client's secret"))


def signed_by_the_public_key(claims: dict[str, Any]) -> str:
    return jwt.encode(
        {"alg": "HS256", "kid": "one"}, claims, OctKey.import_key(key("provider").as_pem(False))
    )


def test_what_an_honest_provider_says_is_believed(hostile: Hostile) -> None:
    hostile.claims = {"email": "ada@example.org", "email_verified": True, "groups": ["staff"]}
    claims = hostile.provider().claims("code", BEGUN)
    assert claims["email"] == "ada@example.org"
    assert claims["groups"] == ["staff"]
    token_request = dict(hostile.requests)["/token"]
    assert "code_verifier=verifier" in token_request
    assert "the+client" not in token_request  # the secret is sent by Basic
    assert "/userinfo" not in dict(hostile.requests)


@every_row(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"aud": ["another-client"], "azp": CLIENT},
        {"aud": [CLIENT, "another-client"], "azp": "another-client"},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"nonce": "nonce-of-another-browser"},
        {"nonce": None},
        {"nonce": ""},
        {"nbf": 9_000_000_000},
    ],
)
def test_id_token_that_is_not_for_this_sign_in_is_refused(
    hostile: Hostile, claims: dict[str, object]
) -> None:
    kept = {name: value for name, value in claims.items() if value is not None}
    removed = claims.keys() - kept.keys()
    hostile.claims = kept
    hostile.sign = lambda all_claims: signed(
        {name: value for name, value in all_claims.items() if name not in removed}
    )
    with pytest.raises(SignInFailed):
        hostile.provider().claims("code", BEGUN)


@pytest.mark.parametrize(
    "sign",
    [
        unsigned,
        signed_by_the_client_secret,
        signed_by_the_public_key,
        lambda claims: jwt.encode({"alg": "RS256", "kid": "one"}, claims, key("other")),
        lambda claims: jwt.encode({"alg": "RS256", "kid": "unknown"}, claims, key("other")),
        lambda claims: jwt.encode({"alg": "RS384", "kid": "one"}, claims, key("provider")),
        lambda _: "no.token.at all",
        lambda _: "",
    ],
)
def test_id_token_without_the_signature_of_the_provider_is_refused(
    hostile: Hostile, sign: Callable[[dict[str, Any]], str]
) -> None:
    hostile.sign = sign
    with pytest.raises((SignInFailed, ProviderUnavailable)):
        hostile.provider().claims("code", BEGUN)


@pytest.mark.parametrize("key_id", ["two", "one"], ids=["new id", "same id"])
def test_key_that_the_provider_has_replaced_is_fetched_again(hostile: Hostile, key_id: str) -> None:
    new = key("new", key_id)
    provider = hostile.provider()
    provider.claims("code", BEGUN)
    hostile.keys = [new]
    hostile.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": key_id}, claims, new)
    assert provider.claims("code", BEGUN)["sub"] == "1f3a"
    assert [path for path, _ in hostile.requests].count("/jwks") == 2


def test_claims_that_are_not_in_the_id_token_are_asked_for(hostile: Hostile) -> None:
    hostile.userinfo = {"sub": "1f3a", "email": "ada@example.org", "groups": ["staff"]}
    claims = hostile.provider().claims("code", BEGUN)
    assert (claims["email"], claims["groups"]) == ("ada@example.org", ["staff"])


def test_claims_of_somebody_else_are_refused(hostile: Hostile) -> None:
    hostile.userinfo = {"sub": "other", "email": "eve@example.org", "email_verified": True}
    with pytest.raises(SignInFailed):
        hostile.provider().claims("code", BEGUN)


@every_row(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "ftp://evil.example"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": ""},
        {"userinfo_endpoint": "//evil.example"},
        {"id_token_signing_alg_values_supported": ["none", "HS256"]},
    ],
)
def test_metadata_that_would_weaken_signing_in_is_refused(
    hostile: Hostile, metadata: dict[str, object]
) -> None:
    hostile.metadata = metadata
    with pytest.raises(ProviderUnavailable):
        hostile.provider().authorize("http://files/callback")


def test_endpoint_without_tls_is_refused_if_the_provider_has_it(hostile: Hostile) -> None:
    metadata: dict[str, Any] = json.loads(hostile.body("/.well-known/openid-configuration"))
    metadata["issuer"] = "https://login.example.org"
    with pytest.raises(ValueError, match="authorization_endpoint"):
        openid_provider.check_metadata(metadata, "https://login.example.org")


METADATA = "/.well-known/openid-configuration"


@every_row(
    "answer",
    [
        (200, {}, b"<html>"),
        (200, {}, b"[]"),
        (200, {}, b"\xff"),
        (404, {}, b"{}"),
        (500, {}, b"{}"),
        (302, {"Location": "https://evil.example"}, b""),
        (200, {"Content-Length": "1000"}, b"{}"),
        (200, {}, b" " * (2 << 20)),
        (200, {"Content-Encoding": "gzip"}, b"{}"),
    ],
)
@every_row("path", [METADATA, "/jwks", "/token", "/userinfo"])
def test_answer_that_is_not_what_it_must_be_is_an_error_of_the_provider(
    hostile: Hostile, path: str, answer: tuple[int, dict[str, str], bytes]
) -> None:
    hostile.answers = {path: answer}
    with pytest.raises((ProviderUnavailable, SignInFailed)):
        hostile.provider().claims("code", BEGUN)


@pytest.mark.parametrize("path", [METADATA, "/jwks", "/token", "/userinfo"])
def test_redirect_is_not_followed(hostile: Hostile, path: str) -> None:
    hostile.answers[path] = (307, {"Location": f"{hostile.issuer}/moved"}, b"")
    hostile.answers["/moved"] = (200, {}, b"{}")
    with pytest.raises((ProviderUnavailable, SignInFailed)):
        hostile.provider().claims("code", BEGUN)
    assert "/moved" not in dict(hostile.requests)


def test_answer_that_never_ends_is_not_waited_for(
    hostile: Hostile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openid_provider, "_ANSWER_SECONDS", 0.3)
    stopped = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stopped.wait(0.01):
            handler.wfile.write(b" ")

    monkeypatch.setattr(hostile, "answer", drip)
    with pytest.raises(ProviderUnavailable):
        hostile.provider().authorize("http://files/callback")
    stopped.set()


def test_provider_that_fails_is_not_asked_again_at_once(hostile: Hostile) -> None:
    hostile.answers[METADATA] = (500, {}, b"")
    provider = hostile.provider()
    for _ in range(5):
        with pytest.raises(ProviderUnavailable):
            provider.authorize("http://files/callback")
    assert len(hostile.requests) == 1


def test_secrets_are_not_logged(hostile: Hostile, caplog: pytest.LogCaptureFixture) -> None:
    hostile.answers["/token"] = (
        400,
        {},
        b'{"error": "invalid_grant", "error_description": "bad code secret-code"}',
    )
    with pytest.raises(SignInFailed) as raised:
        hostile.provider().claims("secret-code", BEGUN)
    hostile.answers["/token"] = (500, {}, b"secret-code")
    with pytest.raises(ProviderUnavailable) as unavailable:
        hostile.provider().claims("secret-code", BEGUN)
    for text in (caplog.text, str(raised.value), str(unavailable.value)):
        assert "secret-code" not in text
        assert "client's secret" not in text
        assert BEGUN.code_verifier not in text
