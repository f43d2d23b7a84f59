"""What is deployed beside the service: alert rules and the dashboard ask for metrics that exist."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fileservice.observability import RequestMetrics, SharedRows
from fileservice.observability.exposition import StoreFigures, text
from fileservice.observability.request_metrics import STORE
from fileservice.request_record import RequestRecord
from fileservice.web.problems import TABLE

DEPLOY = Path(__file__).parent.parent / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
_METRIC = re.compile(r"\bfileservice_\w+")


@pytest.fixture(scope="module")
def metrics() -> str:
    """A text with every metric."""
    rows = SharedRows()
    counted = RequestMetrics(rows.slot(0))
    record = RequestRecord("POST")
    record.route, record.action, record.status = "/links", "share", 201
    record.problem = "busy"
    record.stages = type(record.stages)(sync=0.1)
    counted.observe([record], (), 0.1)
    rows.slot(0).row(f"{STORE}|open")[0] = 1
    return text(rows.sums(), StoreFigures(1, 1, 1, 1, 1), "1.0").decode()


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield DASHBOARD["templating"]["list"][1]["query"]["query"]
    yield from re.findall(r"expr: (\|\n(?: {10,}.*\n)+|.*\n)", ALERTS.read_text())


def test_alerts_and_the_dashboard_ask_for_metrics_that_exist(metrics: str) -> None:
    served = set(re.findall(r"^(\w+)(?:\{| )", metrics, re.MULTILINE))
    asked = {name for query in queries() for name in _METRIC.findall(query)}
    assert len(asked) > 15
    assert asked <= served


def test_the_dashboard_shows_every_metric(metrics: str) -> None:
    families = set(re.findall(r"^# TYPE (fileservice_\w+) ", metrics, re.MULTILINE))
    shown = {re.sub("_bucket$", "", name) for query in queries() for name in _METRIC.findall(query)}
    assert families <= shown


def test_alerts_name_problems_that_exist() -> None:
    named = re.findall(r'code=~?"([^"]+)"', " ".join(queries()))
    codes = {code for pattern in named for code in pattern.split("|")}
    assert codes
    assert codes <= {row.code for row in TABLE}


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_alert_rules_do_what_their_tests_say(tool: Callable[[str], str]) -> None:
    promtool = tool("promtool")
    for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        ended = subprocess.run(
            [promtool, *arguments], cwd=ALERTS.parent, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_prometheus_reads_the_metrics(tool: Callable[[str], str], metrics: str) -> None:
    ended = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=metrics, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
