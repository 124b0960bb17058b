"""A node that is too far behind for the log: it is sent files, by a group that goes on, and serves from them. Real processes; the log is
kept so short that a minute of writes is beyond it. REDOUBT_SEED replays a run's choices (not its timing)."""
import concurrent.futures
import os
import random
import re
import shutil
import time

import botocore.exceptions
import pytest

from cluster import Cluster, eventually

REGION = "us-east-1"
SEED = int(os.environ.get("REDOUBT_SEED") or random.randrange(2**32))
BEYOND = 1500  # writes of 60 KB: beyond the 16 MiB, and the 512 entries (a few share one), that stay behind a snapshot
KEPT = 16


@pytest.fixture()
def cluster():
    print(f"REDOUBT_SEED={SEED}")
    with Cluster(regions=[REGION], nodes=3) as running:
        for node in running.nodes_of(REGION):
            config = running.config(node)
            text = re.sub(r"(?m)^\s*log_(entries|mib|level)\s*=.*\n", "", config.read_text())
            text = text.replace("[raft]\n", "[raft]\nlog_entries = 64\nlog_mib = 1\n")
            config.write_text(text.replace("[node]\n", "[node]\nlog_level = info\n"))
        running.start()
        running.wait_leader(REGION)
        yield running


def write(client, number):
    """As an SDK does it: again after a 5xx."""
    name, value = f"kept-{number % KEPT}", f"{number} " + "x" * 60000
    for _ in range(200):
        try:
            return client.put_secret_value(SecretId=name, SecretString=value)
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                raise
            time.sleep(0.1)
    raise AssertionError("no write in 20 s")


def write_beyond_the_log(cluster, via):
    client = cluster.client(REGION, via=via)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: write(client, i), range(BEYOND)))


def assert_same(cluster, node, other):
    """What the one answers, read linearizably, is what the other does."""
    ours, theirs = cluster.client(REGION, via=node, retries=5), cluster.client(REGION, via=other, retries=5)
    for i in range(KEPT):
        a, b = (c.get_secret_value(SecretId=f"kept-{i}") for c in (ours, theirs))
        assert (a["VersionId"], a["SecretString"]) == (b["VersionId"], b["SecretString"])
    names = [[s["Name"] for s in c.list_secrets(MaxResults=100)["SecretList"]] for c in (ours, theirs)]
    assert sorted(names[0]) == sorted(names[1]) and len(names[0]) >= KEPT


def installs(cluster, node):
    """How often a fetched store was made this node's."""
    return len(re.findall(r"event=server\.install ", cluster.log_path(node).read_text(errors="replace")))


def prepare(cluster):
    """Some secrets, and a follower that is away while the log is shortened past it."""
    leader = cluster.wait_leader(REGION)
    client = cluster.client(REGION, via=leader, retries=5)
    for i in range(KEPT):
        client.create_secret(Name=f"kept-{i}", SecretString="first")
    away = random.Random(SEED).choice(cluster.followers(REGION))
    cluster.kill(away)
    write_beyond_the_log(cluster, leader)
    return leader, away


def test_a_node_that_was_away(cluster):
    leader, away = prepare(cluster)
    cluster.start(away, wait=False)
    eventually(lambda: installs(cluster, away) == 1, 60, what="the snapshot is installed")
    cluster.wait_ready(away)
    assert_same(cluster, away, leader)
    # It is one of the group: with it and one other there is a majority.
    third = next(n for n in cluster.nodes_of(REGION) if n not in (leader, away))
    cluster.kill(third)
    write(cluster.client(REGION, via=away), 1)
    # And its store is good for another start.
    cluster.kill(away)
    cluster.start(away)
    assert_same(cluster, away, leader)
    assert installs(cluster, away) == 1
    eventually(lambda: not list((cluster.node_data(away) / "incoming").glob("*")), what="nothing is left in incoming/")


def test_killed_while_it_installs(cluster):
    """Again and again, at any moment of it; the group goes on, and in the end the node is there."""
    choice = random.Random(SEED)
    leader, away = prepare(cluster)
    for _ in range(8):
        cluster.start(away, wait=False)
        time.sleep(choice.uniform(0.2, 1.5))
        cluster.kill(away)
        write(cluster.client(REGION, via=leader), choice.randrange(1000))
    cluster.start(away, wait=False)
    eventually(lambda: installs(cluster, away) >= 1, 90, what="the snapshot is installed")
    cluster.wait_ready(away)
    assert_same(cluster, away, leader)


def test_the_holder_dies(cluster):
    """The leader that offered its checkpoint dies for good: the next one has another."""
    leader, away = prepare(cluster)
    cluster.start(away, wait=False)
    eventually(lambda: "event=raft.install" in cluster.tail(away), 60, what="an install begins")
    cluster.kill(leader)
    shutil.rmtree(cluster.node_data(leader) / "checkpoints", ignore_errors=True)
    cluster.start(leader, wait=False)
    eventually(lambda: installs(cluster, away) >= 1, 120, what="the snapshot is installed")
    cluster.wait_ready(REGION)
    assert_same(cluster, away, leader)
