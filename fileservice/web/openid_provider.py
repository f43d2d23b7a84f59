"""The OpenID provider with which people sign in (OpenID Connect Core 1.0, section 3.1).

Authlib makes and validates what is sent. This module bounds what the provider can do to this
service, in time and size, and says who has signed in. Its requests are made in the greenlet of the
request that needs them: other requests go on while it waits, which would not be so in a thread of
the executor for disks, since the sockets belong to the event loop.
"""

import io
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OAuthError, OpenIDMixin
from authlib.integrations.requests_client import OAuth2Session
from joserfc.errors import BadSignatureError, JoseError
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from fileservice.access import Authorization
from fileservice.web.errors import ProviderUnavailable, SignInFailed

_log = logging.getLogger(__name__)
_WAIT_SECONDS = 5.0
"""For a connection, and then for each part of an answer."""
_ANSWER_SECONDS = 10.0
_MAX_ANSWER = 1 << 20
_METADATA_SECONDS = 3600.0
_RETRY_SECONDS = 2.0
"""For how long nobody is asked again after the metadata could not be loaded."""
_CLOCK_DIFFERENCE = 60
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
               "Ed25519", "EdDSA")  # fmt: skip
"""Signatures by a private key; with others, who knows our secret or nothing could sign."""


_ERRORS = (
    requests.RequestException,
    *(ValueError, KeyError, TypeError, AttributeError, RuntimeError),
)
"""What requests raises, and what Authlib raises for an answer that is not what it must be."""


