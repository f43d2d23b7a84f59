"""The profiles of docker-compose.yml fit together.

`make image-test` runs those for ClamAV and Redis.
"""

import re
import subprocess
from collections.abc import Callable

from tests.support.servers import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text()
CLAMD = ROOT / "deploy" / "clamav" / "clamd.conf"
PROMETHEUS = ROOT / "deploy" / "prometheus" / "prometheus.yml"


def service(name: str) -> str:
    """The lines of docker-compose.yml about this service."""
    (block,) = re.findall(rf"^  {name}:\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    return str(block)


def test_only_the_service_itself_starts_without_a_profile() -> None:
    names = re.findall(r"^  (\w+):\n    ", COMPOSE, re.MULTILINE)
    assert {name for name in names if "    profiles:\n" not in service(name)} == {"fileservice"}


def test_every_service_is_without_capabilities_and_on_a_read_only_file_system() -> None:
    for name in ("fileservice", "clamav", "redis", "prometheus"):
        for line in ("read_only: true", "- ALL", "- no-new-privileges:true"):
            assert line in service(name)


def test_clamd_looks_at_every_file_of_the_size_that_its_profile_allows() -> None:
    (allowed,) = re.findall(r"FILESERVICE_MAX_FILE_SIZE=(\d+)MiB", COMPOSE)
    configured = dict(line.split() for line in CLAMD.read_text().splitlines() if line[:1].isalpha())
    for name in ("StreamMaxLength", "MaxFileSize", "MaxScanSize"):
        assert configured[name] == f"{allowed}M"
    assert configured["AlertExceedsMax"] == "yes"
    assert f"FILESERVICE_CLAMD_URL=tcp://clamav:{configured['TCPSocket']}" in COMPOSE
    assert f"./{CLAMD.relative_to(ROOT)}:/etc/clamav/clamd.conf:ro" in service("clamav")


def test_prometheus_finds_its_configuration_and_its_token_where_they_are_mounted() -> None:
    mounted = dict(re.findall(r"- (\S+?):(/\S+?)(?::ro)?$", service("prometheus"), re.MULTILINE))
    assert mounted["./deploy/prometheus"] == "/etc/prometheus"
    (token,) = re.findall(r"credentials_file: (\S+)", PROMETHEUS.read_text())
    assert token in mounted.values() or f":{token}:ro" in service("prometheus")
    assert "- fileservice:8000" in PROMETHEUS.read_text()


def test_prometheus_accepts_its_configuration(tool: Callable[[str], str]) -> None:
    command = [tool("promtool"), "check", "config", "--syntax-only", str(PROMETHEUS)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
