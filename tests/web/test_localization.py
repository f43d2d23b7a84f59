"""What the pages say: complete in every language, and chosen by Accept-Language."""

import re
import string
from collections.abc import Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.web import localization
from fileservice.web.localization import LANGUAGES, Language, Text
from fileservice.web.problems import TABLE
from tests.support.rows import every_row
from tests.web.application import application

WEB = Path(localization.__file__).parent
TEMPLATES = sorted((WEB / "templates").iterdir())
SCRIPTS = sorted((WEB / "static").glob("*.js"))
ENGLISH = LANGUAGES["en"]
OTHERS = sorted(LANGUAGES.keys() - {"en"})


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return application(tmp_path_factory.mktemp("store")).test_client()


def placeholders(text: Text) -> set[str]:
    forms = [text] if isinstance(text, str) else text.values()
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}


def shape(texts: Mapping[str, Text]) -> dict[str, tuple[bool, set[str]]]:
    """Whether each text has plural forms, and its placeholders."""
    return {key: (isinstance(text, str), placeholders(text)) for key, text in texts.items()}


def test_there_are_english_and_german() -> None:
    assert {"en", "de"} <= LANGUAGES.keys()


@every_row("tag", OTHERS)
def test_every_language_has_all_texts_with_the_same_placeholders(tag: str) -> None:
    assert shape(LANGUAGES[tag].page) == shape(ENGLISH.page)
    assert shape(LANGUAGES[tag].script) == shape(ENGLISH.script)


@every_row("tag", OTHERS)
def test_every_other_language_has_a_title_and_a_sentence_for_every_problem(tag: str) -> None:
    problems = LANGUAGES[tag].problem
    assert problems.keys() == {row.code for row in TABLE}
    assert {
        code for code, texts in problems.items() if not {"title", "detail"} <= set(texts)
    } == set()


@every_row("tag", sorted(LANGUAGES))
def test_plural_forms_include_those_of_the_templates(tag: str) -> None:
    for text in [*LANGUAGES[tag].page.values(), *LANGUAGES[tag].script.values()]:
        if not isinstance(text, str):
            assert {"one", "other"} <= text.keys()


def test_a_key_has_one_meaning() -> None:
    assert not ENGLISH.page.keys() & ENGLISH.script.keys()


def test_exactly_the_texts_that_exist_are_used() -> None:
    by_templates = {key for path in TEMPLATES for key in keys(r't\("([\w-]+)"', path)}
    by_scripts = {key for path in SCRIPTS for key in keys(r"t\('([\w-]+)'", path)}
    # A key that is put together from parts ends with a hyphen here, and stands for all that follow.
    known = ENGLISH.page.keys() | ENGLISH.script.keys()
    assert {key for key in by_templates if not matching(key, known)} == set()
    assert {key for key in by_scripts if not matching(key, ENGLISH.script.keys())} == set()
    chosen = {key for path in SCRIPTS for key in keys(r"'([\w-]+)'", path)}
    chosen |= set(keys(r'"([\w-]+)"', Path(localization.__file__)))
    used = {name for key in by_templates | by_scripts | chosen for name in matching(key, known)}
    assert known - used == set()


def keys(pattern: str, path: Path) -> list[str]:
    return [match[1] for match in re.finditer(rf"(?<![\w.]){pattern}", path.read_text())]


def matching(key: str, known: set[str]) -> set[str]:
    return {name for name in known if name == key or (key.endswith("-") and name.startswith(key))}


_NO_TEXT = re.compile(
    r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<!doctype html>|<(pre|code|template)\b.*?</\1>"
    r"|<[^>]*>",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r'\b(?:aria-label|title|placeholder|alt)="([^"{]*)"')


@every_row("path", TEMPLATES)
def test_a_template_has_no_text_of_its_own(path: Path) -> None:
    markup = path.read_text().replace('class="brand"', "", 1)
    text = _NO_TEXT.sub(" ", re.sub(r"(?<=</svg>)fileservice", "", markup))
    assert re.findall(r"[^\W\d_]+", text) == []
    values = _ATTRIBUTE.findall(markup)
    assert [value for value in values if re.search(r"[^\W\d_]", value)] == []


_STRING = re.compile(r"'((?:[^'\\\n]|\\.)*)'|`((?:[^`\\]|\\.)*)`")
_SENTENCE = re.compile(r"^[A-Z][a-z]+( |\.|$)|[a-z]+,? [a-z]+ [a-z]+|\} [a-z]{3,}")
_SELECTOR = re.compile(r"^[#.\[]|^(html|tbody|thead|tr|th|td|main|nav)\b")
_ENGLISH_ONLY = {"tus.js"}
"""Works with any server, and says one thing about a server that breaks the protocol."""
_NO_SENTENCES = re.compile(r"^(Escape|Enter|Home|End|Tab|Accept|Authorization|Files|Bearer .*)$")


def is_sentence(text: str) -> bool:
    other = _NO_SENTENCES.match(text) or _SELECTOR.match(text)
    return bool(_SENTENCE.search(text)) and not other


@every_row("path", SCRIPTS)
def test_a_script_has_no_text_of_its_own(path: Path) -> None:
    if path.name in _ENGLISH_ONLY:
        pytest.skip("its texts are in English only")
    code = re.sub(r"//.*|console\.\w+\(.*", "", path.read_text())
    found = [single or template for single, template in _STRING.findall(code)]
    texts = [text for text in found if is_sentence(text)]
    assert texts == []


