"""Histories (test_history.py) of regions on machines that are not well: a disk whose syncs and writes take long (slow_disk.c, preloaded), and
wall clocks that jump by minutes, hours and days, forward and back (libfaketime, preloaded)."""
import contextlib
import math
import pathlib
import shutil
import subprocess
import time

import botocore.exceptions
import pytest

from clock import SIGNER, Clock, preloaded, signing_by_thread
from cluster import Cluster, eventually
from history import OK, History
from nemesis import REGION, Client, Nemesis, run, seconds
from runbook import PATIENCE, status

SECONDS = seconds(6)

# -- a slow disk --

SYNC_MS, WRITE_MS = 300, 5
PHASE_SECONDS, PHASE_SECONDS_MOST = 2, 30
WRITING, READING = ("create", "put", "move"), ("read", "describe", "list")
LEAST_OF_PHASE = 5  # writes, and as many reads, begun and acknowledged while a disk is slow: even the leader's


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "no C compiler: scripts/deps test"
    built = tmp_path_factory.mktemp("shim") / "slow_disk.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", str(built), str(pathlib.Path(__file__).with_name("slow_disk.c"))], check=True)
    return built


class MachineCluster(Cluster):
    """Each node has an environment of its own, also when it is started again."""

    def __init__(self, environment, **kwargs):
        super().__init__(regions=[REGION], nodes=3, **kwargs)
        self.environment_of = {node: environment(self, node) for node in self.nodes_of()}

    def start(self, *names, wait=True, **_):
        for node in self.nodes_of(*names):
            super().start(node, wait=False, env=self.environment_of[node])
        if wait:
            for name in names or self.regions:
                self.wait_ready(name)
        return self


class SlowDisk(Nemesis):
    """One disk after the other is slow for a while, the leader's and a follower's in turn; sometimes another node is killed meanwhile, so
    that nothing is acknowledged without the slow one."""

    def __init__(self, cluster, history):
        super().__init__(cluster, history)
        self.rounds = []  # (what, begin, end)

    def slow(self, node, sync_ms, write_ms):
        file = disk_file(self.cluster, node)
        new = file.with_suffix(".new")
        new.write_text(f"{sync_ms} {write_ms}\n")
        new.replace(file)

    def once(self):
        leader = self.cluster.wait_leader(REGION, PATIENCE)
        number = len(self.rounds)
        node = leader if number % 2 else self.random.choice([n for n in self.cluster.nodes_of(REGION) if n != leader])
        other = self.random.choice([n for n in self.cluster.nodes_of(REGION) if n not in (node, leader)]) if number % 3 == 2 else None
        begin = self.history.clock()
        what = f"{'leader' if node == leader else 'follower'}{' and one away' if other else ''}"
        self.note(f"{node} has a slow disk: {what}")
        self.slow(node, SYNC_MS, WRITE_MS)
        if other:
            self.cluster.kill(other)
        time.sleep(PHASE_SECONDS)
        eventually(lambda: all(len(self.of_phase(begin, self.history.clock(), *kinds)) >= LEAST_OF_PHASE for kinds in (WRITING, READING)),
                   PHASE_SECONDS_MOST, every=0.1, what=f"the region serves: {what}")
        self.rounds.append((what, begin, self.history.clock()))
        self.slow(node, 0, 0)
        self.note(f"{node} is well")
        if other:
            self.cluster.start(other, wait=False)
        time.sleep(self.random.uniform(0.3, 1))

    def is_content(self):
        return len(self.rounds) >= 3

    def of_phase(self, begin, end, *kinds):
        return [o for o in list(self.history.operations) if o.outcome == OK and o.kind in kinds and begin <= o.start and o.end <= end]


def disk_file(cluster, node):
    return cluster.folder / (node.replace("/", ".") + ".disk")


