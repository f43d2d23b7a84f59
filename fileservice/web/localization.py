"""Localization: what pages say, and how they write numbers and times, in their reader's language.

Each language is a file in `languages/`, whose name is its tag (RFC 5646), such as `de.toml`:

- `[format]`: the decimal sign, the sign between groups of digits, and a date for `strftime`.
- `[page]`: what only the templates say.
- `[script]`: what the scripts say; the templates may use it, too.
- `[problem]`: the titles and sentences of problems by their codes (`problem_texts`). English has
  them in `problems.TABLE` and in the errors.

A text has placeholders such as `{name}`. One that depends on the number `count` is a table with the
plural forms of that number (CLDR): `one` and `other`.
"""

import time
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, request
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup, escape
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response

from fileservice.web.hooks import Hooks

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Text = str | Mapping[str, str]

DIRECTORY = Path(__file__).parent / "languages"
_DEFAULT = "en"
_LANGUAGE = "fileservice.language"
_MAX_ACCEPT_LENGTH = 512
_UNITS = ("KiB", "MiB", "GiB", "TiB")
_DURATIONS = (("days", 86_400), ("hours", 3600), ("minutes", 60))


def _json(texts: Mapping[str, Text]) -> Markup:
    return htmlsafe_json_dumps(texts, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Language:
    """One language."""

    tag: str
    page: Mapping[str, Text]
    script: Mapping[str, Text]
    script_json: Markup
    """`script` as JSON for an element `script`."""
    problem: Mapping[str, Mapping[str, Text]]
    decimal: str
    group: str
    date_format: str

    @classmethod
    def load(cls, path: Path) -> "Language":
        """Read the file of a language."""
        tables = tomllib.loads(path.read_text("utf-8"))
        return cls(
            path.stem,
            page=tables["page"],
            script=tables["script"],
            script_json=_json(tables["script"]),
            problem=tables.get("problem", {}),
            decimal=tables["format"]["decimal"],
            group=tables["format"]["group"],
            date_format=tables["format"]["date"],
        )

    def text(self, key: str, **values: object) -> Markup:
        """Return a text as HTML, with `values` for its placeholders. Raises KeyError.

        A whole number is written with groups of digits; other values are escaped unless they are
        HTML themselves.
        """
        text = self.page[key] if key in self.page else self.script[key]
        if not isinstance(text, str):
            text = text["one" if values["count"] == 1 else "other"]
        shown = {
            name: self.number(value) if isinstance(value, int) else value
            for name, value in values.items()
        }
        return escape(text).format(**shown)

    def number(self, number: int) -> str:
        return f"{number:,}".replace(",", self.group)

    def size(self, size: int) -> str:
        """Return a size in bytes with a binary unit, such as 1.5 MiB."""
        if size < 1024:
            return self.text("bytes", count=size)
        amount, unit = size / 1024, 0
        while amount >= 1024 and unit < len(_UNITS) - 1:
            amount, unit = amount / 1024, unit + 1
        whole, _, tenth = f"{amount:.1f}".partition(".")
        return f"{self.number(int(whole))}{self.decimal}{tenth} {_UNITS[unit]}"

    def duration(self, seconds: float, *, exact: bool = False) -> Markup:
        """Return a duration in words: a number of days, hours or minutes, rounded down.

        With `exact`, it is in the largest unit of which it is a whole number, if there is one.
        """
        for key, length in _DURATIONS:
            if seconds >= length and not (exact and seconds % length):
                return self.text(key, count=int(seconds // length))
        return self.duration(seconds) if exact else self.text("less-than-a-minute")

    def date(self, seconds: int) -> str:
        """Return a time, given in seconds since the Unix epoch, in UTC."""
        return f"{datetime.fromtimestamp(seconds, UTC):{self.date_format}} UTC"


LANGUAGES = {path.stem: Language.load(path) for path in sorted(DIRECTORY.glob("*.toml"))}
_BY_LOWER_CASE_TAG = {tag.lower(): language for tag, language in LANGUAGES.items()}


def language_of(environ: "WSGIEnvironment") -> Language:
    """Return the language in which the sender of a request prefers its response.

    An Accept-Language that is longer than any browser's is not parsed, since that would take long.
    """
    if _LANGUAGE not in environ:
        accepted = environ.get("HTTP_ACCEPT_LANGUAGE", "")
        environ[_LANGUAGE] = (
            _look_up(
                tag for tag, quality in parse_accept_header(accepted, LanguageAccept) if quality
            )
            if 0 < len(accepted) <= _MAX_ACCEPT_LENGTH
            else LANGUAGES[_DEFAULT]
        )
    chosen: Language = environ[_LANGUAGE]
    return chosen


def language() -> Language:
    """Return the language of the request that Flask handles."""
    return language_of(request.environ)


def _look_up(accepted: Iterable[str]) -> Language:
    """Return the first language that there is, or one that includes it (RFC 4647 section 3.4)."""
    for tag in accepted:
        subtags = tag.lower().split("-")
        for length in range(len(subtags), 0, -1):
            if found := _BY_LOWER_CASE_TAG.get("-".join(subtags[:length])):
                return found
    return LANGUAGES[_DEFAULT]


def register(app: Flask, hooks: Hooks) -> None:
    """Let templates and responses say what they say in the language of their reader."""
    names = app.jinja_env.globals
    names["language"] = language
    names["t"] = lambda key, **values: language().text(key, **values)
    app.jinja_env.filters["size"] = lambda size: language().size(size)
    app.jinja_env.filters["date"] = lambda seconds: language().date(seconds)

    app.jinja_env.filters["sentence"] = sentence
    app.jinja_env.filters["timestamp"] = timestamp
    app.jinja_env.filters["time_left"] = lambda seconds: language().duration(seconds - time.time())

    @hooks.after
    def vary(environ: "WSGIEnvironment", response: Response) -> None:
        if _LANGUAGE in environ:
            fields = response.headers
            fields["Vary"] = ", ".join(filter(None, (fields.get("Vary"), "Accept-Language")))
            fields["Content-Language"] = language_of(environ).tag


def sentence(text: str) -> str:
    """Return what an error says as a sentence."""
    return text[:1].upper() + text[1:].removesuffix(".") + "."


def timestamp(seconds: int) -> str:
    """Return a time, given in seconds since the Unix epoch, for programs (RFC 3339)."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()
