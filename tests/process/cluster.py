"""Regions as real processes for tests: made by `redoubt dev --start no`, then started, killed and restarted one by one.

Everything binds to loopback on ports that were free a moment ago, lives in one temporary folder, and is gone at the end.
"""
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import boto3
import botocore.config

BINARY = os.environ.get("REDOUBT_BINARY") or str(pathlib.Path(__file__).resolve().parents[2] / "build" / "redoubt")
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
ACCOUNT = "123456789012"
DOOR_OFFSETS = (0, 1000, 2000, 3000)  # API, peers, Raft, metrics: server/dev.h
PORT_STEP = 10
MAKING_CLIENTS = threading.Lock()
START_SECONDS = 60  # a sanitizer build on a busy machine


def free_base_port(n_regions, n_nodes=1):
    """A port P such that P + 10 i + j and those at fixed offsets above are free now. Below the ephemeral range, so that no client
    socket takes one."""
    for _ in range(200):
        base = random.randrange(10000, 29000)
        sockets = []
        try:
            for i, j, offset in itertools.product(range(n_regions), range(n_nodes), DOOR_OFFSETS):
                s = socket.socket()
                sockets.append(s)
                s.bind(("127.0.0.1", base + PORT_STEP * i + j + offset))
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


def threads_are_stopped(pid):
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] in "Tt" for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


