"""fileservice token: what the commands write, and what becomes of the file."""

import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from fileservice.access import Quota, Scope, Token, parse_rules, read_rules
from fileservice.cli.access_edit import EditError, add_token, remove_token
from tests.access.rules import hash_of
from tests.cli.commands import new_token, run, run_process
from tests.support.servers import ROOT

TEXT = (
    """\
# Who may do what.

[groups.staff]  # by OIDC
scopes = ["list", "read"]
# about a

[tokens.a]
hash = "sha256:AAAA"  # made in May
scopes = [
  "list",  # [tokens.x]
]
# after a

# about b
[tokens."b"]
hash = 'sha256:BBBB'
scopes = []
[tokens.b.quota]
bytes = "1GiB"

# Ada
[users.ada]
scopes = ["read"]

[tokens.c]
hash = "sha256:CCCC"
scopes = []
# the end
""".replace("AAAA", "a" * 64)
    .replace("BBBB", "b" * 64)
    .replace("CCCC", "c" * 64)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.toml"


def token(name: str) -> Token:
    return Token(name, os.urandom(32), frozenset({Scope.READ}))


def test_new_token_writes_its_secret_alone_and_the_file_has_its_hash(path: Path) -> None:
    options = ["--prefix", "ci-", "--expires", "90d", "--quota", "10GiB", "--quota-files", "1000"]
    done = run_process(
        "token", "new", "ci", "--scopes", "list, write", *options, "--access-file", path
    )
    assert done.returncode == 0
    assert re.fullmatch(r"fs_[A-Za-z0-9_-]{43}\n", done.stdout)
    secret = done.stdout.strip()
    assert secret not in done.stderr
    assert secret not in path.read_text()
    assert f'hash = "{hash_of(secret)}"' in path.read_text()
    found = read_rules(path).authenticate(secret)
    assert found
    assert found.scopes == {Scope.LIST, Scope.WRITE}
    assert found.prefix == "ci-"
    assert found.quota == Quota(10 << 30, 1000)
    assert 0 <= time.time() + 90 * 86400 - read_rules(path).tokens["ci"].expires < 60


def test_new_file_is_only_for_its_owner_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        new_token(path, "ci", scopes="read")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_secrets_differ(path: Path) -> None:
    assert new_token(path, "a", scopes="read") != new_token(path, "b", scopes="read")
    assert set(read_rules(path).tokens) == {"a", "b"}


def test_token_that_exists_is_not_overwritten(path: Path) -> None:
    new_token(path, "ci", scopes="read")
    before = path.read_bytes()
    done = run("token", "new", "ci", "--scopes", "admin", access_file=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is a token ci already" in done.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("new", "a b", "--scopes", "read"),
        ("new", "", "--scopes", "read"),
        ("new", "é", "--scopes", "read"),
        ("new", "-a", "--scopes", "read"),
        ("new", "a]", "--scopes", "read"),
        ("new", "a\nb", "--scopes", "read"),
        ("new", "a" * 65, "--scopes", "read"),
        ("new", "a"),
        ("new", "a", "--scopes", ""),
        ("new", "a", "--scopes", "none"),
        ("new", "a", "--scopes", "read,reed"),
        ("new", "a", "--scopes", "read", "--prefix", "a/"),
        ("new", "a", "--scopes", "read", "--expires", "90"),
        ("new", "a", "--scopes", "read", "--expires", "999999999d"),
        ("new", "a", "--scopes", "read", "--quota", "10GB"),
        ("new", "a", "--scopes", "read", "--quota", "8388608TiB"),
        ("new", "a", "--scopes", "read", "--quota-files", "-1"),
        ("new", "a", "--scopes", "read", "--quota-files", str(1 << 63)),
        ("revoke",),
        ("list", "a"),
        ("lst",),
    ],
)
def test_wrong_use_has_the_status_2_and_writes_nothing(
    arguments: tuple[str, ...], path: Path
) -> None:
    done = run("token", *arguments, access_file=path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr
    assert not path.exists()


def test_access_file_must_be_given() -> None:
    done = run("token", "list")
    assert done.returncode == 2
    assert "FILESERVICE_ACCESS_FILE" in done.stderr


def test_list_shows_all_but_secrets_and_hashes(path: Path) -> None:
    new_token(path, "ci", "--prefix", "ci-", "--quota", "1GiB", scopes="write,list")
    with path.open("a") as file:
        file.write(f'[tokens.old]\nhash = "sha256:{"0" * 64}"\nscopes = []\n')
        file.write("expires = 2020-01-01T00:00:00Z\nquota = { files = 3 }\n")
    done = run("token", "list", access_file=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ") for line in re.sub(" {2,}", "  ", done.stdout).splitlines()] == [
        ["NAME", "SCOPES", "PREFIX", "EXPIRES", "QUOTA"],
        ["ci", "list,write", "ci-", "never", "1GiB"],
        ["old", "-", "-", "2020-01-01T00:00:00Z (expired)", "3 files"],
    ]
    done = run("token", "list", "--json", access_file=path)
    ci, old = json.loads(done.stdout)
    assert ci == {
        "name": "ci",
        "scopes": ["list", "write"],
        "prefix": "ci-",
        "expires": None,
        "expired": False,
        "quota": {"bytes": 1 << 30, "files": None},
    }
    assert (old["expires"], old["expired"]) == ("2020-01-01T00:00:00Z", True)


@pytest.mark.parametrize("command", ["list", "new", "revoke"])
def test_file_with_mistakes_is_reported_and_not_changed(command: str, path: Path) -> None:
    path.write_text("[tokens.a]\nscopes = 1\n")
    arguments = {"list": [], "new": ["b", "--scopes", "read"], "revoke": ["a"]}[command]
    done = run("token", command, *arguments, access_file=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "[tokens.a] hash: is missing" in done.stderr
    assert "[tokens.a] scopes: must be a list" in done.stderr
    assert path.read_text() == "[tokens.a]\nscopes = 1\n"


@pytest.mark.parametrize("command", ["list", "new", "revoke"])
def test_what_is_no_file_or_too_large_is_reported_at_once(command: str, path: Path) -> None:
    arguments = {"list": [], "new": ["a", "--scopes", "read"], "revoke": ["a"]}[command]

    def report() -> str:
        done = run("token", command, *arguments, access_file=path)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    os.mkfifo(path)
    assert "it is not a file" in report()
    path.unlink()
    path.write_bytes(b"#" * (16 << 20) + b"\n")
    assert "it has more than 16777216 bytes" in report()


@pytest.mark.parametrize("end", ["full", "broken pipe", "closed"])
def test_token_whose_secret_cannot_be_shown_does_not_stay(end: str, path: Path) -> None:
    path.write_text(TEXT)
    done = _new_token_to(end, "stdout", path)
    assert done.returncode == 1
    assert "the token was removed again" in done.stderr
    assert set(read_rules(path).tokens) == {"a", "b", "c"}


@pytest.mark.parametrize("end", ["full", "broken pipe"])
def test_token_that_cannot_be_explained_does_not_stay(end: str, path: Path) -> None:
    path.write_text(TEXT)
    done = _new_token_to(end, "stderr", path)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert set(read_rules(path).tokens) == {"a", "b", "c"}


def _new_token_to(end: str, stream: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Make the token d while this stream is of a full device, a pipe nobody reads, or closed."""
    command = [sys.executable, "-m", "fileservice", "token", "new", "d", "--scopes", "read"]
    if end == "closed":
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    with ExitStack() as stack:
        if end == "full":
            target = os.open("/dev/full", os.O_WRONLY)
        else:
            reader, target = os.pipe()
            os.close(reader)
        stack.callback(os.close, target)
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: target}
        return subprocess.run(
            [*command, "--access-file", str(path)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=60,
            **streams,
        )


@pytest.mark.parametrize("command", ["list", "revoke"])
def test_missing_file_and_missing_token_are_reported(command: str, path: Path) -> None:
    arguments = ["a"] if command == "revoke" else []
    done = run("token", command, *arguments, access_file=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "No such file or directory" in done.stderr
    assert not path.exists()
    path.write_text("")
    done = run("token", "revoke", "a", access_file=path)
    assert done.returncode == 1
    assert "there is no token a" in done.stderr


def test_directory_that_is_missing_is_reported(path: Path) -> None:
    done = run(
        "token", "new", "a", "--scopes", "read", "--access-file", path / "missing" / "a.toml"
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "No such file or directory" in done.stderr
    path.symlink_to(path.name)
    done = run("token", "new", "a", "--scopes", "read", access_file=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr


def test_revoked_token_is_gone_and_the_rest_is_as_it_was(path: Path) -> None:
    path.write_text(TEXT)
    done = run("token", "revoke", "a", access_file=path)
    assert (done.returncode, done.stdout) == (0, "")
    assert path.read_text() == re.sub(r"(?s)\[tokens.a\].*?\n\]\n", "", TEXT)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_comments_outside_the_revoked_table_and_the_order_survive(
    path: Path, name: str, end: str
) -> None:
    path.write_bytes(TEXT.replace("\n", end).encode())
    remove_token(path, name)
    found = path.read_bytes().decode()
    for comment in (
        "# Who may",
        "# by OIDC",
        "# about a",
        "# after a",
        "# about b",
        "# Ada",
        "# the end",
    ):
        assert found.count(comment) == 1
    assert found.count(end) == found.count("\n")
    position = 0
    for line in found.splitlines(keepends=True):
        position = TEXT.replace("\n", end).index(line, position) + len(line)
    assert set(read_rules(path).tokens) == {"a", "b", "c"} - {name}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("cut", [0, 1])
def test_new_token_comes_at_the_end_and_nothing_else_changes(
    path: Path, end: str, cut: int
) -> None:
    before = TEXT.replace("\n", end).encode()
    before = before[: len(before) - cut * len(end)]
    path.write_bytes(before)
    add_token(path, token("d"))
    assert path.read_bytes().startswith(before)
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(end.encode())
    assert list(read_rules(path).tokens) == ["a", "b", "c", "d"]


def test_adding_and_revoking_restores_the_file_but_for_an_empty_line(path: Path) -> None:
    path.write_text(TEXT)
    for name in ("d", "e"):
        add_token(path, token(name))
    for name in ("d", "e"):
        remove_token(path, name)
    assert path.read_text().rstrip("\n") == TEXT.rstrip("\n")


@pytest.mark.parametrize(
    "form",
    [
        '[tokens]\n# before\na = { hash = "AAAA", scopes = [] }\n# after\n',
        'tokens.a.hash = "AAAA"\n# inside\ntokens.a.scopes = []\n',
        'tokens = { a = { hash = "AAAA", scopes = [] } }\n',
        '[ tokens . "a" ]\nhash = "AAAA"\nscopes = []\n',
        "[tokens.'a']\nscopes = [\n]\nhash = \"AAAA\"",
    ],
)
def test_other_forms_of_toml_are_edited_as_well_or_left_alone(path: Path, form: str) -> None:
    text = form.replace("AAAA", f"sha256:{'a' * 64}")
    path.write_text(text)
    try:
        add_token(path, token("b"))
    except EditError as error:
        assert "edit it by hand" in str(error)  # noqa: PT017
        assert path.read_text() == text
    else:
        remove_token(path, "b")
    remove_token(path, "a")
    assert read_rules(path).tokens == {}
    for comment in ("# before", "# after"):
        assert (comment in path.read_text()) == (comment in text)


def test_header_inside_a_text_is_not_taken_for_a_table(path: Path) -> None:
    text = (
        f'[tokens.a]\nhash = "sha256:{"a" * 64}"\nscopes = []\nprefix = """\\\n[tokens.b]"""\n'
        f'[tokens.b]\nhash = "sha256:{"b" * 64}"\nscopes = []\n'
    )
    path.write_text(text)
    remove_token(path, "b")
    assert read_rules(path).tokens["a"].prefix == "[tokens.b]"
    assert text.startswith(path.read_text())


def test_mode_owner_and_attributes_are_kept(path: Path) -> None:
    path.write_text(TEXT)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12345, 23456)
    try:
        os.setxattr(path, "user.origin", b"ansible")
    except OSError:
        pytest.skip("the file system has no extended attributes")
    before = path.stat()
    remove_token(path, "a")
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert os.getxattr(path, "user.origin") == b"ansible"


def test_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real.toml"
    target.write_text(TEXT)
    path.symlink_to("elsewhere/real.toml")
    remove_token(path, "a")
    assert path.is_symlink()
    assert "a" not in read_rules(target).tokens
    assert list(target.parent.iterdir()) == [target]


def test_file_that_a_killed_command_left_does_not_prevent_the_next(path: Path) -> None:
    path.write_text(TEXT)
    path.with_name(".access.toml.new").write_text("half")
    remove_token(path, "a")
    assert list(path.parent.iterdir()) == [path]


def test_failed_write_leaves_the_file_as_it_was_and_no_other(path: Path) -> None:
    path.write_text(TEXT)
    before, limits = path.stat(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(TEXT) + 10, limits[1]))
    try:
        with pytest.raises(EditError, match="it cannot be edited: File too large"):
            add_token(path, token("d"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    after = path.stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert path.read_text() == TEXT
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.thorough
@pytest.mark.parametrize("count", [3, pytest.param(6, marks=pytest.mark.thorough)])
def test_commands_at_the_same_time_lose_no_edit(path: Path, count: int) -> None:
    path.write_text(TEXT)
    names = [f"n{number}" for number in range(count)]

    def make(name: str) -> str:
        return run_process(
            "token", "new", name, "--scopes", "read", "--access-file", path
        ).stdout.strip()

    def revoke(name: str) -> int:
        return run_process("token", "revoke", name, "--access-file", path).returncode

    with ThreadPoolExecutor(count) as pool:
        secrets = list(pool.map(make, names))
        rules = read_rules(path)
        assert set(rules.tokens) == {"a", "b", "c", *names}
        found = [rules.authenticate(secret) for secret in secrets]
        assert [principal.name for principal in found if principal] == names
        assert list(pool.map(revoke, names)) == [0] * count
    assert path.read_text().rstrip("\n") == TEXT.rstrip("\n")


def test_reader_sees_the_file_before_or_after_an_edit_and_nothing_between(path: Path) -> None:
    path.write_text(TEXT)
    process = subprocess.Popen([sys.executable, "-c", _EDITS, str(path)], stdin=subprocess.DEVNULL)
    reads = 0
    while process.poll() is None:
        tokens = set(parse_rules(path.read_text()).tokens)
        assert tokens in ({"a", "b", "c"}, {"a", "b", "c", "d"})
        reads += 1
    assert process.returncode == 0
    assert reads > 10


_EDITS = """
import sys
from pathlib import Path
from fileservice.access import Token
from fileservice.cli.access_edit import add_token, remove_token
path = Path(sys.argv[1])
for number in range(30):
    add_token(path, Token("d", number.to_bytes(32, "big"), frozenset()))
    remove_token(path, "d")
"""
