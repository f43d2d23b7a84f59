"""What a browser keeps for a link: who it is, that it knows the password, and what it has sent.

All of it is sent back to the paths of that link alone.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Response
from itsdangerous import BadData

from fileservice.access import Link, SecretKey, serializer
from fileservice.addresses import client_key
from fileservice.names import FileName
from fileservice.web.cookies import Cookies
from fileservice.web.requests import client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PREFIX = "/s/"
"""The paths of links begin with this; the secret comes next."""
_VISITOR, _TICKET, _SENT = "fileservice-link", "fileservice-link-password", "fileservice-link-sent"
_TICKET_PURPOSE, _SENT_PURPOSE = "link password 1", "link sent 1"
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

    def has_ticket(self, environ: "WSGIEnvironment", secret: str, link: Link) -> bool:
        """Return whether the browser has said the password of the link. Raises StorageError."""
        text = self._cookies.get(environ, _TICKET, PREFIX + secret)
        ticket = self._unsealed(text, _TICKET_PURPOSE) if text else None
        return ticket is not None and ticket[0] == link.id and ticket[1] > time.time()

    def keep_ticket(
        self, response: Response, environ: "WSGIEnvironment", secret: str, link: Link
    ) -> None:
        """Note that the browser has said the password of the link. Raises StorageError. Blocks."""
        ticket = (link.id, int(time.time()) + _SECONDS)
        text = serializer(self._secret_key.make(), _TICKET_PURPOSE).dumps(ticket)
        self._set(response, environ, secret, _TICKET, text)

    def sent(self, environ: "WSGIEnvironment", secret: str, link: Link) -> list[SentFile]:
        """Return what the browser has sent by the link, the last file first. Raises StorageError.

        Only the last ones are known.
        """
        text = self._cookies.get(environ, _SENT, PREFIX + secret)
        record = self._unsealed(text, _SENT_PURPOSE) if text else None
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

    def _unsealed(self, text: str, purpose: str) -> list[Any] | None:
        """Return what was signed for this purpose; None if nothing was."""
        secret_key = self._secret_key.find() if len(text) <= _MAX_LENGTH else None
        if secret_key is None:
            return None
        try:
            fields: list[Any] = serializer(secret_key, purpose).loads(text)
        except BadData:
            return None
        return fields

    def _set(
        self, response: Response, environ: "WSGIEnvironment", secret: str, name: str, value: str
    ) -> None:
        self._cookies.set(response, environ, name, value, _SECONDS, PREFIX + secret)
