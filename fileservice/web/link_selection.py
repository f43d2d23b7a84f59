"""LinkSelection: which of the links that somebody may see a request asks for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from fileservice.access import Link
from fileservice.web.errors import BadQuery
from fileservice.web.list_query import parse_limit

_CURSOR = re.compile(r"([0-9]{1,15})/([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class LinkSelection:
    """Links in the order of their age, the newest first; the words are those of the list."""

    limit: int | None
    """How many; None for all."""
    after: tuple[int, str] | None
    """The position behind which they begin; None for the first ones."""

    @classmethod
    def parse(cls, arguments: MultiDict[str, str]) -> "LinkSelection":
        """Parse the arguments of the query string. Raises BadQuery."""
        limit = parse_limit(arguments["limit"]) if "limit" in arguments else None
        cursor = arguments.get("after", "")
        match = _CURSOR.fullmatch(cursor)
        if cursor and not match:
            raise BadQuery("after must be that of a link to the next page")
        return cls(limit, (-int(match[1]), match[2]) if match else None)

    def select(self, links: Iterable[Link]) -> tuple[list[Link], str | None]:
        """Return the links of the page, and the query string of the next one if there is one."""
        following = sorted(
            (link for link in links if self.after is None or _position(link) > self.after),
            key=_position,
        )
        if self.limit is None or len(following) <= self.limit:
            return following, None
        page = following[: self.limit]
        last = page[-1]
        return page, urlencode({"limit": self.limit, "after": f"{last.created}/{last.id}"})


def _position(link: Link) -> tuple[int, str]:
    return -link.created, link.id
