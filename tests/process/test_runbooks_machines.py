"""More of the runbooks of docs/operating.md, with real processes: a full disk (of one node, of all), certificates that are replaced.
REDOUBT_SEED replays the choices of a run (not its timing)."""
import os
import random
import shutil
import signal
import ssl
import socket
import subprocess
import time

import botocore.exceptions
import pytest

from cluster import BINARY, eventually
from runbook import REGION, SEED, Load, assert_same_on, members, region, stale_client, status, wait_voter

DISK_MIB = 160
RESERVE_MIB = 64
FILLED_MIB = 32  # what a full disk has left, well below the reserve


class Disks:
    """The data folders of some nodes, each on a small file system in memory."""

    def __init__(self, cluster, nodes):
        self.cluster, self.nodes, self.mounted = cluster, nodes, []

    def __enter__(self):
        for node in self.nodes:
            data = self.cluster.node_data(node)
            aside = data.with_name("data.aside")
            data.rename(aside)
            data.mkdir(mode=0o700)
            done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0700", "redoubt-test", str(data)],
                                  stderr=subprocess.PIPE, text=True)
            if done.returncode != 0:
                self.__exit__()
                pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
            self.mounted.append(data)
            shutil.copytree(aside, data, dirs_exist_ok=True)
            config = self.cluster.config(node)
            config.write_text(config.read_text().replace("[node]\n", f"[node]\ndisk_reserve_mib = {RESERVE_MIB}\n"))
        return self

    def __exit__(self, *_):
        for data in self.mounted:
            subprocess.run(["umount", "-l", str(data)], check=False)

    def fill(self, node):
        data = self.cluster.node_data(node)
        room = os.statvfs(data)
        with open(data / "ballast", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - (FILLED_MIB << 20))

    def empty(self, node):
        (self.cluster.node_data(node) / "ballast").unlink()


@pytest.fixture
def three():
    with region() as cluster:
        yield cluster


def wait_full(cluster, node, full):
    eventually(lambda: cluster.metric(node, "redoubt_disk_full") == full, what=f"redoubt_disk_full {full} on {node}")
    shown = status(cluster, node)
    assert shown["disk_full"] == bool(full) and (shown["disk_free"] < RESERVE_MIB << 20) == bool(full), shown


def stale_age(cluster, node):
    """How old a node says that what it has may be, in ms."""
    answer = stale_client(cluster, node).get_secret_value(SecretId="load/0")
    return int(answer["ResponseMetadata"]["HTTPHeaders"]["x-redoubt-age-ms"])


def write_status(client, value):
    """HTTP status of a write: 200 or what it was refused with."""
    try:
        client.put_secret_value(SecretId="load/0", SecretString=value)
        return 200
    except botocore.exceptions.ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


def assert_refused(clients):
    for client in clients:
        asked = time.monotonic()
        assert write_status(client, "refused") == 503
        assert time.monotonic() - asked < 2, "refused at once, not when the patience ends"


def test_full_disk_of_one(three):
    nodes = three.nodes_of(REGION)
    with Disks(three, nodes) as disks:
        three.start()
        with Load(three, nodes) as load:
            leader = three.wait_leader(REGION)
            disks.fill(leader)
            wait_full(three, leader, 1)
            other = three.wait_leader(REGION, other_than=leader)
            load.go_on(100)
            assert three.health(leader)[0] == 200  # it still serves reads, and sends writes to the leader
            assert three.leader(REGION) == other, "leadership wanders"
            assert three.client(REGION, via=leader).get_secret_value(SecretId="load/0")["SecretString"]
            # The others know that it does not count, and it knows that it falls behind.
            assert {i for i, m in members(three, other).items() if m["disk_full"]} == {three.node_id(leader)}
            eventually(lambda: stale_age(three, leader) > 500, what="an age that grows")
            assert stale_age(three, other) < 500
            disks.empty(leader)
            wait_full(three, leader, 0)
            # It catches up and takes writes again by itself: it can lead, and be needed for the majority.
            eventually(lambda: status(three, leader)["applied"] >= status(three, other)["applied"] - 100, what="it has caught up")
            three.node_command(other, "transfer", three.node_id(leader))
            third = next(n for n in nodes if n not in (leader, other))
            load.clients[:] = [three.client(REGION, via=leader)]
            three.kill(third)
            load.go_on(50)
        three.start(third)
        load.assert_kept(three.client(REGION, via=leader))
        assert len(assert_same_on(three, nodes)) == len(load.acked)
        for node in nodes:
            three.stop(node)


