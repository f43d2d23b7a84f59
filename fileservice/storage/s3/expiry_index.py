"""ExpiryIndex: which files expire when, so that nothing has to look at all objects.

Two empty objects stand for each file that expires. The key of one begins with the time, so that a
listing finds the files that have expired, and the key of the other with the name, so that a list of
files can say when they expire. A name is written in hexadecimal digits, which have the order of the
bytes and may all stand in a key.

Both are written before the file becomes visible. What they say may be out of date, since the file
may have been removed or never have been published. What counts is the metadata of the file itself.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from fileservice.names import BadName, FileName
from fileservice.storage.errors import NameTaken, NotFound, StorageError, VersionChanged
from fileservice.storage.files import StoredFile
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.layout import EXPIRING, EXPIRY
from fileservice.storage.s3.listing import ListedObject, list_pages
from fileservice.storage.s3.metadata import ID
from fileservice.storage.s3.objects import ObjectHead

_BY_TIME = re.compile(r"(?P<time>[0-9]{12})-(?P<id>[0-9a-f]{32})-(?P<name>(?:[0-9a-f]{2})+)")
_BY_NAME = re.compile(r"(?P<name>(?:[0-9a-f]{2})+)-(?P<time>[0-9]{12})-(?P<id>[0-9a-f]{32})")


class Entry(NamedTuple):
    """When a file expires (seconds since the Unix epoch), its name, and the id of its upload."""

    expires: int
    name: FileName
    file_id: str

    @property
    def key_by_time(self) -> str:
        """The key of the object that is found by the time."""
        return f"{EXPIRY}{self.expires:012d}-{self.file_id}-{self.name.encode().hex()}"

    @property
    def key_by_name(self) -> str:
        """The key of the object that is found by the name."""
        return f"{EXPIRING}{self.name.encode().hex()}-{self.expires:012d}-{self.file_id}"


class ExpiryIndex:
    """The index of one store."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    @contextmanager
    def entry(self, name: FileName, expires: int | None, file_id: str) -> Iterator[None]:
        """Add a file, if it expires, that is published in the context under this name.

        If the context raises NameTaken, NotFound or VersionChanged, remove it again.
        """
        if expires is None:
            yield
            return
        entry = Entry(expires, name, file_id)
        # In this order: what is left of an entry is found by its time.
        self._client.put_object(entry.key_by_time, b"")
        self._client.put_object(entry.key_by_name, b"")
        try:
            yield
        except (NameTaken, NotFound, VersionChanged):
            with suppress(StorageError):  # otherwise it is removed at its time
                self.discard(entry)
            raise

    def discard(self, entry: Entry) -> None:
        """Remove an entry."""
        for key in (entry.key_by_name, entry.key_by_time):
            with suppress(ObjectMissing):
                self._client.delete_object(key)

    def discard_of(self, file: StoredFile, head: ObjectHead) -> None:
        """Remove the entry, if there is one, of a file that was deleted or replaced."""
        if file.expires is not None:
            with suppress(StorageError):  # otherwise it is removed at its time
                self.discard(Entry(file.expires, file.name, head.metadata.get(ID, "")))

    def expired(self, before: float) -> Iterator[Entry]:
        """Return the files that have expired until `before` (Unix time), the earliest first."""
        for entry in self._entries(EXPIRY, EXPIRY, _BY_TIME):
            if entry.expires > before:
                return
            yield entry

    def between(self, first: str, last: str) -> Iterator[Entry]:
        """Return the entries of the files from one name to another, both included, by name."""
        after = EXPIRING + first.encode().hex()  # all keys of this name follow it
        for entry in self._entries(EXPIRING, after, _BY_NAME):
            if entry.name > last:
                return
            yield entry

    def _entries(self, folder: str, after: str, form: re.Pattern[str]) -> Iterator[Entry]:
        for page in list_pages(self._client, folder, after):
            for listed in page:
                assert isinstance(listed, ListedObject)  # since it was listed without folders
                match = form.fullmatch(listed.key.removeprefix(folder))
                if not match:
                    continue
                try:
                    name = FileName.parse_bytes(bytes.fromhex(match["name"]))
                except BadName:
                    continue
                yield Entry(int(match["time"]), name, match["id"])
