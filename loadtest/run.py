"""Start a server on a free port with an empty store, run locust against it, and stop it."""

import argparse
import contextlib
import hashlib
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

ROOT = Path(__file__).parent.parent


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


def main() -> int:
    """Run the mix of requests and return the exit code of locust."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--users", type=int, default=20)
    arguments = parser.parse_args()
    secret = f"fs_{secrets.token_urlsafe(32)}"
    settings = {
        "ANONYMOUS": "list,read,write,delete",
        "AUTH_FAILURE_LIMIT": "none",  # wrong credentials are part of the mix
    }
    with _access_file(secret) as access, serving(ACCESS_FILE=access, **settings) as url:
        locust = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest/locustfile.py")]
        options = ["--headless", "--only-summary", "-u", str(arguments.users), "-r", "10"]
        return subprocess.call(
            [*locust, *options, "-t", f"{arguments.seconds}s", "--host", url],
            cwd=ROOT,
            env=os.environ | {"LOADTEST_TOKEN": secret},
        )


if __name__ == "__main__":
    sys.exit(main())
