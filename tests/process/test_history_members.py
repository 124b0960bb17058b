"""Histories (test_history.py) of regions whose members change while clients work: nodes are removed and come again as new ones; and of
regions where nodes get a snapshot, with a log that is kept short. Around it nodes are killed, paused and handed the leadership."""
import json
import random
import re
import shutil
import subprocess
import threading
import time

from cluster import BINARY, Cluster, eventually
from history import History
from nemesis import REGION, SEED, Nemesis, run, seconds
from runbook import PATIENCE

SECONDS = seconds(10)
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

    def insist(self, what, attempt, seconds=PATIENCE):
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
        return self.joined >= 2 and self.removed >= 2

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
        with self.lock:
            node = self.random.choice(sorted(self.cluster.processes))
            what = self.random.choice((self.kill, self.kill, self.pause, self.pause, self.transfer, self.restart))
            at_leader = self.random.random() < 0.5
            what((at_leader and self.cluster.leader(REGION)) or node)
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
        return self.choice.choice([n for n in self.inside if n not in but])

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
