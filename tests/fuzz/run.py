"""Fuzz the parsers of untrusted bytes with atheris: `make fuzz FUZZ_MINUTES=10 FUZZ=ranges,form`.

Each target runs in a process of its own, one after the other. What libFuzzer finds is written to
build/fuzz/; put a small input for it into tests/fuzz/corpus/, and mend the parser.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORPUS = HERE / "corpus"
FOUND = ROOT / "build" / "fuzz"
_MAX_LENGTH = 2048
"""Bytes of an input: longer ones take more time and seldom reach other code."""
_SECONDS_OF_ONE_INPUT = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="of each target")
    parser.add_argument("--only", default="", help="names of targets, separated by commas")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        _fuzz(options.one, options.minutes)
        return 0
    names = [name for name in options.only.split(",") if name] or sorted(
        path.name for path in CORPUS.iterdir()
    )
    failed = [name for name in names if not _run(name, options.minutes)]
    print(f"{len(names) - len(failed)} of {len(names)} targets found nothing")
    return 1 if failed else 0


def _run(name: str, minutes: float) -> bool:
    """Fuzz one target in a process of its own; return whether it found nothing."""
    began = time.monotonic()
    directory = FOUND / name
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "log"
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.run", "--one", name, "--minutes", str(minutes)],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},
        )
    inputs = re.search(r"number_of_executed_units: *(\d+)", log.read_text(errors="replace"))
    found = "nothing found" if done.returncode == 0 else f"see {log}"
    seconds = time.monotonic() - began
    print(f"{name}: {inputs[1] if inputs else 'no'} inputs in {seconds:.0f} s: {found}", flush=True)
    return done.returncode == 0


def _fuzz(name: str, minutes: float) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    atheris.enabled_hooks.add("str")  # its hook for regular expressions fails for those of bytes
    with atheris.instrument_imports(include=["fileservice", "multipart"]):
        from tests.fuzz.targets import TARGETS

    directory = FOUND / name
    (directory / "inputs").mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [
            sys.argv[0],
            str(directory / "inputs"),
            str(CORPUS / name),
            f"-max_total_time={round(minutes * 60)}",
            f"-max_len={_MAX_LENGTH}",
            f"-timeout={_SECONDS_OF_ONE_INPUT}",
            f"-artifact_prefix={directory}/",
            "-print_final_stats=1",
        ],
        TARGETS[name],
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
