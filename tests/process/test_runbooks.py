"""The runbooks of docs/operating.md as an operator follows them, with real processes, while clients work: a lost node, nodes that come and
go, leadership that is handed over; an upgrade is test_upgrade.py. REDOUBT_SEED replays the choices of a run (not its timing)."""
import random
import shutil
import time

import pytest

from cluster import eventually
from runbook import REGION, SEED, Load, assert_same_on, join, members, new_token, peer_port, put_some, region, status, wait_voter

TRANSFERS = 5
GAP_MAX = 2.0  # seconds; this is no benchmark, and a second is what an election would cost


@pytest.fixture
def three():
    with region(spares=2) as cluster:
        yield cluster.start()


def damage(store):
    """As a disk that forgets: pieces of every table and log are other bytes now."""
    for path in [p for p in store.iterdir() if p.suffix in (".sst", ".log") or p.name.startswith("MANIFEST")]:
        with open(path, "r+b") as file:
            size = path.stat().st_size
            for at in range(0, size, 256):
                file.seek(at)
                file.write(b"\xa5" * min(64, size - at))


def test_lost_node(three):
    choice = random.Random(SEED)
    put_some(three, 40)
    nodes = three.nodes_of(REGION)
    first, second = choice.sample(nodes, 2)
    with Load(three, [n for n in nodes if n != first]) as load:
        # The whole data folder is gone, its id with it: that is what the certificate names.
        lost = three.node_id(first)
        three.kill(first)
        shutil.rmtree(three.node_data(first))
        three.node_data(first).mkdir(mode=0o700)
        assert lost in members(three, second)
        reason = three.node_command(first, "rebuild", fails=True)
        assert "say where one is with --address" in reason, reason
        three.node_command(first, "rebuild", "--address", f"127.0.0.1:{peer_port(three, second)}")
        assert three.node_id(first) == lost
        three.start(first, wait=False)
        wait_voter(three, second, first)
        load.go_on()
    load.assert_kept(three.client(REGION, via=first))

    with Load(three, [n for n in nodes if n != second], prefix="more") as more:
        # A damaged store: the node ends by itself or does not start; what it knew of the others is enough.
        eventually(lambda: (three.node_data(second) / "members").exists(), what="the file of members")
        three.kill(second)
        damage(three.node_data(second) / "store")
        assert "server" in three.node_command(first, "rebuild", fails=True)  # not while it runs
        three.node_command(second, "rebuild")
        assert (three.node_data(second) / "store.damaged-1").is_dir()
        three.start(second, wait=False)
        wait_voter(three, first, second)
        more.go_on()
    more.assert_kept(three.client(REGION, via=second))
    three.wait_ready(REGION)
    kept = assert_same_on(three, nodes)
    assert len(kept) == 40 + len(load.acked) + len(more.acked) and all(kept[f"some/{i}"][1] == f"some-{i}" for i in range(40))


def test_members_come_and_go(three):
    choice = random.Random(SEED)
    old = three.nodes_of(REGION)
    fourth = three.add_node(REGION)
    put_some(three, 20)
    with Load(three, old) as load:
        follower = choice.choice(three.followers(REGION))
        token, ca = new_token(three, follower)
        # Refusals, none of which spends the token.
        reason = join(three, fourth, follower, token, "00" * 32, fails=True)
        assert "does not have the authority" in reason and not (three.node_folder(fourth) / "ca.crt").exists(), reason
        wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
        reason = join(three, fourth, follower, wrong, ca, fails=True)
        assert "token is not known" in reason and len(members(three, follower)) == 3, reason
        join(three, fourth, follower, token, ca)
        three.start(fourth, wait=False)
        wait_voter(three, follower, fourth)
        load.go_on()
        # The token was used: it is no use to another node.
        fifth = three.add_node(REGION)
        reason = join(three, fifth, follower, token, ca, fails=True)
        assert "token" in reason and len(members(three, follower)) == 4, reason
        print(reason)
        # One of the old ones goes, the leader for once: it hands over first.
        gone = choice.choice(old)
        via = choice.choice([n for n in old if n != gone])
        load.clients[:] = [three.client(REGION, via=n) for n in old + [fourth] if n != gone]
        print(f"removes {gone}, which is {'the leader' if three.leader(REGION) == gone else 'a follower'}")
        three.node_command(via, "remove", three.node_id(gone))
        three.kill(gone)
        eventually(lambda: three.node_id(gone) not in members(three, via), what="the removal")
        load.go_on()
    left = [n for n in old + [fourth] if n != gone]
    assert {three.node_id(n) for n in left} == set(members(three, fourth))
    load.assert_kept(three.client(REGION, via=fourth))
    assert len(assert_same_on(three, left)) == 20 + len(load.acked)

    # Three voters of which one is silent: without either of the others nothing would be left that decides.
    silent = choice.choice(three.followers(REGION))
    leader = three.leader(REGION)
    live = next(n for n in left if n not in (silent, leader))
    three.kill(silent)
    eventually(lambda: not members(three, leader)[three.node_id(silent)]["live"], what="the silence")
    reason = three.node_command(leader, "remove", three.node_id(live), fails=True)
    assert "too few of the voters" in reason, reason
    assert len(members(three, leader)) == 3
    three.client(REGION, via=live).put_secret_value(SecretId="some/0", SecretString="still written")
    three.node_command(live, "remove", three.node_id(silent))  # the silent one may go
    assert len(members(three, live)) == 2


def test_transfer_under_load(three):
    """Nobody notices: not one failed request of clients that never try again, at any node."""
    choice = random.Random(SEED)
    nodes = three.nodes_of(REGION)
    gaps = []
    with Load(three, nodes, writers=6, readers=2, patient=False) as load:
        for i in range(TRANSFERS):
            leader = three.wait_leader(REGION)
            target = choice.choice([n for n in nodes if n != leader])
            began = time.monotonic()
            if i % 2 == 0:
                three.node_command(choice.choice(nodes), "transfer", three.node_id(target))
                assert three.wait_leader(REGION) == target
            else:
                three.node_command(leader, "transfer")
                three.wait_leader(REGION, other_than=leader)
            load.go_on()
            gaps.append(load.longest_gap(began - 0.5, time.monotonic()))
    print(f"{len(load.times)} writes, {load.reads} reads, {TRANSFERS} transfers; longest time without a write, ms: "
          f"{[round(gap * 1000) for gap in gaps]}")
    assert max(gaps) < GAP_MAX, gaps
    load.assert_kept(three.client(REGION))
