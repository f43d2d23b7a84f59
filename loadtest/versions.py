"""How each contender is set up, and its version: what docs/performance.md says about them."""

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import file_servers
import web_servers

_SETUPS: dict[str, Callable[..., Any]] = {
    "nginx": web_servers.nginx,
    "apache": web_servers.apache,
    "lighttpd": web_servers.lighttpd,
    "copyparty": file_servers.copyparty,
    "rclone": file_servers.rclone,
    "wsgidav": file_servers.wsgidav,
    "uploadserver": file_servers.uploadserver,
    "@tus/server": file_servers.tus_server,
    "SeaweedFS": file_servers.seaweed_filer,
}
_OURS = {
    "limit": "`loadtest/limit.py`: a loop of bare system calls in one process. "
    "PUT is `recv_into` (2 MiB), SHA-256 in the same or in a second thread or none, `write`, "
    "`fsync`, `link`, `fsync` of the directory; GET is `sendfile`.",
    "stock": "This service with its defaults, on gunicorn's own gevent worker.",
}
_COMMANDS = {
    "nginx": ["/usr/sbin/nginx", "-v"],
    "apache": ["/usr/sbin/apache2", "-v"],
    "lighttpd": ["/usr/sbin/lighttpd", "-v"],
    "rclone": [str(file_servers.PEERS / "bin/rclone"), "version"],
    "SeaweedFS": [str(Path(sys.executable).parent / "weed"), "version"],
}
_PACKAGES = {"copyparty": "copyparty", "wsgidav": "wsgidav", "uploadserver": "uploadserver"}


def peers() -> dict[str, dict[str, str]]:
    """Return the version of each contender, empty where it is not installed, and its set-up."""
    setups = {name: (setup.__doc__ or "").removeprefix("Run ") for name, setup in _SETUPS.items()}
    return {
        name: {"version": _version(name), "setup": " ".join(setup.split())}
        for name, setup in (setups | _OURS).items()
    }


def _version(name: str) -> str:
    if name == "stock":
        return f"gunicorn {version('gunicorn')}, gevent {version('gevent')}"
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        if name == "@tus/server":
            package = file_servers.PEERS / "node/node_modules/@tus/server/package.json"
            return str(json.loads(package.read_text())["version"])
        if name in _PACKAGES:
            code = f"import importlib.metadata as m; print(m.version({_PACKAGES[name]!r}))"
            command = [str(file_servers.PEERS / "bin/python"), "-c", code]
        elif name in _COMMANDS:
            command = _COMMANDS[name]
        else:
            return ""
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
        return found[0] if found else ""
    return ""
