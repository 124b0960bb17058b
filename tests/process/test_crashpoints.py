"""The process dies at every named crash point (base/crashpoint.def), and starts again from what is left: nothing that was acknowledged is
lost, the node serves, the nodes of a region agree, and a command that was cut short can be given again. A point that no test here reaches
fails the last one. The program is `redoubt_crash` (CMakeLists.txt). REDOUBT_SEED replays the choices of a run (not its timing)."""
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid

import botocore.exceptions
import pytest

import cluster as harness
from cluster import Cluster, eventually, wait_in_sync
from runbook import NO_ANSWER, REGION, SEED, Load, assert_same_on, members, stale_client, status, wait_voter

ROOT = pathlib.Path(__file__).resolve().parents[2]
CRASH_BINARY = os.environ.get("REDOUBT_CRASH_BINARY") or str(pathlib.Path(harness.BINARY).with_name("redoubt_crash"))
POINTS = re.findall(r"(?m)^X\((\w+),", (ROOT / "base/crashpoint.def").read_text())
PATIENCE = 60
BULKS = 2  # secrets that are written so often
BEYOND = 620  # writes of 60 KB: beyond the 512 entries that stay behind a snapshot, at the second one
reached = set()


@pytest.fixture(autouse=True)
def crash_binary(monkeypatch):
    monkeypatch.setattr(harness, "BINARY", CRASH_BINARY)
    print(f"REDOUBT_SEED={SEED}")


# ---- arming, and seeing it die ----

def armed(spec):
    return {"REDOUBT_CRASHPOINT": spec}


def points_of(spec):
    return [step.partition(":")[0] for step in spec.split(",")]


def note_death(spec, code, output):
    marker = f"crashpoint: {points_of(spec)[-1]}\n"
    assert code == -signal.SIGKILL and output.endswith(marker), f"{spec}: ended with {code}\n{output[-3000:]}"
    reached.update(points_of(spec))


class Armed:
    """A node that was started to die at a point."""

    def __init__(self, cluster, node, spec):
        self.cluster, self.node, self.spec = cluster, node, spec
        log = cluster.log_path(node)
        self.offset = log.stat().st_size if log.exists() else 0
        cluster.start(node, wait=False, env=armed(spec))

    def is_dead(self):
        return self.cluster.processes[self.node].poll() is not None

    def dies(self):
        process = self.cluster.processes[self.node]
        try:
            code = process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.node} did not come to {self.spec}:\n{self.cluster.tail(self.node)}") from None
        del self.cluster.processes[self.node]
        with open(self.cluster.log_path(self.node), "rb") as log:
            log.seek(self.offset)
            note_death(self.spec, code, log.read().decode(errors="replace"))


def dies_at(cluster, node, *specs):
    """Started for each of these points in turn, it dies there."""
    for spec in specs:
        Armed(cluster, node, spec).dies()


def run(*arguments, spec=None, text=None):
    done = subprocess.run([CRASH_BINARY, *map(str, arguments)], input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, env={**os.environ, **(armed(spec) if spec else {})})
    if spec:
        note_death(spec, done.returncode, done.stdout)
    else:
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}"
    return done.stdout


def command_dies_at(cluster, node, specs, verb, *arguments, text=None):
    for spec in specs:
        run("node", verb, *arguments, "--config", cluster.config(node), spec=spec, text=text)


# ---- clients ----

