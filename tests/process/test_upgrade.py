"""The runbook "Upgrade" of docs/operating.md with binaries of different releases: this one, the next, which knows one level more, and the one
after that, which takes no region of this one's level (tests/process/CMakeLists.txt makes both). Nodes are changed one by one while clients
work, back and forth until the level is raised, never back afterwards; what does not fit is refused with the reason, and changes nothing."""
import os
import pathlib
import random
import shutil

from cluster import BINARY, eventually
from runbook import REGION, SEED, Load, assert_same_on, members, region, status, wait_voter

AHEAD = pathlib.Path(os.environ.get("REDOUBT_AHEAD") or pathlib.Path(BINARY).parent / "tests" / "process" / "redoubt_ahead_")
NEXT, AFTER_NEXT = f"{AHEAD}1", f"{AHEAD}2"


def change(cluster, node, binary):
    """As an operator does it: hand over, stop, start the other release, look."""
    if cluster.leader(REGION) == node:
        cluster.node_command(node, "transfer")
    cluster.stop(node)
    cluster.binaries[node] = binary
    cluster.start(node)
    wait_voter(cluster, node, node)


def levels(cluster, via):
    """(of the region, {node: what its release knows}) as a node shows them."""
    known = {m["id"]: m["level_max"] for m in members(cluster, via).values()}
    return status(cluster, via)["level"], [known[cluster.node_id(n)] for n in cluster.nodes_of(REGION)]


def fails_to_start(cluster, node, binary):
    """Its exit status must be 1; what it said since."""
    cluster.binaries[node] = binary
    before = cluster.log_path(node).stat().st_size
    cluster.start(node, wait=False)
    code = cluster.processes.pop(node).wait(timeout=60)
    said = cluster.log_path(node).read_text(errors="replace")[before:]
    assert code == 1 and "cannot_apply" not in said, (code, said)
    return said


def refused(cluster, via, verb, *arguments):
    reason = cluster.node_command(via, verb, *arguments, fails=True)
    print(f"node {verb}: {reason.strip()}")
    return reason


def rewind(cluster, node, copy, data):
    """The data folder of a stopped node is the copy now, and its present one is kept at `data`."""
    cluster.node_data(node).rename(data)
    shutil.copytree(copy, cluster.node_data(node))


def test_nodes_change_back_and_forth_until_the_level_is_raised():
    choice = random.Random(SEED)
    with region() as three:
        three.start()
        nodes = three.nodes_of(REGION)
        client = three.client(REGION)
        for i in range(10):
            client.create_secret(Name=f"some/{i}", SecretString=f"some-{i}")
        assert levels(three, nodes[0]) == (3, [3, 3, 3])
        with Load(three, nodes, readers=1) as load:
            followers = three.followers(REGION)
            last = three.leader(REGION)
            for i, node in enumerate(followers + [last]):
                change(three, node, NEXT)
                load.go_on(20)
                if node != last:
                    reason = refused(three, choice.choice(nodes), "raise-level")
                    assert "knows levels up to 3, and the region is at level 3" in reason, reason
                    assert any(three.node_id(n) in reason for n in (followers + [last])[i + 1:]), reason
            assert levels(three, nodes[0]) == (3, [4, 4, 4])
            # What the next release brings is off until then, so that each can go back.
            assert "level 3, this needs 4" in refused(three, nodes[0], "token")
            change(three, followers[0], BINARY)
            load.go_on(20)
            assert "knows levels up to 3" in refused(three, followers[0], "raise-level")
            change(three, followers[0], NEXT)
            # Nobody knows what a silent one would come back as.
            three.stop(followers[1])
            older = three.folder / "older"
            shutil.copytree(three.node_data(followers[1]), older)
            eventually(lambda: not members(three, last)[three.node_id(followers[1])]["live"], what="the silence")
            reason = refused(three, last, "raise-level")
            assert three.node_id(followers[1]) in reason and "does not answer" in reason, reason
            three.start(followers[1])
            wait_voter(three, three.wait_leader(REGION), followers[1])

            three.node_command(followers[1], "raise-level")
            eventually(lambda: all(status(three, n)["level"] == 4 for n in nodes), what="level 4 everywhere")
            assert "token" in three.node_command(nodes[0], "token")
            load.go_on(20)

            # There is no way back now: the old release refuses the data,
            backward = followers[0]
            three.kill(backward)
            said = fails_to_start(three, backward, BINARY)
            assert "region at level 4, this release of Redoubt knows levels up to 3" in said, said
            assert "levels up to 3" in refused(three, backward, "recover", "--force-single", "yes-i-lose-what-others-have")
            three.binaries[backward] = NEXT
            three.start(backward)
            wait_voter(three, three.wait_leader(REGION), backward)
            # and with data from before the raise its peers refuse it, before it is told anything that it would misread.
            older_node = followers[1]
            three.stop(older_node)
            kept = three.folder / "kept"
            rewind(three, older_node, older, kept)
            three.binaries[older_node] = BINARY
            three.start(older_node, wait=False)
            eventually(lambda: "this release is too old for it: it needs level 4" in three.tail(older_node), what="its own word")
            leader = three.wait_leader(REGION)
            eventually(lambda: f'from="{three.node_id(older_node)}" reason="its release is too old: it knows levels up to 3' in three.tail(leader),
                       what="its peers' word")
            eventually(lambda: levels(three, leader)[1][nodes.index(older_node)] == 3, what="its level in the list")
            load.go_on(20)
            said = three.log_path(older_node).read_text()
            assert status(three, older_node)["level"] == 3 and "cannot_apply" not in said, said[-3000:]
            assert three.health(older_node)[0] == 503
            three.stop(older_node)
            # The release after the next takes no region of level 3,
            said = fails_to_start(three, older_node, AFTER_NEXT)
            assert "region at level 3, this release of Redoubt takes levels from 4 on" in said, said
            # but one of level 4.
            shutil.rmtree(three.node_data(older_node))
            kept.rename(three.node_data(older_node))
            three.start(older_node)
            wait_voter(three, leader, older_node)
            load.go_on(20)
        print(f"{len(load.times)} writes, {load.reads} reads, {load.failures} tried again")
        assert levels(three, leader) == (4, [5 if n == older_node else 4 for n in nodes])
        three.wait_ready(REGION)
        load.assert_kept(three.client(REGION))
        content = assert_same_on(three, nodes)
        assert len(content) == 10 + len(load.acked) and all(content[f"some/{i}"][1] == f"some-{i}" for i in range(10))
