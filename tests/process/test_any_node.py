"""A region of three real nodes, asked at any of them: writes reach the leader, reads are linearizable everywhere, stale reads say so, and
a leader that was paused or cut off from a majority tells nothing old. REDOUBT_SEED replays a run's choices (not its timing)."""
import os
import random
import threading
import time
import uuid

import botocore.exceptions
import pytest

from cluster import Cluster, eventually

REGION, OTHER = "us-east-1", "eu-west-1"
SEED = int(os.environ.get("REDOUBT_SEED") or random.randrange(2**32))
WAIT_SECONDS = 5  # LIMIT_ELECTION_WAIT_MS


@pytest.fixture(scope="module")
def cluster():
    print(f"REDOUBT_SEED={SEED}")
    with Cluster(regions=[REGION, OTHER], nodes=3) as running:
        running.start()
        yield running


@pytest.fixture(autouse=True)
def healthy(cluster):
    yield
    cluster.resume(REGION)
    cluster.wait_ready(REGION)
    cluster.wait_leader(REGION)


def clients_of(cluster, region=REGION):
    return {node: cluster.client(region, via=node) for node in cluster.nodes_of(region)}


def stale(client):
    """The same client, whose reads are stale from now on."""
    client.meta.events.register("before-sign.secrets-manager",
                                lambda request, **_: request.headers.add_header("x-redoubt-consistency", "stale"))
    return client


def headers_of(answer):
    return {name: value for name, value in answer["ResponseMetadata"]["HTTPHeaders"].items() if name.startswith("x-redoubt-")}


def put(client, name, value, seconds=30):
    """As an SDK does it: again after a 5xx, with the same token."""
    token = str(uuid.uuid4())
    deadline = time.monotonic() + seconds
    while True:
        try:
            return client.put_secret_value(SecretId=name, SecretString=value, ClientRequestToken=token)
        except botocore.exceptions.ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503 and time.monotonic() < deadline, error


def test_each_node_shows_what_another_wrote(cluster):
    choice = random.Random(SEED)
    clients = clients_of(cluster)
    names = [f"anywhere-{i}" for i in range(3)]
    for name in names:
        clients[choice.choice(list(clients))].create_secret(Name=name, SecretString="0")
    for i in range(1, 100):
        name = choice.choice(names)
        clients[choice.choice(list(clients))].put_secret_value(SecretId=name, SecretString=str(i))
        answer = clients[choice.choice(list(clients))].get_secret_value(SecretId=name)
        assert answer["SecretString"] == str(i)
        assert headers_of(answer) == {}


def test_each_node_refuses_alike(cluster):
    name = "refused"
    clients = clients_of(cluster)
    clients[f"{REGION}/0"].create_secret(Name=name, SecretString="x")
    for client in clients.values():
        with pytest.raises(client.exceptions.ResourceExistsException):
            client.create_secret(Name=name, SecretString="y")
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_secret_value(SecretId="nothing-of-this-name")
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.put_secret_value(SecretId="nothing-of-this-name", SecretString="y")


def test_stale_reads_say_so(cluster):
    clients = clients_of(cluster)
    clients[f"{REGION}/0"].create_secret(Name="stale", SecretString="x")
    for node in cluster.nodes_of(REGION):
        client = stale(cluster.client(REGION, via=node))
        def ask():
            try:
                return client.get_secret_value(SecretId="stale")
            except client.exceptions.ResourceNotFoundException:
                return None  # it may be behind
        headers = headers_of(eventually(ask))
        assert headers["x-redoubt-consistency"] == "stale"
        assert int(headers["x-redoubt-applied-index"]) > 0
        assert int(headers["x-redoubt-age-ms"]) < 60 * 1000


def test_a_read_at_a_follower_leaves_its_date(cluster):
    client = cluster.client(REGION, via=cluster.wait_leader(REGION))
    for i, node in enumerate(cluster.followers(REGION)):
        name = f"touched-{i}"
        client.create_secret(Name=name, SecretString="x")
        assert "LastAccessedDate" not in client.describe_secret(SecretId=name)
        follower = cluster.client(REGION, via=node)
        for _ in range(20):
            follower.get_secret_value(SecretId=name)
        eventually(lambda name=name: "LastAccessedDate" in client.describe_secret(SecretId=name), 10)


