"""Every mistake in ACCESS_FILE is found and named, and no secret is in a message."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.access import AccessFileError, AccessRules, Quota, parse_prefix, parse_rules
from tests.access.rules import SECRET, hash_of, rules, token
from tests.support.rows import every_row


def problems(text: str) -> list[str]:
    with pytest.raises(AccessFileError) as raised:
        rules(text)
    return raised.value.problems


def test_empty_file_names_nobody() -> None:
    assert rules("# nobody\n") == AccessRules.empty()
    assert rules("[tokens]\n[users]\n[groups]\n") == AccessRules.empty()


@every_row(
    ("rest", "problem"),
    [
        ('prefix = "a/"', "[tokens.ci] prefix: no file can have a name that begins so: the name"),
        ('prefix = ".a"', "[tokens.ci] prefix: no file can have a name that begins so: the name"),
        ("prefix = 1", "[tokens.ci] prefix: must be a text"),
        ("expires = 2027-01-01", "[tokens.ci] expires: must be a date and time with an offset"),
        ("expires = 2027-01-01T00:00:00", "[tokens.ci] expires: must be a date and time with"),
        ("expires = 9999-12-31T23:59:59-01:00", "[tokens.ci] expires: must be before the year"),
        ("expires = 9999-12-31T23:59:59.999999Z", "[tokens.ci] expires: must be before the year"),
        ('expires = "2027-01-01T00:00:00Z"', "[tokens.ci] expires: must be a date and time with"),
        ("quota = 10", "[tokens.ci] quota: must be such as { bytes"),
        ('quota = { bytes = "10GB" }', "[tokens.ci] quota bytes: must be a size such as 500MiB"),
        ("quota = { bytes = -1 }", "[tokens.ci] quota bytes: must be a whole number, 0 or above"),
        ("quota = { files = true }", "[tokens.ci] quota files: must be a whole number, 0 or above"),
        ("quota = { file = 1 }", "[tokens.ci] quota file: there is no such key; did you mean fil"),
        ('scope = ["read"]', "[tokens.ci] scope: there is no such key; did you mean scopes?"),
        ('"a b" = 1', '[tokens.ci] "a b": there is no such key'),
        ("[token.x]", "[token]: there is no such table; did you mean tokens?"),
        ("[tokens.'a b']\nhash = 1\nscopes = []", '[tokens."a b"]: a name has 1 to 64 letters'),
        ("[users.ada]", "[users.ada] scopes: is missing"),
        ("[users.ada]\nscopes = 'read'", '[users.ada] scopes: must be a list such as ["list", '),
        ("[users.ada]\nscopes = [1]", '[users.ada] scopes: must be a list such as ["list", '),
        (
            "[users.ada]\nscopes = ['reed', 'x']",
            "[users.ada] scopes: 'reed', 'x': the scopes are list, read, write, delete, share,"
            " admin; did you mean read?",
        ),
        ("[users.ada]\nscopes = []\nprefix = 'a'", "[users.ada] prefix: there is no such key; on"),
        ("[users]\nada = 1", "[users.ada]: must be a table"),
        ("[users.'ada ']\nscopes = []", '[users."ada "]: a name has 1 to 255 printable'),
        ("[users.\"a\\nb\"]\nscopes = []", '[users."a\\nb"]: a name has 1 to 255 printable'),
        ("[groups.staff]\nscopes = []\nquota = {}", "[groups.staff] quota: there is no such key; "),
        ("[groups.'']\nscopes = []", '[groups.""]: a name has 1 to 255 printable'),
    ],
)  # fmt: skip
def test_mistake_is_reported_with_the_table_and_the_key(rest: str, problem: str) -> None:
    assert any(found.startswith(problem) for found in problems(token(rest=rest)))


def test_all_mistakes_are_reported_together() -> None:
    found = problems(
        """
        [tokens.a]
        scopes = ["reed"]
        [users.b]
        scopes = []
        expires = 2027-01-01T00:00:00Z
        [group.c]
        """
    )
    assert found == [
        "[group]: there is no such table; did you mean groups?",
        "[tokens.a] hash: is missing",
        "[tokens.a] scopes: 'reed': the scopes are list, read, write, delete, share, admin;"
        " did you mean read?",
        "[users.b] expires: there is no such key; only tokens have one",
    ]


TIMES = ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2027-01-01", "10:00:00"]
NUMBERS = ["1", "-1", "1" * 5000, str(1 << 63), "1e400", "nan", "true"]
TEXTS = ['"x"', "'sha256:00'", '"\\uD800"', '"\\u0000"', '"""\na"""', "\\"]
TABLES = ["[]", "[[]]", '["read"]', "[1]", "{", "{}", "{ bytes = 1 }", "[" * 5000]
VALUES = st.sampled_from(TIMES + NUMBERS + TEXTS + TABLES)
NAMES = ["tokens", "users", "groups", "ci", "hash", "scopes", "prefix", "expires", "quota", "''"]
KEYS = st.sampled_from(NAMES)
LINES = (
    st.builds("[{}.{}]".format, KEYS, KEYS)
    | st.builds("[[{}]]".format, KEYS)
    | st.builds("{} = {}".format, KEYS, VALUES)
    | st.builds("{}.{} = {}".format, KEYS, KEYS, VALUES)
    | st.text(max_size=20)
)


@given(st.lists(LINES, max_size=8).map("\n".join))
def test_no_text_raises_another_error(text: str) -> None:
    with suppress(AccessFileError):
        parse_rules(text)


@every_row("value", ["1" * 5000, "[" * 5000])
def test_value_that_python_does_not_parse_is_reported(value: str) -> None:
    [problem] = problems(f"tokens = {value}")
    assert problem.startswith("it is not TOML: ")


@every_row("value", [str(1 << 63), '"999999999999TiB"'])
def test_quota_that_no_store_can_hold_is_reported(value: str) -> None:
    [problem] = problems(token(rest=f"quota = {{ bytes = {value} }}"))
    assert problem.startswith("[tokens.ci] quota bytes: must be less than 2^63")


def test_section_that_is_no_table_is_reported() -> None:
    assert problems("tokens = 1") == ["tokens: must have tables such as [tokens.NAME]"]


def test_text_that_is_not_toml_is_reported_with_the_line() -> None:
    [problem] = problems("[tokens.ci]\nhash = \n")
    assert problem.startswith("it is not TOML: ")
    assert "line 2" in problem


def test_name_and_hash_of_a_token_are_unique() -> None:
    [twice] = problems(token() + token())
    assert twice.startswith("it is not TOML: ")
    assert problems(token("a") + token("b") + token("c", secret="fs_c")) == [
        "[tokens.b] hash: is that of [tokens.a]"
    ]


@every_row(
    "value",
    [SECRET, hash_of(SECRET).upper(), hash_of(SECRET)[:-1], hash_of(SECRET)[7:], "sha512:00"],
)
def test_hash_of_another_form_is_reported_and_not_repeated(value: str) -> None:
    [problem] = problems(f'[tokens.ci]\nhash = "{value}"\nscopes = []')
    assert problem.startswith("[tokens.ci] hash: must be sha256: and 64 hexadecimal digits")
    assert value not in problem


def test_examples_in_the_documentation_can_be_read() -> None:
    document = Path(__file__).parents[2] / "docs" / "security.md"
    examples = re.findall(r"```toml\n(.+?)```", document.read_text(), re.DOTALL)
    short, complete = map(rules, examples)
    assert complete.tokens["ci"].prefix == "ci-"
    for found in (short, complete):
        assert list(found.users) == ["ada@example.org"]
        assert list(found.groups) == ["staff"]


def test_prefix_is_normalised_as_names_are() -> None:
    assert parse_prefix("cafe\u0301-") == "caf\u00e9-"
    assert parse_prefix("") == ""


def test_quota_may_be_a_number_of_bytes_or_zero() -> None:
    quotas = [
        rules(token(rest=f"quota = {quota}")).tokens["ci"].quota
        for quota in ("{ bytes = 5 }", '{ bytes = "0", files = 0 }', "{}")
    ]
    assert quotas == [Quota(bytes=5), Quota(bytes=0, files=0), Quota()]
