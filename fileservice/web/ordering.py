"""The orders in which files are listed, and the cursors that mark a place in each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from fileservice.storage import StoredFile
from fileservice.web.errors import BadQuery

_Key = tuple[int, str]
_VALUES: dict[str, Callable[[StoredFile], int]] = {
    "name": lambda _: 0,
    "size": lambda file: file.size,
    "modified": lambda file: file.modified_ns,
}


@dataclass(frozen=True, slots=True)
class Order:
    """By name, size or time of modification; files that are equal in that come by name."""

    by: str
    descending: bool = False

    def __str__(self) -> str:
        """As in the query string: `size`, or `-size` for the largest first."""
        return "-" * self.descending + self.by

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` gives. Raises BadQuery."""
        by = text.removeprefix("-")
        if by not in _VALUES:
            raise BadQuery("sort must be name, size or modified, with a - before it to reverse it")
        return cls(by, descending=text != by)

    def key(self, file: StoredFile) -> _Key:
        """What files are compared by."""
        return _VALUES[self.by](file), file.name

    def follows(self, file: StoredFile, place: _Key) -> bool:
        """Whether `file` comes after a place in this order."""
        key = self.key(file)
        return key < place if self.descending else key > place

    def cursor(self, file: StoredFile) -> str:
        """The place of `file` as text. Names have no slash, so one can part it from the value."""
        value, name = self.key(file)
        return name if self.by == "name" else f"{value}/{name}"

    def place(self, cursor: str) -> _Key:
        """Read what `cursor` gives. Raises BadQuery."""
        if self.by == "name":
            return 0, cursor
        value, _, name = cursor.partition("/")
        try:
            return int(value), name
        except ValueError:
            raise BadQuery("after must be the one of a link to the next page") from None


BY_NAME = Order("name")
