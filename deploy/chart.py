"""Lint, render and validate the Helm chart, and write the plain manifests that are made from it.

    python deploy/chart.py check
    python deploy/chart.py write
    echo '{"replicas": 1}' | python deploy/chart.py render

It needs the packages of deploy/requirements.txt.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import yaml

HERE = Path(__file__).parent
CHART = HERE / "helm" / "fileservice"
NAMESPACE = "default"
VALUES = {"directory": None, "bucket": CHART / "examples" / "bucket.yaml"}
"""The plain manifests, and the values that each of them is rendered with beside the defaults."""
OLDEST = "1.27"
"""The oldest version of Kubernetes that Chart.yaml allows."""


def values_of(name: str) -> dict[str, Any]:
    """Return the values for one of the plain manifests."""
    path = VALUES[name]
    return yaml.safe_load(path.read_text()) if path else {}


def render(values: dict[str, Any]) -> str:
    """Return the manifests for these values, as `helm template fileservice` does."""
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        rendered = chart.render(values, name="fileservice", namespace=NAMESPACE)
    manifests = [text.strip() for path, text in sorted(rendered.items()) if path.endswith(".yaml")]
    return "\n---\n".join(text for text in manifests if text) + "\n"


def plain(name: str) -> str:
    """Return the text of deploy/kubernetes/NAME.yaml."""
    given = VALUES[name]
    source = f" and {given.relative_to(HERE.parent)}" if given else ""
    return f"# Made from deploy/helm/fileservice{source} by `make manifests`.\n" + render(
        values_of(name)
    )


def mistakes(name: str) -> Iterator[str]:
    """Yield what is wrong with this manifest, and with the chart and the values for it."""
    values = values_of(name)
    report = helm_python.lint(CHART, values, strict=True, kube_version=f"v{OLDEST}.0")
    for message in report["messages"]:
        if message["severity"] > 1:
            yield f"{message['path']}: {message['error']}"
    yield from report["errors"]
    text = plain(name)
    path = HERE / "kubernetes" / f"{name}.yaml"
    if not path.exists() or path.read_text() != text:
        yield f"{path.name} is not what the chart renders: run `make manifests`"
    for manifest in yaml.safe_load_all(text):
        for version in (OLDEST, kubernetes_validate.latest_version()):
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{manifest['kind']} for {version}: {error.path}: {error.message}"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["check", "write", "render"])
    match parser.parse_args().command:
        case "write":
            for name in VALUES:
                (HERE / "kubernetes" / f"{name}.yaml").write_text(plain(name))
        case "render":  # with the values that standard input has, as JSON; prints JSON
            print(json.dumps(list(yaml.safe_load_all(render(json.load(sys.stdin))))))
        case "check":
            found = [f"{name}: {mistake}" for name in VALUES for mistake in mistakes(name)]
            print("\n".join(found) or "the chart and the manifests are valid")
            return bool(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