@every_row(
    ("accepted", "tag"),
    [
        (None, "en"), ("de", "de"), ("de-AT", "de"), ("de-CH,de;q=0.9,en;q=0.8", "de"),
        ("fr,de;q=0.5", "de"), ("fr", "en"), ("en-GB,de;q=0.9", "en"), ("de;q=0", "en"),
        ("DE-de-1996", "de"), ("*", "en"),
        ("de" + ",x" * 300, "en"), (";;;,=", "en"),
    ],
)  # fmt: skip
def test_the_language_is_the_one_that_the_reader_prefers(
    client: FlaskClient, accepted: str | None, tag: str
) -> None:
    response = client.get("/upload", headers={"Accept-Language": accepted} if accepted else {})
    assert f'<html lang="{tag}">' in response.text
    assert response.headers["Content-Language"] == tag


def test_caches_know_that_pages_depend_on_the_language(client: FlaskClient) -> None:
    html = {"Accept": "text/html"}
    assert "accept-language" in client.get("/upload").vary
    assert "accept-language" in client.get("/sign-in").vary
    missing = client.get("/download/nothing.txt", headers=html)
    assert {"accept", "accept-language"} <= missing.vary.as_set()
    assert "accept-language" not in client.get("/download").vary


def test_a_problem_is_in_the_language_of_its_reader_and_without_one_in_english(
    client: FlaskClient,
) -> None:
    path, german = "/download/nothing.txt", {"Accept-Language": "de"}
    page = client.get(path, headers={"Accept": "text/html", **german}).text
    assert "<h1>Nicht gefunden</h1>" in page
    assert "Es gibt keine Datei namens „nothing.txt“." in page
    in_german, in_english = client.get(path, headers=german), client.get(path)
    assert in_german.json
    assert in_german.json["detail"] == "Es gibt keine Datei namens „nothing.txt“."
    assert in_german.headers["Content-Language"] == "de"
    assert in_english.json
    assert in_english.json["detail"] == "there is no file named 'nothing.txt'"
    same = {"title", "detail", "request-id"}
    assert in_german.json.keys() == in_english.json.keys()
    assert {key for key, value in in_german.json.items() if value != in_english.json[key]} == same
    assert "accept-language" in in_english.vary


@every_row(
    ("size", "english", "german"),
    [
        (0, "0 bytes", "0 Bytes"), (1, "1 byte", "1 Byte"), (1023, "1,023 bytes", "1.023 Bytes"),
        (1024, "1.0 KiB", "1,0 KiB"), (1536, "1.5 KiB", "1,5 KiB"), (1 << 20, "1.0 MiB", "1,0 MiB"),
        (5 << 30, "5.0 GiB", "5,0 GiB"), (1 << 50, "1,024.0 TiB", "1.024,0 TiB"),
    ],
)  # fmt: skip
def test_sizes_have_binary_units(size: int, english: str, german: str) -> None:
    assert (ENGLISH.size(size), LANGUAGES["de"].size(size)) == (english, german)


def test_times_are_in_utc() -> None:
    assert localization.timestamp(0) == "1970-01-01T00:00:00+00:00"
    assert ENGLISH.date(0) == "1970-01-01 00:00 UTC"
    assert LANGUAGES["de"].date(0) == "01.01.1970, 00:00 UTC"


@every_row(
    ("seconds", "english", "german"),
    [
        (3 * 86400 + 5, "3 days", "3 Tage"), (86400 + 5, "1 day", "1 Tag"),
        (86400 - 5, "23 hours", "23 Stunden"), (3600 + 5, "1 hour", "1 Stunde"),
        (3600 - 5, "59 minutes", "59 Minuten"), (65, "1 minute", "1 Minute"),
        (30, "less than a minute", None), (-5, "less than a minute", None),
    ],
)  # fmt: skip
def test_durations_are_rounded_down(seconds: int, english: str, german: str | None) -> None:
    assert ENGLISH.duration(seconds) == english
    assert german in (None, LANGUAGES["de"].duration(seconds))


@every_row(
    ("said", "shown"),
    [("the name is empty", "The name is empty."), ("Das geht nicht.", "Das geht nicht.")],
)
def test_what_an_error_says_is_shown_as_a_sentence(said: str, shown: str) -> None:
    assert localization.sentence(said) == shown


def test_values_are_escaped_unless_they_are_html() -> None:
    assert ENGLISH.text("stored", name="<b>") == "Stored: &lt;b&gt;"


def test_a_language_is_added_as_a_file(tmp_path: Path) -> None:
    source = (localization.DIRECTORY / "de.toml").read_text()
    (tmp_path / "de-CH.toml").write_text(source.replace('group = "."', 'group = "’"'))
    assert Language.load(tmp_path / "de-CH.toml").number(1234567) == "1’234’567"


@every_row(
    ("seconds", "rounded", "exact"),
    [
        (59, "less than a minute", "less than a minute"),
        (60, "1 minute", "1 minute"),
        (5400, "1 hour", "90 minutes"),
        (36 * 3600, "1 day", "36 hours"),
        (1000 * 86_400.0, "1,000 days", "1,000 days"),
        (86_399.5, "23 hours", "23 hours"),
    ],
)
def test_a_duration_is_in_words(seconds: float, rounded: str, exact: str) -> None:
    assert ENGLISH.duration(seconds) == rounded
    assert ENGLISH.duration(seconds, exact=True) == exact