def test_full_disk_of_all(three):
    nodes = three.nodes_of(REGION)
    with Disks(three, nodes) as disks:
        three.start()
        with Load(three, nodes) as load:
            pass
        clients = [three.client(REGION, via=node) for node in nodes]
        leader = three.wait_leader(REGION)
        followers = [node for node in nodes if node != leader]
        for node in followers:
            disks.fill(node)
        eventually(lambda: sum(m["disk_full"] for m in members(three, leader).values()) == 2, what="a majority without room")
        assert_refused(clients)  # by a leader that has room
        disks.fill(leader)
        for node in nodes:
            wait_full(three, node, 1)
        assert_refused(clients)
        began, reads, worst = time.monotonic(), 0, 0.0
        while time.monotonic() - began < 3:  # some elections long
            for client in clients:
                asked = time.monotonic()
                load.assert_kept(client)  # linearizable
                worst = max(worst, time.monotonic() - asked)
                reads += len(load.acked)
        print(f"{reads} reads while all disks are full, the slowest {worst * 1000:.0f} ms")
        assert_refused(clients)
        for node in nodes:
            disks.empty(node)
        for node in nodes:
            wait_full(three, node, 0)
        for client in clients:
            eventually(lambda client=client: write_status(client, "written again") == 200, what="writes again")
        assert all(client.get_secret_value(SecretId="load/0")["SecretString"] == "written again" for client in clients)
        assert_same_on(three, nodes)
        for node in nodes:
            three.stop(node)


# ---- certificates ----

def make_certificate(cluster, folder, of_region, node=None):
    """New files in `folder`, of the deployment's own authority."""
    folder.mkdir(exist_ok=True)
    subprocess.run([BINARY, "region", "cert", "--ca-cert", str(cluster.data / "ca.crt"), "--ca-key", str(cluster.data / "ca.key"),
                    "--region", of_region, *(("--node", node) if node else ()), "--cert", str(folder / "node.crt"),
                    "--key", str(folder / "node.key")], check=True, stdout=subprocess.DEVNULL, timeout=30)
    return folder


def shown(port, ca, folder):
    """The certificate (DER) that a door shows to whoever comes with the certificate in `folder`; fails when that is refused."""
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    context.load_cert_chain(folder / "node.crt", folder / "node.key")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as session:
        certificate = session.getpeercert(binary_form=True)
        session.settimeout(0.5)
        try:
            session.send(b"\0")
            assert session.recv(1) != b"", "closed"  # TLS 1.3 tells of a refusal only now
        except TimeoutError:
            pass  # it waits for more
        return certificate


def doors(cluster, node):
    """Ports of its peer door and its Raft transport."""
    number = int(node.partition("/")[2])
    return [cluster.port + offset + number for offset in (1000, 2000)]


def der(folder):
    return ssl.PEM_cert_to_DER_cert((folder / "node.crt").read_text())


def install(source, target):
    for name in ("node.key", "node.crt"):
        shutil.copy(source / name, target / name)


def test_replaced_certificates(three):
    choice = random.Random(SEED)
    nodes = three.nodes_of(REGION)
    three.start()
    ca = three.data / "ca.crt"
    caller = {n: shutil.copytree(three.node_folder(n), three.folder / f"caller-{n[-1]}", ignore=lambda *_: ["data"]) for n in nodes}
    with Load(three, nodes) as load:
        for node in nodes:
            old, expiry = der(three.node_folder(node)), three.metric(node, "redoubt_certificate_expiry_timestamp_seconds")
            time.sleep(1.1)  # an expiry has whole seconds
            fresh = make_certificate(three, three.folder / f"fresh-{node[-1]}", REGION, three.node_id(node))
            assert der(fresh) != old
            install(fresh, three.node_folder(node))
            asker = caller[choice.choice([n for n in nodes if n != node])]
            assert [shown(port, ca, asker) for port in doors(three, node)] == [old, old], "nothing changes before the signal"
            three.processes[node].send_signal(signal.SIGHUP)
            eventually(lambda: [shown(port, ca, asker) for port in doors(three, node)] == [der(fresh)] * 2,
                       what=f"the new certificate at both doors of {node}")
            eventually(lambda: three.metric(node, "redoubt_certificate_expiry_timestamp_seconds") > expiry, what="a later expiry")
        load.go_on()
        # Streams made anew have them, in both directions.
        victim = choice.choice(nodes)
        three.kill(victim)
        load.go_on(20)
        three.start(victim)
        wait_voter(three, victim, victim)
        load.go_on(20)

        # Another region's certificate, of the same authority, opens no stream, and is not taken as one's own.
        strange = make_certificate(three, three.folder / "strange", "eu-west-1", three.node_id(victim))
        other = next(n for n in nodes if n != victim)
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            shown(doors(three, other)[1], ca, strange)
        before = der(three.node_folder(victim))
        kept = three.folder / "kept"
        kept.mkdir()
        install(three.node_folder(victim), kept)
        install(strange, three.node_folder(victim))
        three.processes[victim].send_signal(signal.SIGHUP)
        eventually(lambda: "certificate of region eu-west-1" in three.tail(victim) or "is of region eu-west-1" in three.tail(victim),
                   what="the refusal in the log")
        assert [shown(port, ca, caller[other]) for port in doors(three, victim)] == [before] * 2
        load.go_on(20)
        three.kill(victim)
        three.start(victim, wait=False)
        code = three.processes.pop(victim).wait(timeout=30)
        assert code != 0 and "is of region eu-west-1" in three.tail(victim), (code, three.tail(victim))
        install(kept, three.node_folder(victim))
        three.start(victim)
        wait_voter(three, victim, victim)
    load.assert_kept(three.client(REGION, via=victim))
    assert_same_on(three, nodes)
