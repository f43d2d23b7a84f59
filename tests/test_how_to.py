"""The commands of each guide work when they are run in the order in which they stand."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.servers import ROOT, LiveServer

DOCS = ROOT / "docs"
PAGES = [
    path.relative_to(DOCS).as_posix()
    for path in (DOCS / "first-minute.md", DOCS / "moving-in.md", *sorted(DOCS.glob("how-to/*.md")))
    if "```sh\n" in path.read_text()
]
STORED = {
    page: ("report.pdf", "notes.txt")
    for page in PAGES
    if page.endswith(("back-up.md", "fetch.md", "share.md"))
}
"""The files that are stored before the commands of a page are run."""
TOOLS = ("curl", "jq", "openssl", "rsync", "setfattr", "unzip")
START = """
curl() { command curl -sSf "$@"; }
fileservice() { "$PYTHON" -m fileservice "$@"; }
python() {
    "$PYTHON" "$@" > output
    cat output
    # A running service uses a changed access file within 2 seconds.
    while [ "${3-} ${4-}" = "token new" ] &&
        ! command curl -sf -o /dev/null -u "any:$(cat output)" "$URL/upload"
    do sleep 0.1; done
}
"""
"""Functions in the place of commands: curl fails if an answer is an error."""


@pytest.fixture(scope="module")
def live(
    start_module_server: Callable[..., LiveServer], tmp_path_factory: pytest.TempPathFactory
) -> LiveServer:
    """A server with an access file, `access.toml` beside its store."""
    directory = tmp_path_factory.mktemp("live")
    (directory / "access.toml").write_text("")
    return start_module_server(
        STORE_URL=str(directory / "store"), ACCESS_FILE=str(directory / "access.toml")
    )


@pytest.fixture
def directory(sample: Callable[[str], Path], tmp_path: Path) -> Path:
    """The working directory of the commands, with files that their reader may have."""
    directory = tmp_path / "client"
    directory.mkdir()
    shutil.copy(sample("note.pdf"), directory / "report.pdf")
    shutil.copy(sample("img.png"), directory / "photo.png")
    for name in ("notes.txt", "a.txt", "b.txt", "data.csv", "measurements.csv"):
        (directory / name).write_text(f"one,two\n{name},2\n")
    with zipfile.ZipFile(directory / "ci-build.zip", "w") as archive:
        archive.writestr("built.txt", "built\n")
    return directory


COMMAND = re.compile(r"^(?:.*\| )?fileservice ", re.M)
"""A call of the command line, which takes as long as all others of a page."""


def blocks(page: str, *, with_command_line: bool = True) -> list[str]:
    """Return the blocks of shell and Python of a page, as commands."""
    found = re.findall(r"^```(sh|python)\n(.+?)^```", (DOCS / page).read_text(), re.M | re.S)
    return [
        text if kind == "sh" else f"\"$PYTHON\" - <<'END_OF_PYTHON'\n{text}END_OF_PYTHON\n"
        for kind, text in found
        if with_command_line or not COMMAND.search(text)
    ]


@pytest.fixture
def old(directory: Path, tmp_path: Path) -> Path:
    """A directory of another program, with folders and what should stay behind."""
    old = tmp_path / "old"
    shutil.copytree(directory, old / "some" / "folder")
    (old / "some" / "folder" / "report.pdf.metadata").write_text("{}\n")
    (old / "some" / ".hidden").mkdir()
    (old / "some" / ".hidden" / "index.txt").write_text("hidden\n")
    return old


@pytest.fixture
def run(
    live: LiveServer, directory: Path, old: Path, tool: Callable[[str], str]
) -> Callable[[str], None]:
    """Run commands beside the server, which is emptied before."""
    for name in TOOLS:
        tool(name)
    live.clear()
    actual = {
        "http://localhost:8000": live.url,
        "https://files.example.org": live.url,
        "/srv/files": str(live.store),
        "/srv/old": str(old),
        "/srv/transfer.sh": str(old),
        "/etc/fileservice/access.toml": str(live.store.with_name("access.toml")),
    }
    environ = {"PYTHONPATH": str(ROOT), "PYTHON": sys.executable, "URL": live.url}

    def run(commands: str) -> None:
        for written, meant in actual.items():
            commands = commands.replace(written, meant)
        done = subprocess.run(
            ["sh", "-eu", "-c", START + commands],
            cwd=directory,
            env=os.environ | environ | {"HOME": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout

    return run


def ways(page: str) -> list[tuple[str, bool, bool]]:
    """How the commands of a page are run: with the command line or without, and how thoroughly.

    The command line has tests of its own. Where the other commands of a page need none of it, they
    are run by themselves, too.
    """
    text = "".join(blocks(page))
    if "python -m fileservice" in text:
        return [(page, True, True)]
    uses = bool(COMMAND.search(text))
    return [(page, False, False), *([(page, True, True)] if uses else [])]


@pytest.mark.parametrize(
    ("page", "with_command_line"),
    [
        pytest.param(page, uses, marks=pytest.mark.thorough if is_slow else ())
        for each in PAGES
        for page, uses, is_slow in ways(each)
    ],
)
def test_commands_of_a_guide_succeed_one_after_the_other(
    page: str,
    with_command_line: bool,
    run: Callable[[str], None],
    live: LiveServer,
    directory: Path,
) -> None:
    for name in STORED.get(page, ()):
        with live.client() as client:
            client.put(f"/upload/{name}", content=(directory / name).read_bytes())
    run("".join(blocks(page, with_command_line=with_command_line)))


@pytest.mark.parametrize("way", ["copy-in.sh", "send-in.sh"])
def test_files_of_another_program_are_moved_in(
    way: str, run: Callable[[str], None], live: LiveServer, directory: Path
) -> None:
    """Its folders are a part of the names, and hidden files and metadata stay behind."""
    commands = [
        block for block in blocks("moving-in.md") if way in block and "transfer" not in block
    ]
    assert commands
    run(
        "".join(
            block.replace("-not -path", "! -name '*.metadata' -not -path") for block in commands
        )
    )
    expected = [f"some-folder-{path.name}" for path in directory.iterdir() if path.suffix != ".sh"]
    assert live.published() == sorted(expected)


def test_guides_have_commands() -> None:
    assert len(PAGES) >= 8


def test_nginx_of_the_guide_has_the_directives_that_are_tested() -> None:
    """The tests behind nginx run the configuration of the page for operators."""

    def directives(page: str, prefix: str) -> set[str]:
        block, *_ = re.findall(r"^```nginx\n(.+?)^```", (DOCS / page).read_text(), re.M | re.S)
        found = re.findall(r"^ +((?:proxy|client)_.+;)$", block, re.M)
        return {line.replace(f"X-Forwarded-Prefix {prefix};", "") for line in found}

    tested = directives("operating.md", "/store")
    assert len(tested) >= 10
    assert directives("how-to/proxy.md", '""') == {
        line.replace("8000/;", "8000;") for line in tested
    }
