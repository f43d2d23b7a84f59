"""Start a server on a free port with an empty store, run locust against it, and stop it.

With --upgrade, its workers (SIGHUP) and its program (SIGUSR2) are replaced in turn meanwhile. The
exit code is then 1 if a request fails, or if no transfer that lasts longer than the grace period
was cut and resumed.
"""

import argparse
import contextlib
import csv
import hashlib
import itertools
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from service import Service

ROOT = Path(__file__).parent.parent
_UPGRADE_SECONDS = 20


@contextlib.contextmanager
def serving(**settings: str) -> Iterator[str]:
    """Run a server with these settings (named without their prefix) and return its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="fileservice-load-") as store:
        defaults = {"BIND": f"127.0.0.1:{port}", "STORE_URL": store}
        variables = {f"FILESERVICE_{name}": text for name, text in (defaults | settings).items()}
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn"], cwd=ROOT, env=os.environ | variables
        )
        try:
            _wait(f"http://127.0.0.1:{port}/healthz", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(60)


@contextlib.contextmanager
def _access_file(secret: str) -> Iterator[str]:
    """Return the path of an ACCESS_FILE with one token, for names that begin with load-token-."""
    digest = hashlib.sha256(secret.encode()).hexdigest()
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(f'[tokens.load]\nhash = "sha256:{digest}"\nprefix = "load-token-"\n')
        file.write('scopes = ["list", "read", "write", "delete"]\n')
        file.flush()
        yield file.name


def _wait(url: str, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        if server.poll() is not None:
            sys.exit("the server did not start")
        time.sleep(0.05)
    sys.exit("the server did not answer within 10 s")


def _locust(
    url: str, secret: str, users: int, seconds: int, *more: str
) -> "subprocess.Popen[bytes]":
    files = [str(ROOT / "loadtest" / name) for name in ("locustfile.py", *more[:1])]
    command = [sys.executable, "-m", "locust", "-f", ",".join(files), "--headless"]
    options = ["--only-summary", "-u", str(users), "-r", "10", "-t", f"{seconds}s", "--host", url]
    return subprocess.Popen(
        [*command, *options, *more[1:]], cwd=ROOT, env=os.environ | {"LOADTEST_TOKEN": secret}
    )


def _upgrade(arguments: argparse.Namespace, secret: str, settings: dict[str, str]) -> int:
    """Replace workers and program in turn while locust runs; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="fileservice-load-") as text:
        directory = Path(text)
        service = Service(directory, GRACE_PERIOD="20s", **settings)
        try:
            csv_prefix = str(directory / "requests")
            locust = _locust(
                service.url,
                secret,
                arguments.users,
                arguments.seconds,
                "slow_transfers.py",
                "--csv",
                csv_prefix,
            )
            upgrades = itertools.cycle(
                [("SIGHUP", service.reload), ("SIGUSR2", service.replace_program)]
            )
            for name, upgrade in upgrades:
                try:
                    code = locust.wait(_UPGRADE_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    print(name, flush=True)
                    upgrade()
        finally:
            service.stop()
        with Path(f"{csv_prefix}_stats.csv").open() as file:
            counts = {row["Name"]: int(row["Request Count"]) for row in csv.DictReader(file)}
        log = (directory / "log").read_text()
    resumed = {name: count for name, count in counts.items() if "resumed" in name}
    print(f"resumed after a cut: {resumed or 'nothing'}")
    for line in log.splitlines():
        if '"cut: ' in line:  # whatever ran for longer than the grace period, also of other users
            print(line)
    if "Traceback" in log:
        print(log)
    return int(bool(code) or not resumed or "Traceback" in log)


def main() -> int:
    """Run the mix of requests and return the exit code of locust."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--upgrade", action="store_true")
    arguments = parser.parse_args()
    secret = f"fs_{secrets.token_urlsafe(32)}"
    settings = {
        "ANONYMOUS": "list,read,write,delete",
        "AUTH_FAILURE_LIMIT": "none",  # wrong credentials are part of the mix
    }
    with _access_file(secret) as access:
        settings |= {"ACCESS_FILE": access}
        if arguments.upgrade:
            return _upgrade(arguments, secret, settings)
        with serving(**settings) as url:
            return _locust(url, secret, arguments.users, arguments.seconds).wait()


if __name__ == "__main__":
    sys.exit(main())
