"""What a browser keeps for a link: who it is, that it knows the password, and what it has sent.

All of it is sent back to the paths of that link alone.
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Response
from itsdangerous import BadData

from fileservice.access import Link, SecretKey, is_proof, proof_of, serializer
from fileservice.addresses import client_key
from fileservice.names import FileName
from fileservice.web.cookies import Cookies
from fileservice.web.requests import client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PREFIX = "/s/"
"""The paths of links begin with this; the secret comes next."""
_VISITOR, _PROOF, _SENT = "fileservice-link", "fileservice-link-proof", "fileservice-link-sent"
_SENT_PURPOSE = "link sent 1"
_SECONDS = 86_400
"""For which a browser keeps these."""
_MAX_LENGTH = 3_000
"""Characters of one cookie; browsers keep up to 4,096 bytes with its name and attributes."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that a browser has sent by a link."""

    name: str
    size: int


class LinkCookies:
    """The cookies of the paths of one link."""

    def __init__(self, cookies: Cookies, secret_key: SecretKey) -> None:
        self._cookies = cookies
        self._secret_key = secret_key

    def client(self, environ: "WSGIEnvironment", secret: str) -> str:
        """Return what identifies a client among those of a link, as `Use.client` does.

        It is the address and, as many clients share one, what the client says of itself. Without
        the secret of the link nobody can find out whether it belongs to an address.
        """
        visitor = self._cookies.get(environ, _VISITOR, PREFIX + secret) or ""
        agent = environ.get("HTTP_USER_AGENT", "")
        text = "\n".join((secret, client_key(client_address(environ)), agent, visitor))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def keep_visitor(self, response: Response, environ: "WSGIEnvironment", secret: str) -> None:
        """Give the browser a number by which it differs from others at the same address."""
        if not self._cookies.get(environ, _VISITOR, PREFIX + secret):
            self._set(response, environ, secret, _VISITOR, secrets.token_urlsafe(16))

    def has_proof(self, environ: "WSGIEnvironment", secret: str, link: Link) -> bool:
        """Return whether the browser has said the password of the link. Raises StorageError."""
        text = self._cookies.get(environ, _PROOF, PREFIX + secret)
        secret_key = self._secret_key.find() if text else None
        return bool(text and secret_key) and is_proof(text or "", link, secret_key or b"")

    def keep_proof(
        self, response: Response, environ: "WSGIEnvironment", secret: str, link: Link
    ) -> None:
        """Note that the browser has said the password of the link. Raises StorageError. Blocks."""
        proof = proof_of(link, self._secret_key.make())
        self._set(response, environ, secret, _PROOF, proof)

    def bearer(self, secret: str, link: Link) -> str:
        """Return what scripts of the page send as Bearer. Raises StorageError.

        The browser must have said the password of the link if there is one.
        """
        secret_key = self._secret_key.find() if link.password else None
        return f"{secret}.{proof_of(link, secret_key)}" if secret_key else secret

    def sent(self, environ: "WSGIEnvironment", secret: str, link: Link) -> list[SentFile]:
        """Return what the browser has sent by the link, the last file first. Raises StorageError.

        Only the last ones are known.
        """
        text = self._cookies.get(environ, _SENT, PREFIX + secret)
        record = self._unsealed(text) if text else None
        if record is None or record[0] != link.id:
            return []
        return [SentFile(name, size) for name, size in record[1:]]

    def keep_sent(
        self,
        response: Response,
        environ: "WSGIEnvironment",
        secret: str,
        link: Link,
        name: FileName,
        size: int,
    ) -> None:
        """Note that the browser has sent a file by the link. Raises StorageError. Blocks."""
        sent = [SentFile(name, size), *self.sent(environ, secret, link)]
        signer = serializer(self._secret_key.make(), _SENT_PURPOSE)
        while sent:
            text = signer.dumps((link.id, *((file.name, file.size) for file in sent)))
            if len(text) <= _MAX_LENGTH:
                self._set(response, environ, secret, _SENT, text)
                return
            sent.pop()

    def _unsealed(self, text: str) -> list[Any] | None:
        """Return what was signed; None if the text was forged."""
        secret_key = self._secret_key.find() if len(text) <= _MAX_LENGTH else None
        if secret_key is None:
            return None
        try:
            fields: list[Any] = serializer(secret_key, _SENT_PURPOSE).loads(text)
        except BadData:
            return None
        return fields

    def _set(
        self, response: Response, environ: "WSGIEnvironment", secret: str, name: str, value: str
    ) -> None:
        self._cookies.set(response, environ, name, value, _SECONDS, PREFIX + secret)
