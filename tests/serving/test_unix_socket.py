"""The service on a Unix socket, behind a proxy of the same group."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from tests.support.servers import ROOT
from tests.support.unix_sockets import accepts, connect
from tests.support.wire import eventually, request


def test_unix_socket_is_open_to_owner_and_group_only(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    environ = {name: text for name, text in os.environ.items() if "FILESERVICE" not in name}
    environ |= {
        "FILESERVICE_BIND": f"unix:{path}",
        "FILESERVICE_STORE_URL": str(tmp_path / "store"),
        "FILESERVICE_WORKERS": "1",
    }
    server = subprocess.Popen([sys.executable, "-m", "gunicorn"], cwd=ROOT, env=environ)
    try:
        eventually(lambda: accepts(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with connect(path) as client:
            client.sendall(request("GET /healthz", "Connection: close"))
            assert client.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
