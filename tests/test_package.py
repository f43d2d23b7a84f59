"""The package that is built here: what it contains, and that it works where it is installed."""

import os
import re
import shutil
import signal
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from fileservice import __version__
from tests.support.ports import free_port
from tests.support.servers import ROOT
from tests.support.wire import eventually

pytestmark = pytest.mark.timeout(300)  # building and installing are many processes
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "fileservice")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, which is built from the source distribution, as an installer would do it."""
    directory = tmp_path_factory.mktemp("package")
    sources = directory / "sources"  # building leaves files in the directory
    sources.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, sources / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, sources)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", directory / "dist", sources)
    (wheel,) = (directory / "dist").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def command(wheel: Path) -> Path:
    """The command of the installed wheel; its dependencies are those of this environment."""
    environment = wheel.parents[1] / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join([*site.getsitepackages(), ""]))
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)
    return environment / "bin" / "fileservice"


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def environ(**settings: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FILESERVICE_", "GUNICORN_", "PYTHONPATH"))
    }
    return kept | {f"FILESERVICE_{name}": value for name, value in settings.items()}


def test_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        contained = {name for name in archive.namelist() if name.startswith("fileservice/")}
    files = (path for path in (ROOT / "fileservice").rglob("*") if path.is_file())
    assert contained == {
        path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts
    }
    assert {"fileservice/gunicorn_config.py", "fileservice/web/templates/upload.html"} <= contained


@pytest.mark.parametrize(
    "name", ["requirements", "requirements-fast", "requirements-otel", "requirements-dev"]
)
def test_every_locked_requirement_has_hashes(name: str) -> None:
    text = (ROOT / f"{name}.txt").read_text().replace("\\\n", "")
    requirements = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert requirements
    assert [line for line in requirements if "==" not in line or "--hash=sha256:" not in line] == []


@pytest.mark.thorough
def test_installed_command_has_the_version_of_the_package(command: Path, tmp_path: Path) -> None:
    assert run(command, "--version", cwd=tmp_path) == f"fileservice, version {__version__}\n"


@pytest.fixture
def url(command: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the installed service, which is started in a directory with foreign modules.

    Nothing but its address is set.
    """
    for name in ("flask", "gevent", "gunicorn_h1c", "magic", "fileservice", "socket"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py was imported')\n")
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [command, "serve"],
            cwd=tmp_path,
            env=environ(BIND=f"127.0.0.1:{port}", WORKERS="1"),
            stdin=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: answers(address) or process.poll() is not None, seconds=60)
        assert process.poll() is None, (tmp_path / "log").read_text()
        yield address
        process.terminate()
        assert process.wait(60) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def answers(address: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{address}/healthz", timeout=30).status_code == 200
    return False


def test_installed_service_works_in_a_directory_with_foreign_modules(
    url: str, tmp_path: Path
) -> None:
    assert httpx.put(f"{url}/upload/a.txt", content=b"some text\n").status_code == 201
    assert (tmp_path / "data" / "a.txt").read_bytes() == b"some text\n"
    german = {"Accept-Language": "de"}
    page = httpx.get(f"{url}/upload", headers=german)
    assert page.status_code == 200
    assert '<html lang="de"' in page.text
    linked = set(re.findall(r'(?:href|src)="([^"]*/assets/[^"]+)"', page.text))
    assert {Path(path).suffix for path in linked} >= {".css", ".js", ".svg"}
    for path in linked:
        assert httpx.get(httpx.URL(url).join(path)).status_code == 200, path