class Cluster:
    """A node is named as `redoubt fault` names it: "us-east-1" in regions of one node, "us-east-1/0" and so on in larger ones, where
    "us-east-1" means all nodes of the region (or its node 0, as an endpoint)."""

    def __init__(self, regions=REGIONS, keep=False, options=(), nodes=1, spares=0):
        """`options` go to `redoubt dev`, which writes the configurations. `spares`: so many nodes a region may add_node() later."""
        self.regions = list(regions)
        self.n_nodes = nodes
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="redoubt-test-"))
        self.data = self.folder / "data"
        self.port = free_base_port(len(self.regions), nodes + spares)
        self.processes = {}  # node: what runs
        self.paused = set()
        self.binaries = {}  # node: the program that it is, where that is another one than BINARY
        self.keep = keep
        self.prepare(*options)
        fields = next(line for line in (self.data / "credentials").read_text().splitlines()
                      if line and not line.startswith("#")).split()
        self.access_key, self.secret_key = fields[0], fields[1]

    def prepare(self, *options):
        subprocess.run(
            [BINARY, "dev", "--start", "no", "--data", str(self.data), "--port", str(self.port), "--nodes", str(self.n_nodes),
             "--regions", ",".join(self.regions), "--account", ACCOUNT, *options],
            check=True, timeout=60)

    def add_node(self, region):
        """The folder and the configuration of one more node of every region, with neither data nor certificates; what an operator
        prepares before `redoubt node join`. Returns its name in `region`."""
        number, self.n_nodes = self.n_nodes, self.n_nodes + 1
        for name in self.regions:
            folder = self.node_folder(f"{name}/{number}")
            folder.mkdir()
            (folder / "data").mkdir(mode=0o700)
            text = self.config(f"{name}/0").read_text()
            text = re.sub(r"(?m)^(listen|address) = (.*):(\d+)$", lambda m: f"{m[1]} = {m[2]}:{int(m[3]) + number}", text)
            text = re.sub(r"(?m)^ca_key = .*\n", "", text)
            text = re.sub(r"(?m)^ca = .*$", "ca = ca.crt", text)
            self.config(f"{name}/{number}").write_text(text)
        return f"{region}/{number}"

    def node_command(self, name, verb, *arguments, text=None, fails=False):
        """`redoubt node VERB` with the configuration of a node; what it printed. With `fails` it must not succeed."""
        done = subprocess.run([self.binary(name), "node", verb, *arguments, "--config", str(self.config(name))], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        assert (done.returncode != 0) == fails, f"node {verb} {' '.join(arguments)} on {name}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def node_id(self, name):
        return self.node_command(name, "id").strip()

    def metric(self, name, metric):
        """The first sample of a metric (with its labels, or without) of a running node; None when there is none."""
        with urllib.request.urlopen(self.metrics_endpoint(name) + "/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith((metric + " ", metric + "{")):
                    return float(line.rsplit(" ", 1)[1])
        return None

    # -- names --

    def nodes_of(self, *names):
        """The nodes that these names mean; all without names."""
        nodes = []
        for name in names or self.regions:
            region, _, number = name.partition("/")
            assert region in self.regions and (not number or int(number) < self.n_nodes), name
            if number or self.n_nodes == 1:
                nodes.append(name)
            else:
                nodes += [f"{region}/{j}" for j in range(self.n_nodes)]
        return nodes

    def node(self, name):
        """The one node that this name means: of a region its first."""
        return self.nodes_of(name)[0]

    def region_of(self, node):
        return node.partition("/")[0]

    def node_folder(self, name):
        return self.data / self.node(name)

    def config(self, name):
        return self.node_folder(name) / "redoubt.conf"

    def node_data(self, name):
        return self.node_folder(name) / "data"

    def host(self, name):
        """Where this node listens."""
        return "127.0.0.1"

    def binary(self, name):
        return self.binaries.get(self.node(name), BINARY)

    def command(self, node):
        """What runs this node."""
        return [self.binary(node), "server", "--config", str(self.config(node))]

    def endpoint(self, name):
        region, _, number = name.partition("/")
        return f"http://{self.host(name)}:{self.port + PORT_STEP * self.regions.index(region) + int(number or 0)}"

    def metrics_endpoint(self, name):
        region, _, number = name.partition("/")
        return f"http://{self.host(name)}:{self.port + DOOR_OFFSETS[-1] + PORT_STEP * self.regions.index(region) + int(number or 0)}"

    def endpoints(self, region):
        return [self.endpoint(node) for node in self.nodes_of(region)]

    def log_path(self, name):
        return self.folder / (self.node(name).replace("/", ".") + ".log")

    def tail(self, name, size=6000):
        return self.log_path(name).read_text(errors="replace")[-size:]

    # -- processes --

    def start(self, *names, wait=True, env=None, files=None):
        """`files`: the limit of open files, soft and hard."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        for node in self.nodes_of(*names):
            assert node not in self.processes, f"{node} runs already"
            with open(self.log_path(node), "ab") as log:
                self.processes[node] = subprocess.Popen(
                    self.command(node),
                    stdout=log, stderr=log, env={**os.environ, **(env or {})}, preexec_fn=limit if files else None)
        if wait:
            for name in names or self.regions:
                self.wait_ready(name)
        return self

    def health(self, node, timeout=2.0):
        """(HTTP status, what it says) of a node; (0, {}) without an answer."""
        try:
            with urllib.request.urlopen(self.endpoint(node) + "/health", timeout=timeout) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            try:
                return error.code, json.loads(error.read())
            except (OSError, ValueError):
                return error.code, {}
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}

    def leader(self, region):
        """The node that leads, as the running ones say; None while that is not exactly one."""
        leaders = [node for node in self.nodes_of(region) if node in self.processes and node not in self.paused
                   and self.health(node)[1].get("role") == "leader"]
        return leaders[0] if len(leaders) == 1 else None

    def wait_leader(self, region, seconds=START_SECONDS, other_than=None):
        return eventually(lambda: (lambda node: node if node != other_than else None)(self.leader(region)),
                          seconds, what=f"a leader of {region}")

    def followers(self, region):
        """The running nodes that do not lead."""
        leader = self.wait_leader(region)
        return [node for node in self.nodes_of(region) if node in self.processes and node not in self.paused and node != leader]

    def wait_ready(self, name, seconds=START_SECONDS):
        """Every running node of the region, or this one, serves, which means that there is a leader."""
        def ready(node):
            assert self.processes[node].poll() is None, \
                f"{node} ended with {self.processes[node].returncode}:\n{self.tail(node)}"
            return self.health(node)[0] == 200
        for node in self.nodes_of(name):
            if node in self.processes and node not in self.paused:
                eventually(lambda node=node: ready(node), seconds, what=f"health of {node}")

    def kill(self, name, signal_number=signal.SIGKILL):
        """Ends what runs of these nodes. Returns an exit status that is not 0, if there is one."""
        nodes = [node for node in self.nodes_of(name) if node in self.processes]
        assert nodes, f"nothing of {name} runs"
        processes = {node: self.processes.pop(node) for node in nodes}
        for node, process in processes.items():
            assert process.poll() is None, f"{node} died by itself with {process.returncode}:\n{self.tail(node)}"
            process.send_signal(signal_number)
            if node in self.paused:
                process.send_signal(signal.SIGCONT)
                self.paused.discard(node)
        return max((process.wait(timeout=60) for process in processes.values()), key=abs)

    def stop(self, name):
        """An orderly stop; a sanitizer's complaint is a failure."""
        code = self.kill(name, signal.SIGTERM)
        assert code == 0, f"{name} stopped with {code}:\n" + "\n".join(self.tail(node) for node in self.nodes_of(name))

    def pause(self, name):
        for node in self.nodes_of(name):
            self.processes[node].send_signal(signal.SIGSTOP)
            self.paused.add(node)
        # On a busy machine the other threads run on until the one that takes the signal gets its turn.
        for node in self.nodes_of(name):
            eventually(lambda node=node: threads_are_stopped(self.processes[node].pid), what=f"{node} stops")

    def resume(self, name):
        for node in self.nodes_of(name):
            self.processes[node].send_signal(signal.SIGCONT)
            self.paused.discard(node)

    def close(self):
        for region in sorted({self.region_of(node) for node in self.processes}):
            self.stop(region)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is not None:
                for node in self.nodes_of():
                    if self.log_path(node).exists():
                        print(f"--- log of {node}\n{self.tail(node, 3000)}")
                for process in self.processes.values():
                    process.kill()
                    process.wait()
                self.processes.clear()
        finally:
            self.close()

    # -- clients --

    def client(self, region, via=None, retries=0, **kwargs):
        """boto3 for `region`, through the endpoint of `via` (a region or a node; its own by default). A client may be used by several threads; boto3's
        making of one may not."""
        with MAKING_CLIENTS:
            return boto3.client(
                "secretsmanager", region_name=region, endpoint_url=self.endpoint(via or region),
                aws_access_key_id=kwargs.pop("access_key", self.access_key),
                aws_secret_access_key=kwargs.pop("secret_key", self.secret_key), aws_session_token=kwargs.pop("session_token", None),
                config=botocore.config.Config(retries=retries if isinstance(retries, dict) else {"max_attempts": retries},
                                              connect_timeout=5, read_timeout=kwargs.pop("read_timeout", 30), **kwargs))

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
