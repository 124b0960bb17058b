"""What the suite is pointed at: a service that the environment names, or regions of our own that it starts.

    REDOUBT_API_ENDPOINT    e.g. https://secretsmanager.eu-west-1.amazonaws.com; absent: our own regions (tests/process/cluster.py)
    REDOUBT_API_REGION      its region (or AWS_DEFAULT_REGION, AWS_REGION)
    REDOUBT_API_REPLICAS    further regions for replicas: us-west-2=https://...,eu-west-1=https://...
    REDOUBT_API_FUNCTION    ARN of a rotation function that does what AWS's generic template does
    REDOUBT_API_KMS_KEY     id or ARN of a customer managed key in the region

Credentials come from where botocore finds them. What is absent costs the tests that need it, which say so.
"""
import os
import pathlib
import subprocess
import sys
import time

import botocore.session

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "process"))  # behind: both folders may have a test of one name

from cluster import ACCOUNT, BINARY, Cluster  # noqa: E402
from raw import Api  # noqa: E402

OWN_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
TAMPER = os.environ.get("REDOUBT_TAMPER") or str(pathlib.Path(BINARY).parent / "tests" / "api" / "tamper")


class Target:
    """`regions`: the first is where tests work, the others are for replicas."""

    own = False
    settle = 0.0  # seconds to wait after a write, for services that answer from an old state for a moment
    patience = 30.0  # seconds within which what happens by itself has happened
    function = None  # ARN of a rotation function
    plays_functions = False  # nobody invokes it: tests play it (template.py)
    kms_key = None  # another key than the default one

    def __init__(self, endpoints, access_key, secret_key, session_token=None):
        self.endpoints = dict(endpoints)
        self.regions = list(self.endpoints)
        self.region = self.regions[0]
        self.replicas = self.regions[1:]
        self.access_key, self.secret_key, self.session_token = access_key, secret_key, session_token
        self.apis = {}

    def api(self, region=None):
        """Signed requests as they are on the wire, one connection a region."""
        region = region or self.region
        if region not in self.apis:
            self.apis[region] = Api(region, self.endpoints[region], self.access_key, self.secret_key, self.session_token, self.settle)
        return self.apis[region]

    def environment(self):
        """For clients that are processes."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        env.update(AWS_ACCESS_KEY_ID=self.access_key, AWS_SECRET_ACCESS_KEY=self.secret_key, AWS_DEFAULT_REGION=self.region,
                   AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true")
        if self.session_token:
            env["AWS_SESSION_TOKEN"] = self.session_token
        return env

    def close(self):
        for api in self.apis.values():
            api.close()


class External(Target):
    settle = float(os.environ.get("REDOUBT_API_SETTLE", "1"))
    patience = 330.0  # ListSecrets may be five minutes late (AWS_BEHAVIOUR 1.12)

    def __init__(self):
        region = next((os.environ[k] for k in ("REDOUBT_API_REGION", "AWS_DEFAULT_REGION", "AWS_REGION") if k in os.environ), None)
        if region is None:
            raise RuntimeError("REDOUBT_API_ENDPOINT is set: set REDOUBT_API_REGION too")
        found = botocore.session.get_session().get_credentials()
        if found is None:
            raise RuntimeError("REDOUBT_API_ENDPOINT is set, but botocore finds no credentials")
        keys = found.get_frozen_credentials()
        endpoints = {region: os.environ["REDOUBT_API_ENDPOINT"]}
        for pair in filter(None, os.environ.get("REDOUBT_API_REPLICAS", "").split(",")):
            name, _, endpoint = pair.partition("=")
            endpoints[name] = endpoint
        super().__init__(endpoints, keys.access_key, keys.secret_key, keys.token)
        self.kms_key = os.environ.get("REDOUBT_API_KMS_KEY")
        self.function = os.environ.get("REDOUBT_API_FUNCTION")


class Own(Target):
    """Regions that the suite starts. What no request can make yet, a second KMS key, is put into their stores before (tamper.c)."""

    own = True
    kms_key = "alias/redoubt-test"
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:redoubt-test"
    plays_functions = True

    def __init__(self, regions=OWN_REGIONS):
        self.cluster = Cluster(regions=regions)
        try:
            super().__init__({r: self.cluster.endpoint(r) for r in regions}, self.cluster.access_key, self.cluster.secret_key)
            for region in regions:
                if region != regions[-1]:  # one region has no endpoint for functions
                    path = self.cluster.data / region / "redoubt.conf"
                    path.write_text(with_functions(path.read_text(), "http://127.0.0.1:9"))
                self.kms_key_id = self.tamper(region, "new-key", ACCOUNT, self.kms_key, self.cluster.data / region / "root.key", region)
            self.cluster.start()
        except BaseException:
            self.close()
            raise

    def tamper(self, region, what, *arguments):
        """With the region's server stopped."""
        (self.cluster.data / region / "data").mkdir(mode=0o700, exist_ok=True)
        store = self.cluster.data / region / "data" / "store"
        done = subprocess.run([TAMPER, store, what, *map(str, arguments)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def tamper_running(self, what, *arguments):
        """In the first region, whose server is stopped for that."""
        self.apis.pop(self.region).close()
        self.cluster.stop(self.region)
        self.tamper(self.region, what, *arguments)
        self.cluster.start(self.region)

    def close(self):
        super().close()
        try:
            self.cluster.close()  # a process that complains when it stops is a failure
        finally:
            for process in self.cluster.processes.values():
                process.kill()
                process.wait()


def with_functions(text, endpoint):
    """The configuration with our endpoint for rotation functions, whether or not it has the section."""
    lines = [line for line in text.splitlines() if not line.startswith("lambda_endpoint")]
    section = "[rotation]"
    at = lines.index(section) + 1 if section in lines else len(lines)
    if section not in lines:
        lines += [section]
        at = len(lines)
    return "\n".join(lines[:at] + [f"lambda_endpoint = {endpoint}"] + lines[at:]) + "\n"


def open_target():
    return External() if os.environ.get("REDOUBT_API_ENDPOINT") else Own()


def eventually(check, seconds, what, every=0.02):
    """Calls check() until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s (last: {value!r})")
        time.sleep(every)
