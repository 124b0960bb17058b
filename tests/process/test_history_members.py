"""Histories (test_history.py) of regions whose members change while clients work: nodes are removed and come again as new ones; and of
regions where nodes get a snapshot, with a log that is kept short. Around it nodes are killed, paused and handed the leadership."""
import json
import random
import re
import shutil
import subprocess
import threading
import time

import botocore.exceptions

from cluster import BINARY, Cluster, eventually
from history import History
from nemesis import NO_ANSWER, REGION, SEED, STUCK_SECONDS, Nemesis, run, seconds
from runbook import PATIENCE
from worker import Worker

SECONDS = seconds(6)
SPARES = 2
LEAST_VOTERS, MOST_VOTERS = 3, 5


class Operator:
    """Says `redoubt node ...` as often as a busy region with an election now and then makes it necessary."""

    def __init__(self, cluster, note):
        self.cluster, self.note = cluster, note

    def say(self, node, verb, *arguments, text=None):
        """(whether it succeeded, what it printed)."""
        done = subprocess.run([BINARY, "node", verb, *arguments, "--config", str(self.cluster.config(node))], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.returncode == 0, done.stdout

    def insist(self, what, attempt, seconds=2 * PATIENCE):
        """attempt() until it is true in its first part; the second is what is returned, or the complaint."""
        deadline = time.monotonic() + seconds
        while True:
            done, said = attempt()
            if done:
                return said
            assert time.monotonic() < deadline, f"{what}: {said}"
            self.note(f"again: {what}: {said.strip().splitlines()[-1] if said.strip() else ''}")
            time.sleep(0.1)


def peer_port(cluster, node):
    return cluster.port + 1000 + int(node.partition("/")[2])


class Membership(Nemesis):
    """Beside the misfortunes of Nemesis, of one node at a time, an operator who takes nodes out and in, each time as a machine that is
    new: without data, with another id. A node that was removed runs on for a while; clients go on asking it."""

    def __init__(self, cluster, history):
        super().__init__(cluster, history)
        self.choice = random.Random(f"{SEED}-operator")  # the two do not share one: each has its thread
        self.operator = Operator(cluster, self.note)
        self.lock = threading.RLock()  # of who starts and ends processes
        self.inside = cluster.nodes_of(REGION)
        self.outside = [self.add_spare() for _ in range(SPARES)]
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.guard)
        self.error = None
        self.joined, self.removed = 0, 0

    def add_spare(self):
        """As the others, it may sign for joiners when it leads."""
        node = self.cluster.add_node(REGION)
        config = self.cluster.config(node)
        config.write_text(config.read_text().replace("\nca = ca.crt\n", "\nca = ca.crt\nca_key = ../../ca.key\n"))
        return node

    def begin(self):
        self.thread.start()

    def is_content(self):
        if self.error:
            raise self.error
        return self.joined and self.removed and self.joined + self.removed >= 3

    def end(self):
        self.stopping.set()
        self.thread.join(timeout=4 * PATIENCE)
        assert not self.thread.is_alive(), "the operator hangs"
        for node in self.outside:
            if node in self.cluster.processes:
                self.cluster.kill(node)
        if self.error:
            raise self.error

    def members(self):
        return sorted(self.inside)

    def once(self):
        # On a slow machine too the region has a moment between two of them, else nothing would ever change.
        self.cluster.wait_leader(REGION, PATIENCE)
        with self.lock:
            node = self.random.choice(sorted(self.cluster.processes))
            what = self.random.choice((self.kill, self.kill, self.pause, self.pause, self.transfer, self.restart))
            at_leader = self.random.random() < 0.5
            what((at_leader and self.cluster.leader(REGION)) or node)
        self.cluster.wait_leader(REGION, PATIENCE)
        time.sleep(self.random.uniform(0.3, 1.2))

    def guard(self):
        try:
            while not self.stopping.is_set():
                self.change()
                time.sleep(self.choice.uniform(0, 0.5))
        except BaseException as error:
            self.error = error

    def change(self):
        may_join = self.outside and len(self.inside) < MOST_VOTERS
        if may_join and (len(self.inside) <= LEAST_VOTERS or self.choice.random() < 0.5):
            self.join(self.choice.choice(self.outside))
        else:
            leader = self.cluster.leader(REGION)
            node = leader if leader in self.inside and self.choice.random() < 0.5 else self.choice.choice(self.inside)
            self.remove(node)

    def via(self, *but):
        inside = [n for n in self.inside if n not in but]
        return self.choice.choice([n for n in inside if self.cluster.health(n)[0] == 200] or inside)

    def forget(self, node):
        """A new machine with the old address."""
        with self.lock:
            if node in self.cluster.processes:
                self.cluster.kill(node)
            shutil.rmtree(self.cluster.node_data(node))
            self.cluster.node_data(node).mkdir(mode=0o700)
            for name in ("node.crt", "node.key"):
                (self.cluster.node_folder(node) / name).unlink(missing_ok=True)

    def join(self, node):
        self.forget(node)
        said = self.operator.insist("token", lambda: self.operator.say(self.via(), "token"))
        token, ca = (re.search(rf"(?m)^{word}\s+(\w+)", said)[1] for word in ("token", "authority"))
        learner = self.choice.random() < 0.4
        self.note(f"join {node}{' as a learner' if learner else ''}")
        self.operator.insist(f"join {node}", lambda: self.operator.say(
            node, "join", "--address", f"127.0.0.1:{peer_port(self.cluster, self.via())}", "--token-file", "-", "--ca-sha256", ca,
            *(("--learner", "yes") if learner else ()), text=token + "\n"))
        with self.lock:
            self.cluster.start(node, wait=False)
        identity = self.cluster.node_id(node)
        if learner:
            time.sleep(self.choice.uniform(0, 1))
            self.operator.insist(f"promote {node}", lambda: self.operator.say(self.via(), "promote", identity))
        self.wait_listed(node, identity, lambda member: member and member["voter"])
        self.outside.remove(node)
        self.inside.append(node)
        self.joined += 1
        self.note(f"{node} votes: {len(self.inside)} voters")

    def remove(self, node):
        identity = self.cluster.node_id(node)
        self.note(f"remove {node}, {'the leader' if self.cluster.leader(REGION) == node else 'no leader'}")
        self.operator.insist(f"remove {node}", lambda: self.remove_or_gone(node, identity))
        self.inside.remove(node)
        self.outside.append(node)
        self.removed += 1
        self.note(f"removed {node}: {len(self.inside)} voters")
        time.sleep(self.choice.uniform(0, 2))

    def remove_or_gone(self, node, identity):
        via = self.via(node) if self.choice.random() < 0.8 else node
        done, said = self.operator.say(via, "remove", identity)
        return (True, said) if done or identity not in (self.listed(self.via(node)) or [identity]) else (False, said)

    def listed(self, via):
        """The members, with what the leader knows of them; None without an answer."""
        done, said = self.operator.say(via, "list", "--json", "yes")
        return {m["id"]: m for m in json.loads(said)["members"]} if done else None

    def wait_listed(self, node, identity, is_so):
        eventually(lambda: is_so((self.listed(self.via()) or {}).get(identity)), 2 * PATIENCE, every=0.1, what=f"{node} is a voter")


