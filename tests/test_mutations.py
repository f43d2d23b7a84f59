"""Every attack of tests/security/ succeeds if the protection is taken out of the source."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.mutations import CONTROLS, MUTATIONS, OF_GUNICORN, Mutation

ROOT = Path(__file__).parents[1]
SECURITY = ROOT / "tests" / "security"
ALL = [(module, mutation) for module, mutations in MUTATIONS.items() for mutation in mutations]


def named(value: object) -> str:
    return value.attacks if isinstance(value, Mutation) else str(value)


def test_every_attack_has_a_mutation() -> None:
    attacks = {
        name.removeprefix("test_")
        for path in SECURITY.glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
        if not name.startswith(CONTROLS)
    }
    assert {mutation.attacks for _, mutation in ALL} | OF_GUNICORN == attacks


def test_every_mutation_changes_a_text_that_its_module_has_once() -> None:
    for _, mutation in ALL:
        for module, old, new in mutation.changes:
            text = (ROOT / "fileservice" / module).read_text()
            assert text.count(old) == 1, (module, old)
            compile(text.replace(old, new), module, "exec")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and of its tests, with their bytecode, and links to all else."""
    for path in ROOT.iterdir():
        if path.name in ("fileservice", "tests"):
            unfinished = shutil.ignore_patterns("*.pyc.*")  # bytecode that others write just now
            shutil.copytree(path, tmp_path / path.name, ignore=unfinished)
        elif path.is_symlink():  # such as gunicorn.conf.py, to a module of the package
            shutil.copy(path, tmp_path, follow_symlinks=False)
        elif not path.name.startswith("."):
            (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.mark.thorough
@pytest.mark.parametrize(("module", "mutation"), ALL, ids=named)
def test_attack_succeeds_without_the_protection(
    copy: Path, module: str, mutation: Mutation
) -> None:
    for changed, old, new in mutation.changes:
        path = copy / "fileservice" / changed
        path.write_text(path.read_text().replace(old, new))
    attack = f"tests/security/test_{module}.py::test_{mutation.attacks}"
    options = ("-p", "no:randomly", "-p", "no:cacheprovider", "-n", "0", "-q", "--no-header")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--basetemp", str(copy / "run"), attack],
        cwd=copy,
        env={name: value for name, value in os.environ.items() if "PYTEST" not in name},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "error" not in done.stdout.splitlines()[-1], done.stdout
    assert re.search(r"^E +(?:assert |AssertionError|Failed: )", done.stdout, re.MULTILINE)