class OpenIDProvider:
    """One provider. It is asked for its metadata when somebody signs in, not at the start."""

    def __init__(
        self, issuer: str, client_id: str, client_secret: str | None, groups_claim: str
    ) -> None:
        self.label = urlsplit(issuer).netloc
        """What people know the provider by."""
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self.groups_claim = groups_claim
        """The claim that names the groups of a person."""
        self._wanted = {"email", groups_claim}
        self._loading = threading.Lock()
        self._client: _Client | None = None
        self._expires = 0.0
        self._next_try = 0.0

    def authorize(self, redirect_uri: str) -> tuple[str, Authorization]:
        """Return the URL to which a browser is sent, and what belongs to it.

        Raises ProviderUnavailable.
        """
        client = self._loaded_client()
        supported = client.server_metadata.get("scopes_supported") or ()
        scope = "openid email profile" + (" groups" if "groups" in supported else "")
        made = client.create_authorization_url(redirect_uri, scope=scope)
        return made["url"], Authorization(
            made["state"], made["nonce"], made["code_verifier"], redirect_uri
        )

    def claims(self, code: str, authorization: Authorization) -> Mapping[str, Any]:
        """Return what the provider says about the person to whom it has given this code.

        Raises SignInFailed, ProviderUnavailable.
        """
        client = self._loaded_client()
        try:
            token = client.fetch_access_token(
                authorization.redirect_uri, code=code, code_verifier=authorization.code_verifier
            )
            return self._claims(client, token, authorization.nonce)
        except OAuthError as error:
            # Its description may contain what the provider was sent.
            _log.warning("the OpenID provider refused a code: %s", error.error)
            raise SignInFailed("the OpenID provider does not accept the code any more") from None
        except JoseError as error:
            _log.warning("an ID token of the OpenID provider is not valid: %s", error.error)
            raise SignInFailed("what the OpenID provider says about you is not valid") from None
        except _ERRORS as error:
            raise self._unavailable(error) from None

    def _claims(self, client: "_Client", token: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """Return the claims of the ID token, and those that only the UserInfo endpoint gives."""
        options = {
            "iss": {"essential": True, "value": self._issuer},
            "aud": {"essential": True, "value": self._client_id},
        }
        arguments = {"nonce": nonce, "claims_options": options, "leeway": _CLOCK_DIFFERENCE}
        try:
            claims = client.parse_id_token(token, **arguments)
        except BadSignatureError:  # the provider may have replaced a key that has no id
            client.fetch_jwk_set(force=True)
            claims = client.parse_id_token(token, **arguments)
        if claims is None:
            raise SignInFailed("the OpenID provider has sent no ID token")
        if not self._wanted <= claims.keys() and client.server_metadata.get("userinfo_endpoint"):
            more = client.userinfo(token=token)
            if more.get("sub") != claims["sub"]:  # Core section 5.3.2
                raise SignInFailed("the OpenID provider says different things about you")
            return {**more, **claims}
        return dict(claims)

    def _loaded_client(self) -> "_Client":
        """Return a client that has the metadata of the provider. Raises ProviderUnavailable.

        One request loads it, and those that come meanwhile wait for the result. After a failure
        nobody is asked for a moment, so that a provider that hangs does not hold many requests.
        """
        with self._loading:
            now = time.monotonic()
            if self._client and now < self._expires:
                return self._client
            if now < self._next_try:
                raise ProviderUnavailable("it does not answer as it should")
            client = _Client(self._issuer, self._client_id, self._client_secret)
            try:
                client.load_server_metadata()
                check_metadata(client.server_metadata, self._issuer)
            except _ERRORS as error:
                self._next_try = time.monotonic() + _RETRY_SECONDS
                raise self._unavailable(error) from None
            self._client, self._expires = client, now + _METADATA_SECONDS
            return client

    def _unavailable(self, error: Exception) -> ProviderUnavailable:
        """Log why the provider cannot be used; return what its user is told."""
        _log.error("the OpenID provider %s cannot be used: %s", self._issuer, error)
        is_late = isinstance(error, (requests.ConnectionError, requests.Timeout))
        return ProviderUnavailable(
            "it does not answer" if is_late else "it does not answer as it should"
        )


def check_metadata(metadata: dict[str, Any], issuer: str) -> None:
    """Raise ValueError if the metadata is not that of the issuer, or would weaken what follows."""
    if metadata.get("issuer") != issuer:  # Discovery section 4.3
        raise ValueError(f"its metadata is that of the issuer {metadata.get('issuer')!r}")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
        url = metadata.get(name)
        if url is None and name == "userinfo_endpoint":
            continue
        scheme = urlsplit(url).scheme if isinstance(url, str) else ""
        if scheme != "https" and scheme != urlsplit(issuer).scheme:
            raise ValueError(f"{name} in its metadata is {url!r}")
    offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    algorithms = [name for name in offered if name in _ALGORITHMS]
    if not algorithms:
        raise ValueError(f"it signs with {offered!r} only")
    metadata["id_token_signing_alg_values_supported"] = algorithms


class _BoundedAdapter(HTTPAdapter):
    """Reads an answer as a whole, within bounds of time and size."""

    def send(self, request: Any, *_: Any, **options: Any) -> requests.Response:
        options |= {"stream": True, "timeout": _WAIT_SECONDS}
        deadline = time.monotonic() + _ANSWER_SECONDS
        response = super().send(request, **options)
        data = b""
        try:
            with response.raw as raw:
                while block := raw.read1(1 << 16):
                    data += block
                    if len(data) > _MAX_ANSWER or time.monotonic() > deadline:
                        raise requests.Timeout(f"the answer of {request.url} has no end")
        except HTTPError as error:
            raise requests.ConnectionError(error) from error
        response.raw = io.BytesIO(data)
        return response


class _Session(OAuth2Session):  # type: ignore[misc]  # it has no types
    """A session for requests to the provider, of which each is bounded and none is redirected."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.mount("https://", _BoundedAdapter())
        self.mount("http://", _BoundedAdapter())
        self.headers["Accept-Encoding"] = "identity"

    def request(self, method: str, url: str, **options: Any) -> requests.Response:
        answer: requests.Response = super().request(
            method, url, **{**options, "allow_redirects": False}
        )
        return answer


class _Client(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc]
    """The part of Authlib that its integrations for web frameworks share."""

    client_cls = _Session

    def __init__(self, issuer: str, client_id: str, client_secret: str | None) -> None:
        super().__init__(
            None,
            client_id=client_id,
            client_secret=client_secret,
            client_kwargs={"code_challenge_method": "S256"},
            server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        )
