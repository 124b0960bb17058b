"""What the tests of the runbooks share: a region of three nodes, the operator's commands, and clients that count what was acknowledged."""
import itertools
import json
import os
import random
import threading
import time
import uuid

import botocore.exceptions

from cluster import Cluster, eventually

REGION = "us-east-1"
SEED = int(os.environ.get("REDOUBT_SEED") or random.randrange(2**32))
PATIENCE = 60
VERSIONS = 300  # of a secret, before a writer goes to the next one
NO_ANSWER = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectionClosedError, botocore.exceptions.HTTPClientError)


def region(**kwargs):
    print(f"REDOUBT_SEED={SEED}")
    return Cluster(regions=[REGION], nodes=3, **kwargs)


def members(cluster, via):
    """{id: member} as a node shows them; with the leader's knowledge when there is one."""
    return {m["id"]: m for m in json.loads(cluster.node_command(via, "list", "--json", "yes"))["members"]}


def status(cluster, name):
    return json.loads(cluster.node_command(name, "status", "--json", "yes"))


def wait_voter(cluster, via, name, seconds=PATIENCE):
    """Until `name` votes and is heard, as `via` shows it."""
    def votes():
        member = members(cluster, via).get(cluster.node_id(name))
        return member and member["voter"] and (member["live"] or member["self"])
    eventually(votes, seconds, every=0.1, what=f"{name} votes")


def stale_client(cluster, node):
    """Reads what this node has, whatever the others do."""
    client = cluster.client(REGION, via=node)
    client.meta.events.register("before-call.secretsmanager",
                                lambda params, **_: params["headers"].update({"x-redoubt-consistency": "stale"}))
    return client


def content(client):
    """{name: (version ids with labels, value)} of all secrets that a client sees."""
    found = {}
    for page in client.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 100}):
        for row in page["SecretList"]:
            found[row["Name"]] = (row["SecretVersionsToStages"], client.get_secret_value(SecretId=row["Name"])["SecretString"])
    return found


def assert_same_on(cluster, nodes, seconds=PATIENCE):
    """The nodes come to hold the same secrets, each asked for its own state. Returns them."""
    clients = [stale_client(cluster, node) for node in nodes]
    seen = []

    def same():
        seen[:] = [content(client) for client in clients]
        return all(one == seen[0] for one in seen)
    eventually(same, seconds, every=0.2, what=f"the same secrets on {nodes}")
    return seen[0]


def put_some(cluster, n, prefix="some"):
    client = cluster.client(REGION, via=f"{REGION}/0")
    for i in range(n):
        client.create_secret(Name=f"{prefix}/{i}", SecretString=f"{prefix}-{i}", Tags=[{"Key": "i", "Value": str(i)}])


def peer_port(cluster, name):
    return cluster.port + 1000 + int(name.partition("/")[2])


def new_token(cluster, via, lifetime="600"):
    """(token, fingerprint of the authority) as printed for the operator."""
    lines = dict(line.split(None, 1) for line in cluster.node_command(via, "token", "--lifetime", lifetime).splitlines()
                 if line.startswith(("token ", "authority ")))
    return lines["token"].strip(), lines["authority"].split()[0]


def join(cluster, node, via, token, ca, **kwargs):
    return cluster.node_command(node, "join", "--address", f"127.0.0.1:{peer_port(cluster, via)}", "--token-file", "-",
                                "--ca-sha256", ca, text=token + "\n", **kwargs)


def token(choice):
    return str(uuid.UUID(int=choice.getrandbits(128)))


class Load:
    """Writers of rising numbers, each into a secret of its own, all through `nodes`; with `patient` they repeat what got no answer or a
    503 at another node with the same token, as SDKs do; else any failure ends the writer and fails the test."""

    def __init__(self, cluster, nodes, writers=2, patient=True, readers=0, prefix="load"):
        self.prefix = prefix
        self.clients = [cluster.client(REGION, via=node) for node in nodes]
        self.patient = patient
        self.acked = {}  # name: last acknowledged number
        self.times = []  # of acknowledgements
        self.reads = 0
        self.failures = 0
        self.errors = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.guard, args=(self.write, i)) for i in range(writers)]
        self.threads += [threading.Thread(target=self.guard, args=(self.read, i)) for i in range(readers)]

    def guard(self, act, number):
        try:
            act(number, random.Random(f"{SEED}-{act.__name__}-{number}"))
        except BaseException as error:
            self.errors.append((act.__name__, number, time.monotonic(), error))

    def call(self, choice, operation, **arguments):
        deadline = time.monotonic() + PATIENCE
        repeated = False
        while True:
            try:
                return getattr(choice.choice(self.clients), operation)(**arguments)
            except NO_ANSWER:
                if not self.patient or time.monotonic() > deadline:
                    raise
            except botocore.exceptions.ClientError as error:
                if repeated and error.response["Error"]["Code"] == "ResourceExistsException":
                    return None
                if not self.patient or error.response["ResponseMetadata"]["HTTPStatusCode"] not in (500, 503) or time.monotonic() > deadline:
                    raise
            repeated = True
            self.failures += 1
            time.sleep(choice.uniform(0.01, 0.1))

    def write(self, number, choice):
        for part in itertools.count():  # a secret takes 400 versions a day
            name = f"{self.prefix}/{number}" + (f".{part}" if part else "")
            self.call(choice, "create_secret", Name=name, SecretString="0", ClientRequestToken=token(choice))
            self.acked[name] = 0
            for i in range(1, VERSIONS):
                if self.stopping.is_set():
                    return
                self.call(choice, "put_secret_value", SecretId=name, SecretString=str(i), ClientRequestToken=token(choice))
                self.acked[name] = i
                self.times.append(time.monotonic())

    def read(self, number, choice):
        while not self.stopping.is_set():
            names = list(self.acked)
            if names:
                name = choice.choice(names)
                known = self.acked[name]
                value = int(self.call(choice, "get_secret_value", SecretId=name)["SecretString"])
                assert value >= known, f"{name}: read {value} after {known} was acknowledged"
                self.reads += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        eventually(lambda: self.errors or len(self.times) > 20, PATIENCE, what="the load runs")
        return self

    def end(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(timeout=2 * PATIENCE)
            assert not thread.is_alive(), "a client hangs"

    def __exit__(self, kind, value, trace):
        self.end()
        if kind is None:
            assert not self.errors, self.errors

    def go_on(self, writes=50):
        """Waits until so many more writes are acknowledged."""
        goal = len(self.times) + writes
        eventually(lambda: self.errors or len(self.times) >= goal, PATIENCE, what=f"{writes} more writes")
        assert not self.errors, self.errors

    def assert_kept(self, client):
        """What was acknowledged is there: that number or, of a writer whose last try got no answer, the next."""
        for name, number in self.acked.items():
            value = int(client.get_secret_value(SecretId=name)["SecretString"])
            assert number <= value <= number + 1, f"{name} has {value}, {number} was acknowledged"

    def longest_gap(self, since, until):
        times = sorted(t for t in list(self.times) if since <= t <= until)
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))
