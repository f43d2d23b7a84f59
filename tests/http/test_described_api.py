"""The service does what its description says, whatever schemathesis makes of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.servers import LiveServer
from tests.support.tus import VERSION, named

SCHEMATHESIS = "from schemathesis.cli import schemathesis; schemathesis()"
CONFIGURATION = """\
hooks = "tests.support.schemathesis_hooks"

[parameters]
"path.name" = {names}
"path.upload" = {uploads}

# HEAD and OPTIONS are answered where nothing is described, and TRACE is the same everywhere.
[phases.coverage]
unexpected-methods = ["DELETE", "PATCH", "POST", "PUT"]

# That a part of the request is missing is 411 for a body, and 412 for Tus-Resumable by tus 1.0.0.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "410", "411", "412", "415", "423"]

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "411", "412", "415"]

# Which arguments belong together, and which content belongs to which name, OpenAPI cannot express.
[checks.positive_data_acceptance]
enabled = false
"""


@pytest.mark.thorough
@pytest.mark.timeout(900)  # more than a thousand requests, whatever the machine does besides
def test_schemathesis_finds_nothing(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    server = start_server()
    names = ["a.txt", "b.txt"]
    httpx.put(f"{server.url}/upload/a.txt", content=b"some text\n").raise_for_status()
    fields = VERSION | {"Upload-Length": "20"} | named("c.txt")
    created = httpx.post(f"{server.url}/tus/", headers=fields).raise_for_status()
    upload = created.headers["Location"].rpartition("/")[2]
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(
        CONFIGURATION.format(names=json.dumps(names), uploads=json.dumps([upload, "0" * 32]))
    )
    ended = subprocess.run(
        [
            *(sys.executable, "-c", SCHEMATHESIS, "--config-file", configuration, "--no-color"),
            *("run", f"{server.url}/openapi.json", "--phases", "coverage,fuzzing"),
            *("--max-examples", "10", "--generation-deterministic", "--continue-on-failure"),
            *("--warnings", "off"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "generated" in ended.stdout
    assert "Traceback" not in server.log()