class Client:
    """One client of one node, which remembers what was acknowledged; what got no answer is repeated with the same token."""

    def __init__(self, cluster, via, prefix="kept"):
        self.client = cluster.client(REGION, via=via)
        self.prefix = prefix
        self.acked = {}
        self.pending = None

    def write(self, size=100):
        """True: acknowledged. False: no answer."""
        if self.pending is None:
            number = len(self.acked)
            self.pending = {"Name": f"{self.prefix}/{number}", "SecretString": f"{number} " + "v" * size, "ClientRequestToken": str(uuid.uuid4())}
        try:
            self.client.create_secret(**self.pending)
        except NO_ANSWER:
            return False
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (500, 503):
                return False
            raise
        self.acked[self.pending["Name"]] = self.pending["SecretString"]
        self.pending = None
        return True

    def write_until(self, ends):
        deadline = time.monotonic() + PATIENCE
        while not ends() and time.monotonic() < deadline:
            if not self.write():
                time.sleep(0.02)

    def assert_kept(self):
        for name, value in self.acked.items():
            assert self.client.get_secret_value(SecretId=name)["SecretString"] == value, name

    def assert_serves(self):
        """What was cut short goes through now, and everything is there."""
        eventually(self.write, PATIENCE, what="the write that was cut short")
        assert self.write()
        self.assert_kept()


def short_log(cluster, entries=16, mib=1):
    for node in cluster.nodes_of():
        text = re.sub(r"(?m)^\s*log_(entries|mib)\s*=.*\n", "", cluster.config(node).read_text())
        cluster.config(node).write_text(text.replace("[raft]\n", f"[raft]\nlog_entries = {entries}\nlog_mib = {mib}\n"))


# ---- one node: log, vote, state ----

def test_one_node():
    choice = random.Random(SEED)
    some = [f"{point}:{choice.randrange(1, 9)}" for point in ("LOG_BEFORE_WRITE", "LOG_WRITTEN", "LOG_SYNCED", "LOG_WITNESSED",
                                                              "STATE_BEFORE_WRITE", "STATE_WRITTEN")]
    shortened = f"LOG_SHORTENED:{choice.randrange(1, 3)}"
    with Cluster(regions=[REGION]) as cluster:
        short_log(cluster)
        cluster.start()
        client = Client(cluster, REGION)
        assert client.write()
        cluster.kill(REGION)
        for spec in some + ["VOTE_BEFORE_WRITE", "VOTE_WRITTEN", "VOTE_WRITTEN,LOG_WRITTEN", shortened, f"{shortened},LOG_BEFORE_WRITE",
                            f"{shortened},LOG_WRITTEN", f"{shortened},LOG_SYNCED", f"{shortened},STATE_WRITTEN", "CHECKPOINT_REMOVING"]:
            node = Armed(cluster, REGION, spec)  # which begins where the one before it died
            client.write_until(node.is_dead)
            node.dies()
        cluster.start()
        client.assert_serves()
        print(f"{len(client.acked)} writes kept")


# ---- a new store, step by step ----

def test_beginning():
    with Cluster(regions=[REGION]) as cluster:
        shutil.rmtree(cluster.node_data(REGION))
        command_dies_at(cluster, REGION, ["IDENTITY_WRITTEN"], "id")
        command_dies_at(cluster, REGION, ["IDENTITY_RENAMED"], "id")
        identity = cluster.node_id(REGION)
        assert cluster.node_id(REGION) == identity
        for name in ("node.crt", "node.key"):
            (cluster.node_folder(REGION) / name).unlink()
        cert = ("region", "cert", "--ca-cert", cluster.data / "ca.crt", "--ca-key", cluster.data / "ca.key", "--region", REGION, "--node", identity,
                "--cert", cluster.node_folder(REGION) / "node.crt", "--key", cluster.node_folder(REGION) / "node.key")
        run(*cert, spec="KEY_FILE_WRITTEN")
        run(*cert)
        command_dies_at(cluster, REGION, ["ENGINE_FOLDER", "ENGINE_CREATED", "INDEX_BUILT", "LOG_BEFORE_WRITE", "LOG_WRITTEN"], "bootstrap")
        cluster.node_command(REGION, "bootstrap")  # killed is not powered off: what was written is there
        shutil.rmtree(cluster.node_data(REGION) / "store")
        command_dies_at(cluster, REGION, ["LOG_SYNCED"], "bootstrap")
        cluster.node_command(REGION, "bootstrap")
        cluster.node_command(REGION, "bootstrap")  # nobody can know whether the first one came to its end
        cluster.start()
        Client(cluster, REGION).assert_serves()
        cluster.kill(REGION)
        assert "already" in cluster.node_command(REGION, "bootstrap", fails=True)  # it has lived
        cluster.start()


