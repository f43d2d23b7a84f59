"""The Helm chart, rendered by Helm's own library, and the manifests that are made from it."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

import fileservice
from tests.support.servers import ROOT

pytestmark = pytest.mark.thorough
CHART = str(ROOT / "deploy" / "chart.py")
BUCKET = {"store": {"url": "s3://files/store"}}

Manifests = dict[str, dict[str, Any]]


@pytest.fixture
def chart(deploy_tool: Callable[[str], str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs deploy/chart.py."""

    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [deploy_tool("python"), CHART, *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True)

    return run


@pytest.fixture
def render(
    chart: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[[dict[str, Any]], Manifests]:
    """Return a function that renders the chart with values; the manifests are by their kind."""

    def render(values: dict[str, Any]) -> Manifests:
        done = chart("render", given=json.dumps(values))
        assert done.returncode == 0, done.stderr
        return {manifest["kind"]: manifest for manifest in json.loads(done.stdout)}

    return render


def test_chart_passes_helms_lint_and_its_manifests_the_schemas_of_kubernetes(
    chart: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    found = chart("check")
    assert (found.returncode, found.stderr) == (0, ""), found.stdout


def test_chart_installs_the_image_of_this_version() -> None:
    text = (ROOT / "deploy" / "helm" / "fileservice" / "Chart.yaml").read_text()
    assert f'appVersion: "{fileservice.__version__}"' in text


def test_a_directory_is_served_by_one_pod_that_ends_before_the_next_begins(
    render: Callable[[dict[str, Any]], Manifests],
) -> None:
    manifests = render({})
    assert set(manifests) == {"Deployment", "Service", "PersistentVolumeClaim"}
    spec = manifests["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


def test_a_bucket_is_served_by_pods_that_are_added_and_replaced_one_at_a_time(
    render: Callable[[dict[str, Any]], Manifests],
) -> None:
    manifests = render(BUCKET | {"autoscaling": {"enabled": True}})
    kinds = {"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    assert set(manifests) == kinds
    spec = manifests["Deployment"]["spec"]
    assert "replicas" not in spec  # it would undo what the autoscaler has decided
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert manifests["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    metrics = manifests["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert metrics[0]["pods"]["metric"]["name"] == "fileservice_transfers_under_way"
    selectors = (
        manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        manifests["Service"]["spec"]["selector"],
    )
    pod = spec["template"]["metadata"]
    for selector in selectors:
        assert selector.items() <= pod["labels"].items()


def test_a_pod_has_the_temporary_space_that_checks_of_large_files_need(
    render: Callable[[dict[str, Any]], Manifests],
) -> None:
    def limit(values: dict[str, Any]) -> str:
        pod = render(BUCKET | values)["Deployment"]["spec"]["template"]["spec"]
        (size,) = (one["emptyDir"]["sizeLimit"] for one in pod["volumes"] if one["name"] == "tmp")
        return str(size)

    assert limit({}) == "64Mi"
    assert limit({"temporarySize": "40Gi"}) == "40Gi"


def test_a_pod_has_no_privileges_and_probes_that_the_service_answers(
    render: Callable[[dict[str, Any]], Manifests],
) -> None:
    pod = render({})["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    context = container["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "startup")}
    assert paths == {"liveness": "/livez", "startup": "/livez"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.parametrize(("drain", "grace"), [(0, 30), (15, 600)])
def test_a_pod_is_killed_only_after_its_drain_delay_and_grace_period(
    render: Callable[[dict[str, Any]], Manifests], drain: int, grace: int
) -> None:
    manifests = render({"drainDelay": drain, "gracePeriod": grace})
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {variable["name"]: variable["value"] for variable in container["env"]}
    assert variables["FILESERVICE_DRAIN_DELAY"] == f"{drain}s"
    assert variables["FILESERVICE_GRACE_PERIOD"] == f"{grace}s"
    assert pod["terminationGracePeriodSeconds"] == drain + grace + 10


def test_a_pod_has_the_variables_of_other_programs(
    render: Callable[[dict[str, Any]], Manifests],
) -> None:
    given = {"OTEL_TRACES_SAMPLER": "always_on", "OTEL_SERVICE_NAME": "files"}
    pod = render({"environment": given})["Deployment"]["spec"]["template"]["spec"]
    variables = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert given.items() <= variables.items()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"replicas": 2}, "more than one replica needs a bucket"),
        ({"autoscaling": {"enabled": True}}, "more than one replica needs a bucket"),
        ({"store": {"url": "/elsewhere"}}, "store"),
        ({"settings": {"WORKERS": 2}}, "string"),
        ({"environment": {"FILESERVICE_WORKERS": "2"}}, "FILESERVICE_WORKERS"),
        ({"replica": 1}, "replica"),
    ],
)
def test_values_that_cannot_work_are_refused_with_the_reason(
    chart: Callable[..., subprocess.CompletedProcess[str]], values: dict[str, Any], reason: str
) -> None:
    refused = chart("render", given=json.dumps(values))
    assert refused.returncode != 0
    assert reason in refused.stderr
