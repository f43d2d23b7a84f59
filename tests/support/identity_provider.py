"""A real OpenID provider (oidc-provider-mock), which signs in everybody who says who they are.

It ignores PKCE, unless it is started as the one of tests/support/strict_provider.py.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx

from tests.support.ports import free_port
from tests.support.servers import ROOT
from tests.support.wire import eventually

CLIENT = {"OIDC_CLIENT_ID": "files", "OIDC_CLIENT_SECRET": "a secret of the client"}


class IdentityProvider:
    """The provider in a process of its own; `issuer` is its URL."""

    def __init__(self, *, strict: bool = False) -> None:
        """With `strict`, it insists on PKCE."""
        self._strict = strict
        self.port = free_port()
        self.issuer = f"http://localhost:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, with a new signing key and without any person."""
        lax = ("oidc_provider_mock", "--host", "localhost", "--require-nonce", "true", "--port")
        module = ("tests.support.strict_provider",) if self._strict else lax
        self._process = subprocess.Popen(
            [sys.executable, "-m", *module, str(self.port)],
            cwd=ROOT,
            env=os.environ | {"AUTHLIB_INSECURE_TRANSPORT": "1", "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._answers)

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None
        with contextlib.suppress(OSError), socket.create_connection(("localhost", self.port)):
            return True
        return False

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def describe(self, subject: str, **claims: object) -> None:
        """Say what the provider knows about a person."""
        httpx.put(f"{self.issuer}/users/{subject}", json=claims).raise_for_status()

    def approve(self, url: str, subject: str) -> httpx.URL:
        """Sign in as a person at the URL to which a browser was sent; return where it leads."""
        answer = httpx.post(url, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        return httpx.URL(answer.headers["Location"])


@contextlib.contextmanager
def identity_provider(*, strict: bool = False) -> Iterator[IdentityProvider]:
    """Run a provider; with `strict`, one that insists on PKCE."""
    provider = IdentityProvider(strict=strict)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()
