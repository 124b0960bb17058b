"""`redoubt dev --nodes 3`: nine processes that serve as three regions do, while a random node of each is killed again and again through
`redoubt fault`. Clients repeat what got no answer or a 5xx, at any node, with the same ClientRequestToken, as real ones do. Nothing
acknowledged is lost, a read shows what was acknowledged before it, at the end all is InSync and the nodes of a region hold the same.

REDOUBT_SEED replays a run's choices (not its timing), REDOUBT_KILL_SECONDS makes it longer.
"""
import json
import os
import random
import time
import uuid

import botocore.exceptions
import pytest

from cluster import REGIONS, START_SECONDS, eventually
from dev import Dev
from worker import Worker

NODES = int(os.environ.get("REDOUBT_NODES", "3"))
SEED = int(os.environ.get("REDOUBT_SEED") or random.randrange(2**32))
KILL_SECONDS = float(os.environ.get("REDOUBT_KILL_SECONDS", "15"))
PATIENCE = 60  # of a client, in seconds, until it takes a region for dead
WRITES_PER_SECRET = 100
NO_ANSWER = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectionClosedError, botocore.exceptions.HTTPClientError)


@pytest.fixture(scope="module")
def dev():
    with Dev(nodes=NODES) as running:
        yield running.start()


class Region:
    """A client of one region that goes to any of its nodes and repeats what may be repeated."""

    def __init__(self, dev, region, seed):
        self.name, self.random = region, random.Random(seed)
        self.clients = [dev.client(region, node) for node in range(dev.nodes)]
        self.failures = 0

    def call(self, operation, unless_done=(), **arguments):
        """`unless_done`: names of errors that say, on a repetition, that the first try was done after all; then None."""
        deadline = time.monotonic() + PATIENCE
        repeated = False
        while True:
            try:
                return getattr(self.random.choice(self.clients), operation)(**arguments)
            except NO_ANSWER as error:
                last = error
            except botocore.exceptions.ClientError as error:
                if repeated and error.response["Error"]["Code"] in unless_done:
                    return None
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (500, 503), error
                last = error
            assert time.monotonic() < deadline, f"{operation} in {self.name} got nowhere: {last}"
            repeated = True
            self.failures += 1
            time.sleep(self.random.uniform(0.01, 0.1))

    def value(self, name):
        return self.call("get_secret_value", SecretId=name)["SecretString"]

    def statuses(self, name):
        return {row["Region"]: row["Status"] for row in self.call("describe_secret", SecretId=name).get("ReplicationStatus", [])}

    def wait_in_sync(self, name, regions):
        eventually(lambda: self.statuses(name) == dict.fromkeys(regions, "InSync"), PATIENCE, what=f"{name} InSync in {regions}")


class DevWorker(Worker):
    patience = 2 * PATIENCE


class Killer(DevWorker):
    """Of one region: a random node dies, is away for a while, comes back; one at a time."""

    def __init__(self, dev, region, seed):
        super().__init__(f"killer-{region}")
        self.dev, self.region, self.random = dev, region, random.Random(seed)
        self.killed = []

    def once(self):
        victim = f"{self.region}/{self.random.randrange(self.dev.nodes)}"
        self.stopping.wait(self.random.uniform(0.5, 2))
        self.dev.fault("kill", victim)
        self.killed.append(victim)
        time.sleep(self.random.uniform(0.1, 2))
        self.dev.fault("start", victim)


class Writer(DevWorker):
    """Writes rising numbers into secrets of its region and reads them back, each through any node."""

    def __init__(self, dev, region, seed):
        super().__init__(f"writer-{region}")
        self.region = Region(dev, region, seed)
        self.others = [r for r in REGIONS if r != region]
        self.acked = {}  # name: last acknowledged number

    def once(self):
        open_names = [name for name, number in self.acked.items() if number < WRITES_PER_SECRET]
        if len(open_names) < 3:
            name, number = f"{self.region.name}/{len(self.acked):03d}", 0
            self.region.call("create_secret", Name=name, SecretString="0", ClientRequestToken=str(uuid.uuid4()),
                             AddReplicaRegions=[{"Region": r} for r in self.others])
        else:
            name = self.region.random.choice(open_names)
            number = self.acked[name] + 1
            self.region.call("put_secret_value", SecretId=name, SecretString=str(number), ClientRequestToken=str(uuid.uuid4()))
        self.acked[name] = number
        time.sleep(0.02)  # leaves something of two cores to the others
        assert self.region.value(name) == str(number), "a read after an acknowledged write does not show it"


def all_have_roles(dev):
    return all(list(dev.roles(region).values()).count(role) == count for region in REGIONS
               for role, count in (("leader", 1), ("follower", NODES - 1)))


