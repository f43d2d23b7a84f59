"""Files that have expired and are still in the store."""

from collections.abc import Iterator
from typing import Protocol

from fileservice.names import FileName
from fileservice.storage.files import StoredFile


class ExpiredFiles(Protocol):
    """The files whose time is over.

    Every other part of the store treats them as if they did not exist, but they hold their names,
    their space and their share of a quota until they are removed. An index by time finds them, so
    the cost does not depend on how many files there are that have not expired.
    """

    def due(self) -> Iterator[StoredFile]:
        """Return the files that should be removed now, those that expired first being the first.

        A store in which removing a file breaks the downloads that are under way waits for them for
        some time. What is left in the index of files that are gone is removed meanwhile. If single
        files cannot be read, the error may come after all others were returned.
        """

    def find(self, name: FileName) -> StoredFile:
        """Describe the expired file that has this name. Raise NotFound if there is none."""

    def remove(self, file: StoredFile) -> StoredFile:
        """Remove this expired file durably, and describe it as it was.

        If any number of callers in any processes remove a file, one succeeds. The others raise
        NotFound, also if another file has the name.
        """
