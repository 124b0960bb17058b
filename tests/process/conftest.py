"""One set of regions for all tests of a file that only need them to run."""
import pytest

from cluster import Cluster


@pytest.fixture(scope="module")
def running():
    with Cluster() as cluster:
        yield cluster.start()


@pytest.fixture
def fresh():
    """Prepared, not started: for tests that kill."""
    with Cluster() as cluster:
        yield cluster