def test_members_change():
    with Cluster(regions=[REGION], nodes=3, spares=SPARES) as cluster:
        cluster.start()
        history = History()
        nemesis = Membership(cluster, history)
        run(cluster, nemesis, history, SECONDS)
        print(f"{nemesis.joined} joined, {nemesis.removed} removed")


# -- snapshots --

LOG_ENTRIES, LOG_MIB = 64, 1
PAD = "x" * 60000  # so that a few hundred writes are more than the 16 MiB of log that stay for followers that lag
PADDING, KEPT_PADS = 4, 250  # what makes a snapshot large enough to be interrupted: 15 MB
LEAST_INSTALLS = 2


class Padding(Worker):
    """Large secrets that nobody reads, made and deleted, so that the log moves on."""

    def __init__(self, cluster, number):
        super().__init__(f"padding-{number}")
        self.clients = [cluster.client(REGION, via=node, read_timeout=STUCK_SECONDS) for node in cluster.nodes_of(REGION)]
        self.number, self.random = number, random.Random(f"{SEED}-padding-{number}")
        self.wanted, self.made = threading.Event(), 0

    def call(self, operation, **arguments):
        while not self.stopping.is_set():
            try:
                getattr(self.random.choice(self.clients), operation)(**arguments)
                return
            except NO_ANSWER:
                pass
            except botocore.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in ("ResourceExistsException", "ResourceNotFoundException"):
                    return
                assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error
            time.sleep(0.05)

    def once(self):
        if not self.wanted.wait(0.1):
            return
        self.call("create_secret", Name=f"padding/{self.number}/{self.made}", SecretString=PAD)
        if self.made >= KEPT_PADS // PADDING:
            self.call("delete_secret", SecretId=f"padding/{self.number}/{self.made - KEPT_PADS // PADDING}", ForceDeleteWithoutRecovery=True)
        self.made += 1


