"""Fixtures: a cluster on this machine, as `make cluster` starts it."""

from collections.abc import Iterator

import pytest

from cluster.run import Cluster, running
from tests.clients.conftest import make_text, tus_js, tuspy
from tests.support.requirements import require

__all__ = ["make_text", "tus_js", "tuspy"]


@pytest.fixture(scope="session")
def cluster(nginx: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """nginx, three replicas with a worker each, and SeaweedFS."""
    try:
        import boto3  # noqa: F401
    except ImportError:
        require("boto3 is not installed")
    with running(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