def test_dev_folder():
    chain = ["KEY_FILE_WRITTEN", "KEY_FILE_WRITTEN:2", "DEV_AUTHORITY", "KEY_FILE_WRITTEN:3", "KEY_FILE_WRITTEN:2", "IDENTITY_WRITTEN",
             "IDENTITY_RENAMED", "KEY_FILE_WRITTEN", "KEY_FILE_WRITTEN:2", "DEV_NODE_KEY", "DEV_FILE_WRITTEN", "ENGINE_FOLDER", "ENGINE_CREATED",
             "INDEX_BUILT", "LOG_SYNCED", "DEV_STORE_BEGUN", "DEV_STORE_BEGUN:2", "DEV_GROUP_BEGUN", "DEV_GROUP_BEGUN,DEV_FILE_WRITTEN"]

    class Interrupted(Cluster):
        def prepare(self, *options):
            arguments = ("dev", "--start", "no", "--data", self.data, "--port", self.port, "--nodes", self.n_nodes, "--regions",
                         ",".join(self.regions), "--account", harness.ACCOUNT)
            for spec in chain:
                run(*arguments, spec=spec)
            run(*arguments)
            assert not list(self.data.rglob("*.new")), "leftovers"
            run(*arguments)

    with Interrupted(regions=[REGION], nodes=3) as cluster:
        cluster.start()
        client = Client(cluster, f"{REGION}/0")
        client.assert_serves()
        assert len(assert_same_on(cluster, cluster.nodes_of(REGION))) == len(client.acked)


# ---- three nodes ----

@pytest.fixture
def three():
    with Cluster(regions=[REGION], nodes=3, spares=2) as running:
        yield running.start()


