"""Fixtures: a cluster on this machine, as `make cluster` starts it."""

from collections.abc import Iterator

import pytest
from needs import require
from tus_clients.conftest import make_text, tus_js, tuspy

from cluster.run import Cluster, running

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