def test_nine_processes(dev):
    nodes = dev.list()
    assert set(nodes) == {f"{r}/{n}" if NODES > 1 else r for r in REGIONS for n in range(NODES)}
    assert {row[1] for row in nodes.values()} == dev.children() and len(nodes) == 3 * NODES
    eventually(lambda: all_have_roles(dev), START_SECONDS, what="a leader and followers in each region")
    env = dev.env()
    for region in REGIONS:
        assert env["REDOUBT_ENDPOINT_" + region.replace("-", "_").upper()] == dev.endpoint(region)
    # Each node takes each request, also for other regions.
    for region in REGIONS:
        for node in range(NODES):
            client, name = dev.client(region, node), f"any/{region}/{node}"
            client.create_secret(Name=name, SecretString="v")
            for other in range(NODES):
                assert dev.client(region, other).get_secret_value(SecretId=name)["SecretString"] == "v"
    status, text, error = dev.aws("get-secret-value", "--secret-id", "any/eu-west-1/0", region="eu-west-1", via="us-east-1", node=NODES - 1)
    assert status == 0 and json.loads(text)["SecretString"] == "v", error


@pytest.mark.skipif(NODES == 1, reason="nobody takes over")
@pytest.mark.parametrize("how,undo", [("pause", "resume"), ("kill", "start")])
def test_another_node_takes_over(dev, how, undo):
    region = Region(dev, "us-west-2", SEED)
    name, token = f"over/{how}", str(uuid.uuid4())
    region.call("create_secret", Name=name, SecretString="before", ClientRequestToken=token)

    def leader():
        leaders = [node for node, role in dev.roles("us-west-2").items() if role == "leader"]
        return leaders[0] if len(leaders) == 1 else None

    first = eventually(leader, START_SECONDS, what="a leader")
    dev.fault(how, first)
    second = eventually(leader, START_SECONDS, what="another leader")
    assert second != first
    client = dev.client("us-west-2", int(second[-1]))
    client.put_secret_value(SecretId=name, SecretString="after")
    dev.fault(undo, first)
    eventually(lambda: dev.list()[first][2] == "follower", START_SECONDS, what=f"{first} follows")
    back = Region(dev, "us-west-2", SEED)
    back.clients = [dev.client("us-west-2", int(first[-1]))]
    assert back.value(name) == "after"


def the_main_job(dev, seed):
    """Create, put, get, describe, replicate, promote, list, delete."""
    east, west, eu = (Region(dev, r, seed + i) for i, r in enumerate(REGIONS))
    replicas = list(REGIONS[1:])
    created = east.call("create_secret", Name="app/db", SecretString="s1", ClientRequestToken=str(uuid.uuid4()),
                        AddReplicaRegions=[{"Region": "us-west-2"}])
    assert created["ARN"].startswith("arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-")
    east.call("replicate_secret_to_regions", unless_done=("InvalidParameterException", "ResourceExistsException"), SecretId="app/db",
              AddReplicaRegions=[{"Region": "eu-west-1"}])
    east.wait_in_sync("app/db", replicas)
    east.call("put_secret_value", SecretId="app/db", SecretString="s2", ClientRequestToken=str(uuid.uuid4()))
    east.wait_in_sync("app/db", replicas)
    for region in (east, west, eu):
        assert region.value("app/db") == "s2"
        described = region.call("describe_secret", SecretId="app/db")
        assert described.get("PrimaryRegion", "us-east-1") == "us-east-1"
    eu.call("stop_replication_to_replica", unless_done=("InvalidParameterException", "InvalidRequestException"), SecretId="app/db")
    eu.call("put_secret_value", SecretId="app/db", SecretString="mine now", ClientRequestToken=str(uuid.uuid4()))
    eventually(lambda: set(east.statuses("app/db")) == {"us-west-2"}, PATIENCE, what="the old primary drops the promoted region")
    east.call("put_secret_value", SecretId="app/db", SecretString="s3", ClientRequestToken=str(uuid.uuid4()))
    east.wait_in_sync("app/db", ["us-west-2"])
    assert (west.value("app/db"), eu.value("app/db")) == ("s3", "mine now")
    east.call("remove_regions_from_replication", unless_done=("InvalidParameterException", "InvalidRequestException"), SecretId="app/db",
              RemoveReplicaRegions=["us-west-2"])
    east.call("delete_secret", unless_done=("ResourceNotFoundException",), SecretId="app/db", ForceDeleteWithoutRecovery=True)

    def names(region):
        listed, token = [], {}
        while True:
            page = region.call("list_secrets", MaxResults=100, Filters=[{"Key": "name", "Values": ["app/"]}], **token)
            listed += [row["Name"] for row in page["SecretList"]]
            if "NextToken" not in page:
                return listed
            token = {"NextToken": page["NextToken"]}

    eventually(lambda: (names(east), names(west), names(eu)) == ([], [], ["app/db"]), PATIENCE, what="the deletions")
    return sum(region.failures for region in (east, west, eu))


