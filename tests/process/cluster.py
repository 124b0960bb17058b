"""Regions as real processes for tests: made by `redoubt dev --start no`, then started, killed and restarted one by one.

Everything binds to loopback on ports that were free a moment ago, lives in one temporary folder, and is gone at the end.
"""
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

import boto3
import botocore.config

BINARY = os.environ.get("REDOUBT_BINARY") or str(pathlib.Path(__file__).resolve().parents[2] / "build" / "redoubt")
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
ACCOUNT = "123456789012"
PEER_OFFSET, METRICS_OFFSET = 1000, 3000  # server/dev.h
PORT_STEP = 10
MAKING_CLIENTS = threading.Lock()
START_SECONDS = 60  # a sanitizer build on a busy machine


def free_base_port(n_regions):
    """A port P such that P + 10 i and all doors above it are free now. Below the ephemeral range, so that no client socket takes one."""
    for _ in range(200):
        base = random.randrange(10000, 29000)
        sockets = []
        try:
            for i in range(n_regions):
                for offset in (0, PEER_OFFSET, METRICS_OFFSET):
                    s = socket.socket()
                    sockets.append(s)
                    s.bind(("127.0.0.1", base + PORT_STEP * i + offset))
            return base
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise RuntimeError("no free ports")


def eventually(check, seconds=30.0, every=0.02, what="condition"):
    """Calls check() until it returns something true; returns that. Fails after `seconds` with the last value."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s (last: {value!r})")
        time.sleep(every)


class Cluster:
    def __init__(self, regions=REGIONS, keep=False, options=()):
        """`options` go to `redoubt dev`, which writes the configurations."""
        self.regions = list(regions)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="redoubt-test-"))
        self.data = self.folder / "data"
        self.port = free_base_port(len(self.regions))
        self.processes = {}
        self.keep = keep
        subprocess.run(
            [BINARY, "dev", "--start", "no", "--data", str(self.data), "--port", str(self.port),
             "--regions", ",".join(self.regions), "--account", ACCOUNT, *options],
            check=True, timeout=60)
        fields = next(line for line in (self.data / "credentials").read_text().splitlines()
                      if line and not line.startswith("#")).split()
        self.access_key, self.secret_key = fields[0], fields[1]

    # -- processes --

    def endpoint(self, region):
        return f"http://127.0.0.1:{self.port + PORT_STEP * self.regions.index(region)}"

    def metrics_endpoint(self, region):
        return f"http://127.0.0.1:{self.port + METRICS_OFFSET + PORT_STEP * self.regions.index(region)}"

    def log_path(self, region):
        return self.folder / f"{region}.log"

    def start(self, *regions, wait=True, env=None, files=None):
        """`files`: the limit of open files, soft and hard."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        for region in regions or self.regions:
            assert region not in self.processes, f"{region} runs already"
            with open(self.log_path(region), "ab") as log:
                self.processes[region] = subprocess.Popen(
                    [BINARY, "server", "--config", str(self.data / region / "redoubt.conf")],
                    stdout=log, stderr=log, env={**os.environ, **(env or {})}, preexec_fn=limit if files else None)
        if wait:
            for region in regions or self.regions:
                self.wait_ready(region)
        return self

    def wait_ready(self, region, seconds=START_SECONDS):
        def ready():
            assert self.processes[region].poll() is None, \
                f"{region} ended with {self.processes[region].returncode}:\n{self.tail(region)}"
            try:
                with urllib.request.urlopen(self.endpoint(region) + "/health", timeout=2) as answer:
                    return answer.status == 200
            except OSError:
                return False
        eventually(ready, seconds, what=f"health of {region}")

    def kill(self, region, signal_number=signal.SIGKILL):
        process = self.processes.pop(region)
        assert process.poll() is None, f"{region} died by itself with {process.returncode}:\n{self.tail(region)}"
        process.send_signal(signal_number)
        process.wait(timeout=60)
        return process.returncode

    def stop(self, region):
        """An orderly stop; a sanitizer's complaint is a failure."""
        code = self.kill(region, signal.SIGTERM)
        assert code == 0, f"{region} stopped with {code}:\n{self.tail(region)}"

    def tail(self, region, size=6000):
        return self.log_path(region).read_text(errors="replace")[-size:]

    def close(self):
        for region in list(self.processes):
            self.stop(region)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is not None:
                for region in self.regions:
                    if self.log_path(region).exists():
                        print(f"--- log of {region}\n{self.tail(region, 3000)}")
                for process in self.processes.values():
                    process.kill()
                    process.wait()
                self.processes.clear()
        finally:
            self.close()

    # -- clients --

    def client(self, region, via=None, retries=0, **kwargs):
        """boto3 for `region`, through the endpoint of `via` (its own by default). A client may be used by several threads; boto3's
        making of one may not."""
        with MAKING_CLIENTS:
            return boto3.client(
                "secretsmanager", region_name=region, endpoint_url=self.endpoint(via or region),
                aws_access_key_id=kwargs.pop("access_key", self.access_key),
                aws_secret_access_key=kwargs.pop("secret_key", self.secret_key), aws_session_token=kwargs.pop("session_token", None),
                config=botocore.config.Config(retries=retries if isinstance(retries, dict) else {"max_attempts": retries},
                                              connect_timeout=5, read_timeout=30, **kwargs))

    def environment(self):
        """What `redoubt dev` exports, for command line clients."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        env.update(AWS_ACCESS_KEY_ID=self.access_key, AWS_SECRET_ACCESS_KEY=self.secret_key,
                   AWS_DEFAULT_REGION=self.regions[0], AWS_ENDPOINT_URL=self.endpoint(self.regions[0]),
                   AWS_ENDPOINT_URL_SECRETS_MANAGER=self.endpoint(self.regions[0]),
                   AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true")
        return env


def statuses(client, name):
    """{region: (status, message)} of a primary."""
    answer = client.describe_secret(SecretId=name)
    return {row["Region"]: (row["Status"], row.get("StatusMessage")) for row in answer.get("ReplicationStatus", [])}


def wait_in_sync(client, name, regions, seconds=30.0):
    eventually(lambda: {r: s for r, (s, _) in statuses(client, name).items()} == {r: "InSync" for r in regions},
               seconds, what=f"{name} InSync in {regions}")
