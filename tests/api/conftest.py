"""What the tests share: the target, secrets that are removed again, and the markers that tie tests to rules and errors.

    @rule("3.4.put.1", ...)                 the test proves these lines of rules.tsv
    @provokes("CreateSecret", "...", ...)   the test brings about these errors of this operation over HTTP
    @later("...")                           our own regions cannot do this yet: skipped there, and no proof of anything
"""
import json
import os
import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from raw import ApiError  # noqa: E402
from target import open_target  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--marks-to", metavar="FILE", help="write which test carries which mark, as JSON (proofs.py)")


def pytest_configure(config):
    config.addinivalue_line("markers", "rule(*ids): lines of rules.tsv that the test proves")
    config.addinivalue_line("markers", "provokes(operation, *errors): errors that the test brings about")
    config.addinivalue_line("markers", "later(why): not for our own regions yet")


def pytest_collection_finish(session):
    path = session.config.getoption("--marks-to")
    if path:
        marks = [{"test": item.nodeid.split("[")[0].split("/")[-1], "mark": mark.name, "args": mark.args}
                 for item in session.items if not item.get_closest_marker("later")
                 for mark in item.iter_markers() if mark.name in ("rule", "provokes")]
        pathlib.Path(path).write_text(json.dumps(marks))


def pytest_runtest_setup(item):
    mark = item.get_closest_marker("later")
    if mark and "REDOUBT_API_ENDPOINT" not in os.environ:
        pytest.skip(mark.args[0])


@pytest.fixture(scope="session")
def target():
    opened = open_target()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def api(target):
    return target.api()


class Secrets:
    """Names that nobody else has, and the removal of what was made under them."""

    def __init__(self, target):
        self.target = target
        self.run = uuid.uuid4().hex[:10]
        self.names = {}

    def unique(self, length=6):
        return uuid.uuid4().hex[:length]

    def name(self, form="{}", region=None):
        """`form` with something unique in place of {}; remembered for removal."""
        name = form.format(f"redoubt-test/{self.run}/{self.unique()}" if form == "{}" else self.unique())
        self.keep(name, region)
        return name

    def keep(self, name, region=None):
        self.names.setdefault(region or self.target.region, []).append(name)

    def make(self, value="first", form="{}", region=None, name=None, **params):
        """CreateSecret's answer. value None: without one."""
        name = name or self.name(form, region)
        kind = "SecretBinary" if isinstance(value, bytes) else "SecretString"
        return self.target.api(region).call("CreateSecret", Name=name, **{kind: value}, **params)

    def remove(self, region, name):
        api = self.target.api(region)
        try:
            api.call("DeleteSecret", SecretId=name, ForceDeleteWithoutRecovery=True)
        except ApiError as error:
            if "replica regions" in error.message:
                rows = api.call("DescribeSecret", SecretId=name)["ReplicationStatus"]
                api.call("RemoveRegionsFromReplication", SecretId=name, RemoveReplicaRegions=[row["Region"] for row in rows])
                api.call("DeleteSecret", SecretId=name, ForceDeleteWithoutRecovery=True)
            elif "on a replica secret" not in error.message:  # a replica goes with its primary
                raise

    def close(self):
        for region, names in self.names.items():
            for name in names:
                self.remove(region, name)


@pytest.fixture
def secrets(target):
    made = Secrets(target)
    yield made
    made.close()


@pytest.fixture
def replicas(target):
    if not target.replicas:
        pytest.skip("no second region: REDOUBT_API_REPLICAS is not set")
    return target.replicas


@pytest.fixture
def two_replicas(replicas):
    if len(replicas) < 2:
        pytest.skip("needs two regions in REDOUBT_API_REPLICAS")
    return replicas[:2]


@pytest.fixture
def own(target):
    """For tests that reach behind the API: only with regions that the suite started itself."""
    if not target.own:
        pytest.skip("changes the state behind the API: only for regions that the suite starts itself")
    return target
