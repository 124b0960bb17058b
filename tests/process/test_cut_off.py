"""Nodes between which packets are lost without a sign: what clients of the others see meanwhile, and how soon a node is back when the way is
open again. Needs network namespaces.
"""
import threading
import time
import uuid

import botocore.exceptions
import pytest

from cluster import eventually
from netns import Network, NetworkCluster

REGION = "us-east-1"
ANSWER_SECONDS = 4.0  # an election, and what a client waits for; a call on a dead connection would take 12
BACK_SECONDS = 2.5  # TCP by itself: up to 4 after such a cut, and more after a longer one
CUT_SECONDS = 6.0


@pytest.fixture(scope="module")
def cluster():
    try:
        network = Network(3)
    except OSError as error:
        pytest.skip(str(error))
    try:
        with NetworkCluster(REGION, network) as cluster:
            yield cluster.start()
    finally:
        network.close()


def number(node):
    return int(node.partition("/")[2])


def cut_off(cluster, node):
    for other in cluster.nodes_of():
        if other != node:
            cluster.network.cut(number(node), number(other))
            cluster.network.cut(number(other), number(node))


def write(client):
    client.create_secret(Name=f"cut/{uuid.uuid4()}", SecretString="x")


def wait_whole(cluster):
    for node in cluster.nodes_of():
        eventually(lambda node=node: cluster.health(node)[0] == 200, what=f"health of {node}")


class Writer(threading.Thread):
    """Writes at one node until told to stop; the longest time that it waited for any answer, and how many writes were done in the end."""

    def __init__(self, client):
        super().__init__()
        self.client, self.longest, self.done_at, self.stopping, self.odd = client, 0.0, [], False, []

    def run(self):
        while not self.stopping:
            start = time.monotonic()
            try:
                write(self.client)
                self.done_at.append(time.monotonic())
            except botocore.exceptions.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 503:
                    self.odd.append(str(error))
            except Exception as error:  # noqa: BLE001 told by the test
                self.odd.append(str(error))
            self.longest = max(self.longest, time.monotonic() - start)
            time.sleep(0.01)


def test_leader_cut_off(cluster):
    """Its followers' clients, whose writes wait for it on connections that bring nothing any more, are answered soon, and go on."""
    wait_whole(cluster)
    leader = cluster.wait_leader(REGION)
    writers = [Writer(cluster.client(REGION, via=node)) for node in cluster.nodes_of() if node != leader for _ in range(4)]
    for writer in writers:
        writer.start()
    eventually(lambda: all(writer.done_at for writer in writers), what="writes")
    cut_off(cluster, leader)
    cut_at = time.monotonic()
    time.sleep(CUT_SECONDS)
    cluster.network.heal()
    for writer in writers:
        writer.stopping = True
        writer.join()
    longest = max(writer.longest for writer in writers)
    print(f"longest wait for an answer: {longest:.2f} s")
    assert not [odd for writer in writers for odd in writer.odd]
    assert all(writer.done_at[-1] > cut_at + ANSWER_SECONDS for writer in writers)
    assert longest < ANSWER_SECONDS, longest
    wait_whole(cluster)


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_healed_node_is_soon_back(cluster, role):
    """Able to answer a linearizable read and to pass on a write, however long the retransmissions of its old streams would have slept."""
    wait_whole(cluster)
    leader = cluster.wait_leader(REGION)
    node = leader if role == "leader" else next(n for n in cluster.nodes_of() if n != leader)
    other = next(n for n in cluster.nodes_of() if n not in (leader, node))
    client = cluster.client(REGION, via=node, read_timeout=5)
    writer = Writer(cluster.client(REGION, via=other))
    writer.start()
    write(client)
    cut_off(cluster, node)
    time.sleep(CUT_SECONDS)
    cluster.network.heal()
    healed_at = time.monotonic()

    def works():
        try:
            write(client)
            return client.list_secrets(MaxResults=1)["SecretList"]
        except botocore.exceptions.ClientError:
            return False
    eventually(works, what=f"{node} after the cut")
    took = time.monotonic() - healed_at
    writer.stopping = True
    writer.join()
    print(f"{role} back after {took:.2f} s")
    assert not writer.odd
    assert took < BACK_SECONDS
