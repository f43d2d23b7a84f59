"""The dashboard asks a real Prometheus, which reads a real service."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.links import LinkMaker
from tests.support.ports import free_port
from tests.support.servers import ROOT, LiveServer
from tests.support.wire import eventually

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
TEXT = b"some text\n"


def queries() -> Iterator[str]:
    """Those of all panels, with what Grafana would put in them."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "15s").replace("$instance", ".*")
            assert "$" not in query
            yield query


@contextmanager
def prometheus(program: str, directory: Path, port_of_service: int) -> Iterator[httpx.Client]:
    """Run Prometheus, which reads the metrics of the service every second; yield a client of it."""
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {
                "job_name": "fileservice",
                "static_configs": [{"targets": [f"127.0.0.1:{port_of_service}"]}],
            }
        ],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))  # which is YAML as well
    port = free_port()
    process = subprocess.Popen(
        [
            program,
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30) as client:
            yield client
    finally:
        process.kill()
        process.wait()


def use(server: LiveServer, stopped: threading.Event) -> None:
    """Use every part of the service, again and again, so that all counters grow."""
    links, number = LinkMaker.of(server), 0
    with server.client() as client:
        while not stopped.wait(0.2):
            number += 1
            client.put(f"/upload/{number}.txt", content=TEXT)
            client.get(links.download(f"{number}.txt").file)
            client.get("/download/absent.txt")


def has_data(client: httpx.Client, query: str) -> bool:
    with suppress(httpx.TransportError):
        answer = client.get("/query", params={"query": query})
        assert answer.status_code != 400, answer.text  # it is no query
        if answer.status_code == 200:
            values = [sample["value"][1] for sample in answer.json()["data"]["result"]]
            return any(value != "NaN" for value in values)
    return False


@pytest.mark.thorough
@pytest.mark.usefixtures("over_a_directory")
def test_every_query_of_the_dashboard_finds_data_of_a_service_that_is_used(
    start_server: Callable[..., LiveServer], tool: Callable[[str], str], tmp_path: Path
) -> None:
    server, stopped = start_server(), threading.Event()
    user = threading.Thread(target=use, args=(server, stopped))
    user.start()
    try:
        with prometheus(tool("prometheus"), tmp_path, server.port) as client:
            without = list(queries())
            assert len(without) > 20

            def all_have_data() -> bool:
                without[:] = [query for query in without if not has_data(client, query)]
                return not without

            with suppress(AssertionError):
                eventually(all_have_data, seconds=60)
            assert without == []
    finally:
        stopped.set()
        user.join()