def with_the_cli(dev, rng):
    """The same with the AWS CLI and its own retries; a command that failed all the same is repeated, with its token."""
    def aws(*arguments, region="us-east-1", again=5):
        status, text, error = dev.aws(*arguments, region=region, node=rng.randrange(NODES))
        if status == 0:
            return json.loads(text) if text.strip() else None
        assert again > 0 and ("Could not connect" in error or "Connection was closed" in error or "ServiceUnavailable" in error
                              or "InternalFailure" in error), error
        return aws(*arguments, region=region, again=again - 1)

    created = aws("create-secret", "--name", "cli/db", "--secret-string", "s1", "--client-request-token", str(uuid.uuid4()),
                  "--add-replica-regions", "Region=us-west-2", "Region=eu-west-1")
    assert created["Name"] == "cli/db"
    aws("put-secret-value", "--secret-id", "cli/db", "--secret-string", "s2", "--client-request-token", str(uuid.uuid4()))
    Region(dev, "us-east-1", SEED).wait_in_sync("cli/db", REGIONS[1:])  # starting the CLI takes longer than all that
    assert {row["Region"] for row in aws("describe-secret", "--secret-id", "cli/db")["ReplicationStatus"]} == set(REGIONS[1:])
    assert aws("get-secret-value", "--secret-id", "cli/db", region="eu-west-1")["SecretString"] == "s2"
    assert "cli/db" in [row["Name"] for row in aws("list-secrets", "--filters", "Key=name,Values=cli/")["SecretList"]]


def state_of_node(dev, region, node):
    """All that this node holds now, whatever the others do."""
    client = dev.client(region, node)
    client.meta.events.register("before-sign", lambda request, **_: request.headers.add_header("x-redoubt-consistency", "stale"))
    state = {}
    for page in client.get_paginator("list_secrets").paginate():
        for row in page["SecretList"]:
            described = client.describe_secret(SecretId=row["ARN"])
            described.pop("ResponseMetadata")
            value = client.get_secret_value(SecretId=row["ARN"])
            state[row["ARN"]] = described, value["VersionId"], value["SecretString"]
    return state


def check_writer(writer, regions):
    home = regions[writer.region.name]
    for name, number in writer.acked.items():
        home.wait_in_sync(name, writer.others)
        for region in regions.values():
            assert region.value(name) == str(number), f"{name} in {region.name}: {region.value(name)}, acknowledged {number}"


def test_the_main_job_while_nodes_die(dev):
    print(f"seed {SEED}, {KILL_SECONDS} s")
    rng = random.Random(SEED)
    killers = [Killer(dev, region, rng.random()) for region in REGIONS]
    writers = [Writer(dev, region, rng.random()) for region in REGIONS]
    began = time.monotonic()
    for thread in killers + writers:
        thread.start()
    try:
        failures = the_main_job(dev, rng.randrange(2**32))
        print(f"the main job with boto3 after {time.monotonic() - began:.0f} s")
        with_the_cli(dev, rng)
        print(f"the main job with the AWS CLI after {time.monotonic() - began:.0f} s")
        time.sleep(max(0.0, began + KILL_SECONDS - time.monotonic()))
    finally:
        for thread in killers + writers:
            thread.stopping.set()
        for thread in killers + writers:
            thread.end()
    print(f"nodes left alone after {time.monotonic() - began:.0f} s")
    eventually(lambda: all_have_roles(dev), START_SECONDS, what="all nodes are back")
    regions = {r: Region(dev, r, SEED) for r in REGIONS}
    acked = sum(number + 1 for writer in writers for number in writer.acked.values())
    killed = sum(len(killer.killed) for killer in killers)
    assert acked > 30 and killed >= 6, f"{acked} writes, {killed} kills: this run shows nothing"
    for writer in writers:
        check_writer(writer, regions)
    print(f"all acknowledged writes found after {time.monotonic() - began:.0f} s")
    for region in REGIONS:
        eventually(lambda region=region: all(state_of_node(dev, region, node) == state_of_node(dev, region, 0) for node in range(1, NODES)),
                   30, every=0.5, what=f"the same state on all nodes of {region}")
    print(f"{acked} acknowledged writes while {killed} nodes were killed in {time.monotonic() - began:.0f} s; "
          f"{failures + sum(w.region.failures for w in writers)} tries were repeated")
