"""A failed write, sync or checksum: the node stops at once, says why, and never acknowledges what it could not keep. The disk is made to fail
by a preloaded library (failing_disk.c), or its bytes are changed under the running node. REDOUBT_SEED replays the choices of a run."""
import os
import pathlib
import random
import re
import signal
import threading
import time

import botocore.exceptions
import pytest

import cluster as harness
from cluster import Cluster, eventually
from runbook import NO_ANSWER, REGION, SEED, Load, assert_same_on, wait_voter

LIBRARY = os.environ.get("REDOUBT_FAILING_DISK_LIBRARY") or str(pathlib.Path(harness.BINARY).parent / "tests/process/libfailing_disk.so")
AT_ONCE = 5.0  # seconds; a busy machine, not a measure
WHAT = {"write": "cannot write", "sync": "cannot sync the log"}


@pytest.fixture(autouse=True)
def seed():
    print(f"REDOUBT_SEED={SEED}")


def on_failing_disk(cluster):
    """(environment, the file whose being there makes the disk fail)"""
    sanitizer = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
    trigger = cluster.folder / "the-disk-fails"
    return {"LD_PRELOAD": LIBRARY, "REDOUBT_FAILING_DISK": str(trigger), "ASAN_OPTIONS": sanitizer}, trigger


def stops(cluster, node, reason):
    """It ends by itself, soon, with a line that says why; never with an orderly exit."""
    process = cluster.processes[node]
    began = time.monotonic()
    code = process.wait(timeout=60)
    del cluster.processes[node]
    said = cluster.tail(node)
    assert code == -signal.SIGABRT and re.search(f"level=error .*{reason}", said), f"{code}\n{said}"
    assert time.monotonic() - began < AT_ONCE
    assert "Sanitizer" not in said, said
    print(next(line for line in said.splitlines() if re.search(reason, line)))


class Writers:
    """Each writes secrets of its own, one after another, until there is no answer; none is repeated."""

    def __init__(self, cluster, n=4):
        self.clients = [cluster.client(REGION) for _ in range(n)]
        self.acked, self.unanswered, self.answers = set(), set(), []
        self.threads = [threading.Thread(target=self.write, args=(i,)) for i in range(n)]

    def write(self, number):
        for i in range(10000):
            name = f"{number}/{i}"
            try:
                self.clients[number].create_secret(Name=name, SecretString=name)
                self.acked.add(name)
            except NO_ANSWER:
                self.unanswered.add(name)
                return
            except botocore.exceptions.ClientError as error:
                self.answers.append(error)
                if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (500, 503):
                    return

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        eventually(lambda: len(self.acked) > 20, what="writes")
        return self

    def __exit__(self, *_):
        for thread in self.threads:
            thread.join(timeout=60)
            assert not thread.is_alive()


@pytest.mark.parametrize("what", WHAT)
def test_it_stops_and_never_acknowledges(what):
    with Cluster(regions=[REGION]) as cluster:
        environment, trigger = on_failing_disk(cluster)
        cluster.start(env=environment)
        with Writers(cluster) as writers:
            known = set(writers.acked)
            trigger.write_text(what)
            # What the log did not take before is not acknowledged after: one write a client may have been under way.
            stops(cluster, REGION, WHAT[what])
        assert len(writers.unanswered) == len(writers.clients) and len(writers.acked - known) <= 3 * len(writers.clients), writers.answers

        # It does not start on a disk that is still sick, and says so; it loses nothing by trying.
        cluster.start(wait=False, env=environment)
        assert cluster.processes.pop(REGION).wait(timeout=60) != 0
        assert re.search("level=error .*(Input/output error|IO error)", cluster.tail(REGION)), cluster.tail(REGION)
        trigger.unlink()
        cluster.start(env=environment)
        client = cluster.client(REGION)
        for name in writers.acked:
            assert client.get_secret_value(SecretId=name)["SecretString"] == name
        client.create_secret(Name="well-again", SecretString="x")


def test_the_others_go_on():
    """The same under the leader of three: clients with patience lose nothing and notice a pause."""
    choice = random.Random(SEED)
    with Cluster(regions=[REGION], nodes=3) as cluster:
        environment, trigger = on_failing_disk(cluster)
        nodes = cluster.nodes_of(REGION)
        cluster.start()
        with Load(cluster, nodes) as load:
            for what in WHAT:
                node = choice.choice(nodes)
                cluster.kill(node)
                cluster.start(node, env=environment)
                if what == "sync":  # once as the leader
                    eventually(lambda: cluster.node_command(nodes[0], "transfer", cluster.node_id(node)) and cluster.leader(REGION) == node,
                               what="the transfer")
                load.go_on(20)
                trigger.write_text(what)
                stops(cluster, node, WHAT[what])
                load.go_on(20)
                trigger.unlink()
                cluster.start(node)
                wait_voter(cluster, node, node)
                load.go_on(20)
        load.assert_kept(cluster.client(REGION))
        assert len(assert_same_on(cluster, nodes)) == len(load.acked)


def test_a_changed_byte():
    """Tables are other bytes than were written, under a node that runs: never a wrong answer, and it does not go on, nor start again."""
    with Cluster(regions=[REGION]) as cluster:
        config = cluster.config(REGION)
        config.write_text(config.read_text().replace("[node]\n", "[node]\ncache_mib = 1\n"))
        cluster.start()
        client = cluster.client(REGION)
        for i in range(120):
            client.create_secret(Name=f"some/{i}", SecretString=f"{i} " + os.urandom(20000).hex())
        cluster.stop(REGION)
        cluster.start()
        tables = list((cluster.node_data(REGION) / "store").glob("*.sst"))
        assert sum(table.stat().st_size for table in tables) > 2 * 2**20
        for table in tables:
            with open(table, "r+b") as file:
                for at in range(0, table.stat().st_size, 4096):
                    file.seek(at)
                    file.write(b"\xa5" * 16)
        answers = 0
        for i in range(120):
            try:
                assert client.get_secret_value(SecretId=f"some/{i}")["SecretString"].startswith(f"{i} "), i
                answers += 1
            except NO_ANSWER:
                break
            except botocore.exceptions.ClientError as error:
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 500, error
        print(f"{answers} answers from memory")
        stops(cluster, REGION, "(Corruption|checksum|corrupt)")
        cluster.start(wait=False)  # it reads when it opens
        process = cluster.processes.pop(REGION)
        assert process.wait(timeout=60) != 0
        assert re.search("level=error .*(Corruption|checksum|corrupt)", cluster.tail(REGION)), cluster.tail(REGION)
