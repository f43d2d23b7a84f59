"""The orders in which files can be listed, and the cursors that mark a position in each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from fileservice.storage import StoredFile
from fileservice.web.errors import BadQuery

Key = tuple[int, str]
"""What files are compared by: the value that they are sorted by, then the name."""

_VALUES: dict[str, Callable[[StoredFile], int]] = {
    "name": lambda _: 0,
    "size": lambda file: file.size,
    "modified": lambda file: file.modified_ns,
}


@dataclass(frozen=True, slots=True)
class SortOrder:
    """Sort by name, size or time of modification, and by name where those are equal."""

    by: str
    descending: bool = False

    def __str__(self) -> str:
        """Return the value of `sort` in a query string: `size`, or `-size` for largest first."""
        return "-" * self.descending + self.by

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the value of `sort` in a query string. Raises BadQuery."""
        by = text.removeprefix("-")
        if by not in _VALUES:
            raise BadQuery("sort must be name, size or modified, with a - before it to reverse it")
        return cls(by, descending=text != by)

    def key(self, file: StoredFile) -> Key:
        return _VALUES[self.by](file), file.name

    def is_after(self, file: StoredFile, position: Key) -> bool:
        """Return whether `file` follows a position in this order."""
        key = self.key(file)
        return key < position if self.descending else key > position

    def is_before(self, file: StoredFile, position: Key) -> bool:
        """Return whether `file` precedes a position in this order."""
        key = self.key(file)
        return key > position if self.descending else key < position

    def cursor(self, file: StoredFile) -> str:
        """Return the position of `file` as text. Names have no slash, so a slash separates them."""
        value, name = self.key(file)
        return name if self.by == "name" else f"{value}/{name}"

    def parse_cursor(self, cursor: str) -> Key:
        """Return the position that `cursor` stands for. Raises BadQuery."""
        if self.by == "name":
            return 0, cursor
        value, _, name = cursor.partition("/")
        try:
            return int(value), name
        except ValueError:
            raise BadQuery("after must be that of a link to the next page") from None


BY_NAME = SortOrder("name")