def test_requests_for_another_region_and_replicas(cluster):
    for node in cluster.nodes_of(OTHER):  # each goes to a node of the region, which goes to its leader
        client = cluster.client(REGION, via=node)
        name = "from-" + node.replace("/", "-")
        client.create_secret(Name=name, SecretString=node, AddReplicaRegions=[{"Region": OTHER}])
        assert client.get_secret_value(SecretId=name)["SecretString"] == node
        eventually(lambda name=name, client=client: [row["Status"] for row in client.describe_secret(SecretId=name)["ReplicationStatus"]]
                   == ["InSync"])
        for other in clients_of(cluster, OTHER).values():
            assert other.get_secret_value(SecretId=name)["SecretString"] == node


def test_a_paused_leader_tells_nothing_old(cluster):
    leader = cluster.wait_leader(REGION)
    followers = cluster.followers(REGION)
    clients = clients_of(cluster)
    clients[leader].create_secret(Name="paused", SecretString="old")
    late = {}

    def ask(what, call):
        try:
            late[what] = call()
        except botocore.exceptions.ClientError as error:
            late[what] = error

    cluster.pause(leader)
    # Asked while it sleeps: it wakes up with the questions in its sockets, believing that it leads.
    asking = [threading.Thread(target=ask, args=(what, call)) for what, call in (
        ("read", lambda: cluster.client(REGION, via=leader).get_secret_value(SecretId="paused")["SecretString"]),
        ("create", lambda: cluster.client(REGION, via=leader).create_secret(Name="gone", SecretString="again")))]
    began = time.monotonic()
    put(clients[followers[0]], "paused", "new")
    assert time.monotonic() - began < 10  # less than the call to the leader may take
    assert clients[followers[1]].get_secret_value(SecretId="paused")["SecretString"] == "new"
    for thread in asking:
        thread.start()
    time.sleep(1)
    put(clients[followers[1]], "paused", "newer")
    cluster.resume(leader)
    for thread in asking:
        thread.join()
    if isinstance(late["read"], Exception):
        assert late["read"].response["ResponseMetadata"]["HTTPStatusCode"] == 503
    else:
        assert late["read"] == "newer"
    if isinstance(late["create"], Exception):
        assert late["create"].response["ResponseMetadata"]["HTTPStatusCode"] == 503
    else:
        assert clients[followers[0]].get_secret_value(SecretId="gone")["SecretString"] == "again"


def test_without_a_majority(cluster):
    leader = cluster.wait_leader(REGION)
    client = cluster.client(REGION, via=leader)
    client.create_secret(Name="alone", SecretString="x")
    for node in cluster.followers(REGION):
        cluster.pause(node)
    began = time.monotonic()
    with pytest.raises(botocore.exceptions.ClientError) as failure:
        client.get_secret_value(SecretId="alone")
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert "x-redoubt-consistency: stale" in failure.value.response["Error"]["Message"]
    assert time.monotonic() - began < WAIT_SECONDS + 3
    with pytest.raises(botocore.exceptions.ClientError) as failure:
        client.create_secret(Name="alone", SecretString="y")  # a refusal would be an answer
    assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    reader = stale(cluster.client(REGION, via=leader))
    first = reader.get_secret_value(SecretId="alone")
    time.sleep(1)
    second = reader.get_secret_value(SecretId="alone")
    assert (first["SecretString"], second["SecretString"]) == ("x", "x")
    ages = [int(headers_of(answer)["x-redoubt-age-ms"]) for answer in (first, second)]
    assert ages[0] > 1000 and ages[1] >= ages[0] + 900, ages
    cluster.resume(REGION)
    put(client, "alone", "z")
    assert client.get_secret_value(SecretId="alone")["SecretString"] == "z"