def lead(cluster, node):
    """Until this node leads."""
    def leads():
        if cluster.leader(REGION) == node:
            return True
        via = next(n for n in cluster.nodes_of(REGION) if n in cluster.processes)
        subprocess.run([CRASH_BINARY, "node", "transfer", cluster.node_id(node), "--config", str(cluster.config(via))],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        return cluster.leader(REGION) == node
    eventually(leads, PATIENCE, every=0.1, what=f"{node} leads")


def test_three_nodes(three):
    choice = random.Random(SEED)
    nodes = three.nodes_of(REGION)
    with Load(three, nodes) as load:
        for spec in ("LOG_BEFORE_WRITE", "LOG_WRITTEN", "LOG_WITNESSED", "STATE_BEFORE_WRITE", "STATE_WRITTEN"):
            node = choice.choice(nodes)  # at once, following
            three.kill(node)
            dies_at(three, node, f"{spec}:{choice.randrange(1, 20)}")
            three.start(node)
        for spec in ("LOG_BEFORE_WRITE", "LOG_WRITTEN", "LOG_SYNCED", "LOG_WITNESSED", "STATE_BEFORE_WRITE", "STATE_WRITTEN"):
            node = three.followers(REGION)[0]  # when it has voted for itself: leading, soon after
            three.kill(node)
            victim = Armed(three, node, f"VOTE_WRITTEN,{spec}:{choice.randrange(1, 20)}")
            eventually(lambda: victim.is_dead() or three.health(node)[0] == 200, PATIENCE, what="it runs")
            while not victim.is_dead() and three.leader(REGION) != node:
                subprocess.run([CRASH_BINARY, "node", "transfer", three.node_id(node), "--config", str(three.config(node))],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
            victim.dies()
            three.start(node)
            load.go_on(10)
    load.assert_kept(three.client(REGION))
    assert len(assert_same_on(three, nodes)) == len(load.acked)


def test_votes(three):
    """Who votes dies, before and after it wrote that down; the others elect without it, or with it when it is back."""
    client = Client(three, f"{REGION}/0")
    assert client.write()
    for spec in ("VOTE_BEFORE_WRITE", "VOTE_WRITTEN"):
        leader = three.wait_leader(REGION)
        victim, other = (n for n in three.nodes_of(REGION) if n != leader)
        three.kill(victim)
        voter = Armed(three, victim, spec)
        eventually(lambda: voter.is_dead() or three.health(victim)[0] == 200, PATIENCE, what="it runs")
        if not voter.is_dead():
            three.kill(leader)
        voter.dies()
        three.start(*[n for n in three.nodes_of(REGION) if n not in three.processes])
        three.wait_ready(REGION)
        client.assert_serves()
    assert_same_on(three, three.nodes_of(REGION))


def test_stale_tail(three):
    """The log's end was never committed, and gives way to what was."""
    client = Client(three, f"{REGION}/0")
    assert client.write()
    assert_same_on(three, three.nodes_of(REGION))
    leader = three.wait_leader(REGION)
    others = [n for n in three.nodes_of(REGION) if n != leader]
    for node in others:
        three.kill(node)
    lost = three.client(REGION, via=leader, read_timeout=1)
    def write_in_vain(number):
        time.sleep(0.03 * number)  # entries of their own, before it knows that nobody is there
        with pytest.raises((*NO_ANSWER, botocore.exceptions.ClientError)):
            lost.create_secret(Name=f"never-{number}", SecretString="never")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(write_in_vain, range(6)))
    three.kill(leader)
    three.start(*others, wait=False)
    three.wait_leader(REGION)
    new = Client(three, others[0], prefix="new")
    for _ in range(3):
        eventually(new.write, PATIENCE, what="a write without the former leader")
    dies_at(three, leader, "LOG_TAIL_CUT", "LOG_TAIL_CUT,LOG_BEFORE_WRITE", "LOG_TAIL_CUT,LOG_WRITTEN")
    three.start(leader)
    kept = assert_same_on(three, three.nodes_of(REGION))
    assert len(kept) == len(client.acked) + len(new.acked)
    client.assert_serves()


# ---- a snapshot, from its making to the switch ----

def write_beyond_the_log(cluster, via):
    client = cluster.client(REGION, via=via, retries=5)
    for i in range(BEYOND):  # one after another: an entry each
        value = f"{i} " + "x" * 60000
        if i < BULKS:
            client.create_secret(Name=f"bulk-{i}", SecretString=value)
        else:
            client.put_secret_value(SecretId=f"bulk-{i % BULKS}", SecretString=value)


def test_snapshot(three):
    for node in three.nodes_of(REGION):
        three.kill(node)
    short_log(three, 64)
    three.start()
    maker = three.wait_leader(REGION)
    third, away = (n for n in three.nodes_of(REGION) if n != maker)
    client = Client(three, third)
    assert client.write()
    three.kill(away)
    write_beyond_the_log(three, third)
    client.assert_serves()

    # Its maker dies.
    for spec in ("CHECKPOINT_COPIED", "CHECKPOINT_STRIPPED", "CHECKPOINT_MADE"):
        three.kill(maker)
        victim = Armed(three, maker, spec)
        three.wait_ready(maker)
        lead(three, maker)
        three.start(away, wait=False)
        victim.dies()
        three.kill(away)
        three.start(maker)
        client.assert_serves()

    # Who fetches it dies, again and again; each time it goes on where it was.
    lead(three, third)
    dies_at(three, away, "INCOMING_FOLDER", "INCOMING_PIECE", "INCOMING_PIECE:3", "INCOMING_FILE_SYNCED:2", "INCOMING_FILE_WHOLE:2",
            "INCOMING_FETCHED", "INCOMING_HOUSE_CLOSED", "INCOMING_LOG_EMPTIED", "INCOMING_LOG_EMPTIED,LOG_WRITTEN", "INCOMING_ADOPTED",
            "INCOMING_READY")
    # An operator comes now: what is done offline is done to the store that the server would open.
    copies = [shutil.copytree(three.node_folder(away), three.folder / f"copy-{i}") for i in range(2)]
    dies_at(three, away, "SWITCH_STORE_AWAY")
    copies.append(shutil.copytree(three.node_folder(away), three.folder / "copy-2"))
    dies_at(three, away, "SWITCH_READY_IN")
    shutil.rmtree(three.node_folder(away))
    shutil.copytree(copies[2], three.node_folder(away))  # nothing was opened since
    dies_at(three, away, "SWITCH_DONE", "CHECKPOINT_REMOVING")
    three.start(away)
    client.assert_serves()
    kept = assert_same_on(three, three.nodes_of(REGION))
    assert len(kept) == len(client.acked) + BULKS
    assert not list((three.node_data(away) / "incoming").glob("*")) and not (three.node_data(away) / "replaced").exists()
    for node in three.nodes_of(REGION):
        three.kill(node)
    for copy in (copies[0], copies[2]):
        recovered_from(three, away, copy, client)
    shutil.rmtree(three.node_folder(away))
    shutil.copytree(copies[1], three.node_folder(away))
    three.start(maker, third)
    command_dies_at(three, away, ["REBUILD_MOVED"], "rebuild", "--address", f"127.0.0.1:{peer_port(three, maker)}")
    assert not list((three.node_data(away) / "incoming").glob("*")), "what was fetched is forgotten with the store"
    three.node_command(away, "rebuild", "--address", f"127.0.0.1:{peer_port(three, maker)}")
    three.start(away, wait=False)
    wait_voter(three, maker, away)
    assert_same_on(three, three.nodes_of(REGION))


def recovered_from(cluster, node, copy, client):
    shutil.rmtree(cluster.node_folder(node))
    shutil.copytree(copy, cluster.node_folder(node))
    for spec in ("LOG_BEFORE_WRITE", "LOG_WRITTEN", "LOG_SYNCED"):
        command_dies_at(cluster, node, [spec], "recover", "--force-single", "yes-i-lose-what-others-have")
    cluster.node_command(node, "recover", "--force-single", "yes-i-lose-what-others-have")
    cluster.start(node)
    own = cluster.client(REGION, via=node)
    assert own.get_secret_value(SecretId="bulk-0")["SecretString"].startswith(f"{BEYOND - BULKS} ")
    assert own.get_secret_value(SecretId="kept/0")["SecretString"] == client.acked["kept/0"]
    own.create_secret(Name="alone", SecretString="alone")
    cluster.kill(node)


# ---- members ----

def peer_port(cluster, name):
    return cluster.port + 1000 + int(name.partition("/")[2])


def new_token(cluster, via):
    lines = dict(line.split(None, 1) for line in cluster.node_command(via, "token", "--lifetime", "600").splitlines()
                 if line.startswith(("token ", "authority ")))
    return lines["token"].strip(), lines["authority"].split()[0]


def leader_dies_at(cluster, node, spec, verb, *arguments, text=None):
    """The command goes to the leader, who dies of it; it fails, and may be given again."""
    cluster.kill(node)
    victim = Armed(cluster, node, spec)
    cluster.wait_ready(node)
    lead(cluster, node)
    done = subprocess.run([CRASH_BINARY, "node", verb, *arguments, "--address", f"127.0.0.1:{peer_port(cluster, node)}"], input=text, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90)
    victim.dies()
    assert done.returncode == 1, f"{done.returncode}: {done.stdout}"
    cluster.start(node)
    return done.stdout


def test_join_and_rebuild(three):
    nodes = three.nodes_of(REGION)
    client = Client(three, nodes[0])
    for _ in range(20):
        assert client.write()
    fourth = three.add_node(REGION)
    token, ca = new_token(three, nodes[0])
    given = ("--token-file", "-", "--ca-sha256", ca, "--config", str(three.config(fourth)))
    print(leader_dies_at(three, nodes[1], "JOIN_TOKEN_USED", "join", *given, text=token))
    print(leader_dies_at(three, nodes[2], "JOIN_ADDED", "join", *given, text=token))
    for name in ("ca.crt", "node.crt", "node.key"):
        (three.node_folder(fourth) / name).unlink(missing_ok=True)
    shutil.rmtree(three.node_data(fourth) / "store")
    given = ("--address", f"127.0.0.1:{peer_port(three, nodes[0])}", "--token-file", "-", "--ca-sha256", ca)
    command_dies_at(three, fourth, ["JOIN_AWAITING", "KEY_FILE_WRITTEN", "JOIN_AUTHORITY", "KEY_FILE_WRITTEN", "JOIN_REQUESTED", "JOIN_ANSWERED",
                                    "FILE_WRITTEN", "JOIN_CERTIFICATE_WAITING", "JOIN_KEY_RENAMED", "JOIN_CERTIFICATE_RENAMED",
                                    "JOIN_PLACE_TAKEN", "JOIN_PLACE_TAKEN,FILE_WRITTEN"], "join", *given, text=token)
    three.node_command(fourth, "join", *given, text=token)
    assert len(members(three, nodes[0])) == 4
    three.start(fourth, wait=False)
    wait_voter(three, nodes[0], fourth)
    client.assert_serves()
    three.wait_ready(REGION)
    assert len(assert_same_on(three, three.nodes_of(REGION))) == len(client.acked)

    three.kill(fourth)
    command_dies_at(three, fourth, ["REBUILD_MOVED", "REBUILD_REJOINED", "LOG_WRITTEN", "JOIN_PLACE_TAKEN"], "rebuild")
    three.node_command(fourth, "rebuild")
    three.start(fourth, wait=False)
    wait_voter(three, nodes[0], fourth)
    three.kill(fourth)
    print(leader_dies_at(three, nodes[1], "REJOIN_REMOVED", "rebuild", "--config", str(three.config(fourth))))
    three.node_command(fourth, "rebuild")
    three.start(fourth, wait=False)
    wait_voter(three, nodes[0], fourth)
    client.assert_serves()
    three.wait_ready(REGION)
    assert len(assert_same_on(three, three.nodes_of(REGION))) == len(client.acked)


# ---- between regions ----

def test_replication():
    there = "us-west-2"
    with Cluster(regions=[REGION, there]) as cluster:
        cluster.start()
        client = cluster.client(REGION)
        client.create_secret(Name="both", SecretString="0", AddReplicaRegions=[{"Region": there}])
        wait_in_sync(client, "both", [there])
        for i, (region, spec) in enumerate([(REGION, "SHIP_ANSWERED"), (REGION, "SHIP_RECORDED"), (there, "INBOUND_APPLIED")], start=1):
            cluster.kill(region)
            victim = Armed(cluster, region, spec)
            cluster.wait_ready(region)
            try:
                client.put_secret_value(SecretId="both", SecretString=str(i))
            except NO_ANSWER:
                pass
            victim.dies()
            cluster.start(region)
            assert client.get_secret_value(SecretId="both")["SecretString"] == str(i)
            wait_in_sync(client, "both", [there])
            assert cluster.client(there).get_secret_value(SecretId="both")["SecretString"] == str(i)
        answers = [cluster.client(region).describe_secret(SecretId="both")["VersionIdsToStages"] for region in (REGION, there)]
        assert answers[0] == answers[1]


# ---- the whole ----

def test_every_point_is_reached(request):
    mine = {name for name, value in vars(sys.modules[__name__]).items() if name.startswith("test_") and callable(value)}
    if mine - {item.name for item in request.session.items}:
        pytest.skip("not all of this file was run")
    assert len(POINTS) > 40 and not set(POINTS) - reached, f"nothing reaches {sorted(set(POINTS) - reached)}"


def test_what_ships_has_none_of_it():
    marks = [b"REDOUBT_CRASHPOINT", b"crashpoint: ", b"crashpoint_pass"]
    shipped = pathlib.Path(os.environ.get("REDOUBT_BINARY") or CRASH_BINARY.replace("redoubt_crash", "redoubt")).read_bytes()
    assert not [mark for mark in marks if mark in shipped]
    assert all(mark in pathlib.Path(CRASH_BINARY).read_bytes() for mark in marks)
