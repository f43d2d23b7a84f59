"""Links, made as the operator makes them: in the store of a server."""

import time
from dataclasses import dataclass

from fileservice.access import (
    DownloadGrant,
    Link,
    LinkStore,
    Maker,
    MakerKind,
    UploadGrant,
    hash_password,
)
from fileservice.names import FileName
from fileservice.storage import open_store
from tests.support.servers import LiveServer

OPERATOR = Maker(MakerKind.OPERATOR)


@dataclass(frozen=True)
class MadeLink:
    """A link, and what its receiver has."""

    id: str
    secret: str
    name: str = ""

    @property
    def path(self) -> str:
        """The path of its page."""
        return f"/s/{self.secret}"

    @property
    def file(self) -> str:
        """The path of its file."""
        return f"{self.path}/{self.name}"


class LinkMaker:
    """Makes links in a store, and looks at their records."""

    def __init__(self, store_url: str) -> None:
        self._store = open_store(store_url, fsync=False, verified=True)
        self._links = LinkStore(self._store.private_files)

    @classmethod
    def of(cls, server: LiveServer) -> "LinkMaker":
        """Return one for the store of a server."""
        return cls(server.store_url)

    def download(
        self,
        name: str,
        uses: int | None = None,
        *,
        password: str = "",
        seconds: float | None = None,
    ) -> MadeLink:
        """Make a link for a stored file; `seconds` is for how long it is valid."""
        grant = DownloadGrant.of(self._store.stat(FileName.parse(name)), uses)
        return self._make(grant, password, seconds, name)

    def upload(
        self,
        prefix: str = "from-",
        *,
        files: int | None = None,
        password: str = "",
        seconds: float | None = None,
    ) -> MadeLink:
        """Make a link for a guest."""
        return self._make(UploadGrant(prefix, files), password, seconds)

    def _make(
        self,
        grant: DownloadGrant | UploadGrant,
        password: str,
        seconds: float | None,
        name: str = "",
    ) -> MadeLink:
        link, secret = self._links.create(
            OPERATOR,
            grant,
            password=hash_password(password) if password else "",
            expires=None if seconds is None else int(time.time() + seconds),
        )
        return MadeLink(link.id, secret, name)

    def get(self, made: MadeLink) -> Link:
        """The record of a link."""
        return self._links.get(made.id)

    def uses(self, made: MadeLink) -> int:
        """How many uses of a link are taken."""
        return len(self.get(made).uses)

    def revoke(self, made: MadeLink) -> None:
        self._links.revoke(made.id)