class Snapshots(Nemesis):
    """A node falls so far behind that the log was shortened past it, or loses its store; it installs a snapshot, and it or the node that it
    has it from is killed or paused on the way."""

    def __init__(self, cluster, history):
        super().__init__(cluster, history)
        self.operator = Operator(cluster, self.note)
        self.padding = [Padding(cluster, i) for i in range(PADDING)]
        self.ways = [self.behind, self.storeless]
        self.troubles = [self.kill_installer, self.kill_source, self.pause_source, self.no_trouble]
        self.random.shuffle(self.ways)
        self.random.shuffle(self.troubles)
        self.rounds, self.interrupted = 0, 0

    def begin(self):
        for thread in self.padding:
            thread.start()

    def end(self):
        for thread in self.padding:
            thread.stopping.set()
        for thread in self.padding:
            thread.end()

    def is_content(self):
        return self.rounds >= LEAST_INSTALLS

    def events(self, node, name):
        return len(re.findall(rf"event={re.escape(name)} ", self.cluster.log_path(node).read_text(errors="replace")))

    def status(self, node):
        done, said = self.operator.say(node, "status", "--json", "yes")
        return json.loads(said) if done else {}

    def once(self):
        nodes = self.cluster.nodes_of(REGION)
        leader = self.cluster.wait_leader(REGION, PATIENCE)
        node = leader if self.random.random() < 0.3 else self.random.choice([n for n in nodes if n != leader])
        began, installed = self.events(node, "raft.install"), self.events(node, "server.install")
        self.ways[self.rounds % len(self.ways)](node, [n for n in nodes if n != node])
        self.cluster.start(node, wait=False)
        eventually(lambda: self.events(node, "raft.install") > began, PATIENCE, what=f"an install begins at {node}")
        trouble = self.troubles[self.rounds % len(self.troubles)]
        time.sleep(self.random.uniform(0, 0.3))
        in_the_middle = self.events(node, "server.install") == installed
        self.note(f"{node} installs: {trouble.__name__}, {'in the middle' if in_the_middle else 'too late'}")
        trouble(node)
        self.interrupted += in_the_middle and trouble != self.no_trouble
        eventually(lambda: self.events(node, "server.install") > installed, 2 * PATIENCE, what=f"{node} installs a snapshot")
        self.cluster.wait_ready(node)
        self.note(f"{node} has it")
        # One that lost its store comes back as a spare: until it votes, the region has no node to spare for the next round.
        eventually(lambda: self.votes(node), 2 * PATIENCE, every=0.1, what=f"{node} votes")
        self.rounds += 1

    def votes(self, node):
        done, said = self.operator.say(node, "list", "--json", "yes")
        members = json.loads(said)["members"] if done else []
        return any(m["id"] == self.cluster.node_id(node) and m["voter"] for m in members)

    def behind(self, node, others):
        self.note(f"kill -9 {node}, to be left behind")
        self.cluster.kill(node)
        self.shorten(others, eventually(lambda: max(self.status(n).get("last", 0) for n in others), what="a status"))

    def shorten(self, nodes, last):
        """Until none of these, one of which leads, has an entry of those up to `last`."""
        for thread in self.padding:
            thread.wanted.set()
        eventually(lambda: all(self.status(n).get("first", 0) > last for n in nodes), 5 * PATIENCE, every=0.2, what="the log is shortened")
        for thread in self.padding:
            thread.wanted.clear()

    def storeless(self, node, others):
        self.note(f"kill -9 {node}, its store is deleted")
        self.cluster.kill(node)
        shutil.rmtree(self.cluster.node_data(node) / "store")
        self.operator.insist(f"rebuild {node}", lambda: self.operator.say(
            node, "rebuild", "--address", f"127.0.0.1:{peer_port(self.cluster, self.random.choice(others))}"))
        self.shorten(others, 1)

    def no_trouble(self, node):
        pass

    def kill_installer(self, node):
        self.kill(node)

    def kill_source(self, _):
        leader = self.cluster.leader(REGION)
        if leader:
            self.kill(leader)

    def pause_source(self, _):
        leader = self.cluster.leader(REGION)
        if leader:
            self.pause(leader)


def keep_the_log_short(cluster):
    for node in cluster.nodes_of(REGION):
        config = cluster.config(node)
        text = re.sub(r"(?m)^\s*log_(entries|mib|level)\s*=.*\n", "", config.read_text())
        text = text.replace("[raft]\n", f"[raft]\nlog_entries = {LOG_ENTRIES}\nlog_mib = {LOG_MIB}\n")
        config.write_text(text.replace("[node]\n", "[node]\nlog_level = info\n"))


def test_snapshots_are_installed():
    with Cluster(regions=[REGION], nodes=3) as cluster:
        keep_the_log_short(cluster)
        cluster.start()
        history = History()
        nemesis = Snapshots(cluster, history)
        run(cluster, nemesis, history, SECONDS)
        print(f"{nemesis.rounds} installs, {nemesis.interrupted} interrupted")