def test_slow_disk(shim):
    with MachineCluster(lambda cluster, node: preloaded(shim, SLOW_DISK=str(disk_file(cluster, node)))) as cluster:
        cluster.start()
        history = History()
        nemesis = SlowDisk(cluster, history)
        run(cluster, nemesis, history, SECONDS)
        for what, begin, end in nemesis.rounds:
            times = sorted(o.end - o.start for o in nemesis.of_phase(begin, end, *WRITING))
            median = times[len(times) // 2]
            print(f"{what}: in {end - begin:.1f} s {len(times)} writes, median {1000 * median:.0f} ms, "
                  f"{len(nemesis.of_phase(begin, end, *READING))} reads")
            # Else the disk was not slow: alone with another one, or as the leader's, it is waited for.
            assert median >= SYNC_MS / 1000 or what == "follower", what


# -- clocks --

SKEW = 14 * 60  # below what a signature may be off
HOUR = 3600
CERTIFICATE_AGE = 10 * 24 * HOUR  # a deployment is older than its clocks are wrong
CLOCK_ELECTION_MS = 4000  # on a busy machine too, nobody stands for election because he got no turn
SKEWED = {"InvalidSignatureException"}


class ClockClient(Client):
    """Signs with the time of the node that it asks. Refused for its time it may only be around a jump, or while the nodes are far apart:
    a node that does not lead hands writes to one that has another time."""

    refusals = Client.refusals | SKEWED
    cluster = None

    def send(self, node, operation, arguments):
        SIGNER.clock = self.cluster.clocks[node]
        before = self.cluster.time
        try:
            return super().send(node, operation, arguments)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in SKEWED:
                assert self.cluster.time != before or before[1] > SKEW, f"refused for its time: {error} with clocks {before[1]:.0f} s apart"
            raise


class ClockCluster(MachineCluster):
    """Each node has a clock of its own. Certificates are older than the jumps back are long."""

    def __init__(self):
        self.clocks, self.time = {}, (0, 0)
        super().__init__(self.clock_of)

    def move(self, nodes, shift):
        """Sets their clocks so far ahead; `time` tells how often that was done, and how far apart clocks are."""
        self.time = (self.time[0] + 1, math.inf)
        for node in nodes:
            self.clocks[node].move(shift)
        shifts = [clock.shift for clock in self.clocks.values()]
        self.time = (self.time[0] + 1, max(shifts) - min(shifts))

    def clock_of(self, _, node):
        self.clocks[node] = Clock(self.folder, node.replace("/", ".") + ".clock")
        return self.clocks[node].environment()

    def prepare(self, *options):
        before = Clock(self.folder, "before")
        before.move(-CERTIFICATE_AGE)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in before.environment().items():
                patch.setenv(name, value)
            super().prepare(*options)


class Jumps(Nemesis):
    """One clock, or all of them, jumps: within what signatures allow, or by hours and days, forward and back. With `trouble` the
    misfortunes of Nemesis come between."""

    def __init__(self, cluster, history, trouble):
        super().__init__(cluster, history)
        self.trouble, self.jumps = trouble, 0

    def jump(self, nodes, shift):
        self.note(f"{', '.join(nodes)}: {shift / HOUR:+.2f} h")
        self.cluster.move(nodes, shift)
        self.jumps += 1

    def once(self):
        kinds = [self.small, self.one, self.all, self.leader_far, self.back]
        kinds[self.jumps % len(kinds)]()
        time.sleep(self.random.uniform(0.4, 1.0))
        if self.trouble:
            super().once()

    def far(self):
        return round(self.random.choice((-1, 1)) * self.random.choice((2, 5, 30, 100)) * HOUR + self.random.uniform(-900, 900))

    def any_node(self):
        return self.random.choice(self.cluster.nodes_of(REGION))

    def small(self):
        self.jump([self.any_node()], self.random.choice((-SKEW, SKEW)) // 2)

    def one(self):
        self.jump([self.any_node()], self.far())

    def all(self):
        self.jump(self.cluster.nodes_of(REGION), self.far())

    def leader_far(self):
        self.jump([self.cluster.leader(REGION) or self.any_node()], self.far())

    def back(self):
        self.jump(self.cluster.nodes_of(REGION), 0)

    def is_content(self):
        return self.jumps >= 5

    def end(self):
        self.back()


def term_and_leader(cluster):
    seen = {(said["term"], said["leader"]) for said in (status(cluster, node) for node in cluster.nodes_of(REGION))}
    return seen.pop() if len(seen) == 1 else None


@contextlib.contextmanager
def clocked(election_ms):
    """A region that serves, its nodes with a clock each."""
    with ClockCluster() as cluster, signing_by_thread():
        for node in cluster.nodes_of(REGION):
            config = cluster.config(node)
            config.write_text(config.read_text().replace("[raft]\n", f"[raft]\nelection_timeout_ms = {election_ms}\n"))
        cluster.start()
        ClockClient.cluster = cluster
        yield cluster


def test_clocks_jump():
    """Nothing happens but that timestamps are other ones: the same leader in the same term, to the end."""
    with clocked(CLOCK_ELECTION_MS) as cluster:
        before = eventually(lambda: term_and_leader(cluster), what="one leader")
        history = History()
        nemesis = Jumps(cluster, history, trouble=False)
        run(cluster, nemesis, history, SECONDS, ClockClient)
        assert eventually(lambda: term_and_leader(cluster), what="one leader") == before
        print(f"{nemesis.jumps} jumps in term {before[0]}")
        timestamps_are_the_clock(cluster)


def timestamps_are_the_clock(cluster):
    """What was written when all clocks were hours ahead says so, also later; what is written later is earlier, and is the newer one."""
    ahead = 7 * HOUR
    client = cluster.client(REGION, retries=5)

    def written(shift, call, **arguments):
        cluster.move(cluster.nodes_of(REGION), shift)
        SIGNER.clock = next(iter(cluster.clocks.values()))
        began = time.time() + shift
        version = call(**arguments)["VersionId"]
        return version, began
    first, began = written(ahead, client.create_secret, Name="dated", SecretString="ahead")
    second, back = written(0, client.put_secret_value, SecretId="dated", SecretString="back")
    seen = client.describe_secret(SecretId="dated")
    assert abs(seen["CreatedDate"].timestamp() - began) < PATIENCE and abs(seen["LastChangedDate"].timestamp() - back) < PATIENCE, seen
    assert seen["VersionIdsToStages"] == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}
    assert client.get_secret_value(SecretId="dated")["SecretString"] == "back"


def test_clocks_jump_in_trouble():
    """And what else befalls nodes befalls them at such times too."""
    with clocked(500) as cluster:
        history = History()
        nemesis = Jumps(cluster, history, trouble=True)
        run(cluster, nemesis, history, SECONDS, ClockClient)
