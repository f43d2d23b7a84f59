"""Query: which of the stored files a request asks for, in which order."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from fileservice.storage import Store, StoredFile
from fileservice.web.errors import BadQuery
from fileservice.web.sort_order import BY_NAME, SortOrder

MAX_PAGE_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class Query:
    """Which files a request asks for; the section "Listing" of docs/http.md has the meaning."""

    limit: int | None
    after: str
    before: str
    prefix: str
    q: str
    order: SortOrder
    within: str
    """The prefix of all names that the reader may see."""

    @classmethod
    def parse(cls, arguments: MultiDict[str, str], within: str) -> "Query":
        """Parse the arguments of the query string. Raises BadQuery."""
        if arguments.get("after") and arguments.get("before"):
            raise BadQuery("send after or before, and not both")
        return cls(
            limit=parse_limit(arguments["limit"]) if "limit" in arguments else None,
            order=SortOrder.parse(arguments.get("sort", "name")),
            within=within,
            **{
                name: unicodedata.normalize("NFC", arguments.get(name, ""))
                for name in ("after", "before", "prefix", "q")
            },
        )

    def matching(
        self, store: Store, *, expected: int | None = None, brief: bool = False
    ) -> Iterator[StoredFile]:
        """Return the files that are asked for and visible, by name; see `Store.list`.

        The store reads no names but those with both prefixes, so neither the result nor its cost
        depends on files that the reader may not see.
        """
        shorter, longer = sorted((self.prefix, self.within), key=len)
        if not longer.startswith(shorter):
            return iter(())
        return store.list(
            # A cursor of another order than by name has no meaning to the store.
            after=self.after if self.order == BY_NAME else "",
            prefix=longer,
            contains=self.q,
            expected=expected,
            brief=brief,
        )

    @property
    def is_search(self) -> bool:
        """Whether the store must read files that are not in the response."""
        return bool(self.q or self.before) or self.order != BY_NAME

    def next_page(self, last: StoredFile) -> str:
        """Return the query string for the files that follow `last`."""
        return self._encode(self.order, after=self.order.cursor(last))

    def previous_page(self, first: StoredFile) -> str:
        """Return the query string for the files that precede `first`."""
        return self._encode(self.order, before=self.order.cursor(first))

    def first_page(self, order: SortOrder) -> str:
        """Return the query string for the first page of the same files in another order."""
        return self._encode(order)

    def _encode(self, order: SortOrder, *, after: str = "", before: str = "") -> str:
        fields = {
            "limit": self.limit,
            "prefix": self.prefix,
            "q": self.q,
            "sort": str(order) if order != BY_NAME else "",
            "after": after,
            "before": before,
        }
        return urlencode({name: value for name, value in fields.items() if value})


def parse_limit(text: str) -> int:
    """Parse the size of a page. Raises BadQuery."""
    if text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= MAX_PAGE_SIZE:
        return int(text)
    raise BadQuery(f"limit must be a whole number from 1 to {MAX_PAGE_SIZE}")
