"""ReusedPage: a page of Chromium that tests use one after the other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.browser.watched import Watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_DEFAULTS: dict[str, Any] = {
    "color_scheme": "light",
    "extra_http_headers": {},
    "permissions": [],
    "reduced_motion": "no-preference",
    "viewport": {"width": 1280, "height": 720},
}
"""The options of a context that can be changed later."""


class ReusedPage:
    """A page in a context of its own, in which each test finds nothing of the one before.

    To make a context and a page costs more than most of what a test does with them.
    """

    def __init__(self, browser: "Browser") -> None:
        self._context = browser.new_context(locale="en-GB")
        self._context.set_default_timeout(60_000)
        self._page = self._context.new_page()
        self._session = self._context.new_cdp_session(self._page)
        self._options: dict[str, Any] = {}
        self._watched: Watched | None = None
        self._is_new = True

    def is_free_for(self, options: Mapping[str, Any]) -> bool:
        """Whether no test uses the page, and it can have these options of a context."""
        return self._watched is None and options.keys() <= _DEFAULTS.keys()

    def open(self, base: str, options: Mapping[str, Any]) -> Watched:
        """Watch the page with these options, until it is released."""
        wanted = _DEFAULTS | dict(options)
        if wanted != self._options:
            self._page.emulate_media(
                color_scheme=wanted["color_scheme"], reduced_motion=wanted["reduced_motion"]
            )
            self._page.set_viewport_size(wanted["viewport"])
            self._page.set_extra_http_headers(wanted["extra_http_headers"])
            self._context.clear_permissions()
            self._context.grant_permissions(wanted["permissions"])
            self._options = wanted
        self._watched = Watched(self._page, base, is_new=self._is_new)
        self._is_new = False
        return self._watched

    def release(self) -> None:
        """Remove what the test has left: other tabs, cookies, and what the page stores.

        Only pages of guests store something for a session; they are opened in other contexts.
        """
        if self._watched is None:
            return
        for page in self._context.pages:
            if page != self._page:
                page.close()
        self._watched.release()
        self._context.clear_cookies()
        self._session.send(
            "Storage.clearDataForOrigin", {"origin": self._watched.base, "storageTypes": "all"}
        )
        self._watched = None

    def close(self) -> None:
        """Close its context."""
        self._context.close()
