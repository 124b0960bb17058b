"""More of the runbooks of docs/operating.md, with real processes: certificates that are replaced.
REDOUBT_SEED replays the choices of a run (not its timing)."""
import random
import shutil
import signal
import ssl
import socket
import subprocess
import time

import pytest

from cluster import BINARY, eventually
from runbook import REGION, SEED, Load, assert_same_on, region, wait_voter

@pytest.fixture
def three():
    with region() as cluster:
        yield cluster


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
