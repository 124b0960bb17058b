"""`kill -9` of random regions during writes: every acknowledged write is there, every replica converges, statuses end InSync.

REDOUBT_KILL_ROUNDS sets the number of rounds, REDOUBT_SEED replays a run's choices (not its timing).
"""
import os
import random
import threading
import time
import uuid

import botocore.exceptions

from cluster import REGIONS, Cluster, eventually, statuses

ROUNDS = int(os.environ.get("REDOUBT_KILL_ROUNDS", "15"))
SEED = int(os.environ.get("REDOUBT_SEED") or random.randrange(2**32))
WRITES_PER_SECRET = 150
EXPECTED_WHILE_DOWN = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectionClosedError,
                       botocore.exceptions.HTTPClientError)


class Writer(threading.Thread):
    """Writes rising numbers into the secrets of one primary region; remembers what was acknowledged."""

    def __init__(self, cluster, region, seed, stop):
        super().__init__(name=f"writer-{region}")
        self.cluster, self.region, self.stop_event = cluster, region, stop
        self.client = cluster.client(region)
        self.random = random.Random(seed)
        self.acked = {}      # name -> last acknowledged number
        self.attempted = {}  # name -> last attempted number
        self.created = set()
        self.failures = 0
        self.error = None

    def run(self):
        try:
            while not self.stop_event.is_set():
                self.one_write()
        except Exception as error:  # an answer that must not happen
            self.error = error

    def one_write(self):
        client = self.client
        open_names = [n for n, number in self.attempted.items() if number < WRITES_PER_SECRET]
        name = self.random.choice(open_names) if len(open_names) >= 4 else f"{self.region}/{len(self.attempted):04d}"
        number = self.attempted.get(name, -1) + 1
        self.attempted[name] = number
        token = str(uuid.uuid4())
        while not self.stop_event.is_set():
            try:
                if name not in self.created:
                    client.create_secret(Name=name, SecretString=str(number), ClientRequestToken=token,
                                         AddReplicaRegions=[{"Region": r} for r in REGIONS if r != self.region])
                    self.created.add(name)
                else:
                    client.put_secret_value(SecretId=name, SecretString=str(number), ClientRequestToken=token)
                self.acked[name] = number
                return
            except EXPECTED_WHILE_DOWN:
                self.failures += 1
            except botocore.exceptions.ClientError as error:
                # Only "try again"; the token makes the repetition safe.
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (500, 503), error
                self.failures += 1
            time.sleep(0.02)


def kill_rounds(cluster, rng):
    restarts = []
    for _ in range(ROUNDS):
        victim = rng.choice(REGIONS)
        time.sleep(rng.uniform(0.05, 0.6))
        cluster.kill(victim)
        time.sleep(rng.uniform(0, 0.4))
        began = time.monotonic()
        cluster.start(victim)
        restarts.append(time.monotonic() - began)
    return restarts


def check_secret(cluster, writer, name):
    client = cluster.client(writer.region)
    others = [r for r in REGIONS if r != writer.region]
    value = int(client.get_secret_value(SecretId=name)["SecretString"])
    assert writer.acked[name] <= value <= writer.attempted[name], \
        f"{name}: acknowledged {writer.acked[name]}, found {value}, attempted {writer.attempted[name]}"
    eventually(lambda: {s for s, _ in statuses(client, name).values()} == {"InSync"}, 60, what=f"{name} in sync")
    here = client.describe_secret(SecretId=name)
    for region in others:
        there = cluster.client(region).describe_secret(SecretId=name)
        assert there["VersionIdsToStages"] == here["VersionIdsToStages"]
        assert int(cluster.client(region).get_secret_value(SecretId=name)["SecretString"]) == value


def test_kill_during_writes():
    print(f"seed {SEED}, {ROUNDS} rounds")
    rng = random.Random(SEED)
    with Cluster() as cluster:
        cluster.start()
        stop = threading.Event()
        writers = [Writer(cluster, region, rng.random(), stop) for region in REGIONS]
        for writer in writers:
            writer.start()
        try:
            restarts = kill_rounds(cluster, rng)
        finally:
            stop.set()
            for writer in writers:
                writer.join(timeout=120)
        for writer in writers:
            assert writer.error is None, f"{writer.name}: {writer.error}"
        acked = sum(n + 1 for w in writers for n in w.acked.values())
        assert acked > ROUNDS, "the writers wrote next to nothing: this run shows nothing"
        for writer in writers:
            for name in writer.acked:
                check_secret(cluster, writer, name)
        print(f"{acked} acknowledged writes in {sum(len(w.acked) for w in writers)} secrets, "
              f"{sum(w.failures for w in writers)} tries failed while a region was down, "
              f"restart to ready: median {sorted(restarts)[len(restarts) // 2]:.2f} s, max {max(restarts):.2f} s")


def test_restart_after_many_snapshots(fresh):
    """The log is cut while it is written; a restart finds state and log in step."""
    fresh.start("us-east-1")
    client = fresh.client("us-east-1")
    for i in range(40):
        client.create_secret(Name=f"big/{i}", SecretString="v" * 60000)
    for _ in range(3):
        fresh.kill("us-east-1")
        fresh.start("us-east-1")
    names = [row["Name"] for page in client.get_paginator("list_secrets").paginate() for row in page["SecretList"]]
    assert names == [f"big/{i}" for i in range(40)]
    for i in range(40):
        assert client.get_secret_value(SecretId=f"big/{i}")["SecretString"] == "v" * 60000
