"""The runbook "Upgrade" of docs/operating.md with binaries of different releases: this one, the next, which knows one level more, and the one
after that, which takes no region of this one's level (tests/process/CMakeLists.txt makes both). Nodes are changed one by one while clients
work, back and forth until the level is raised, never back afterwards; what does not fit is refused with the reason, and changes nothing."""
import pathlib
import random
import shutil

from cluster import BINARY, eventually
from runbook import REGION, SEED, Load, assert_same_on, members, region, status, wait_voter

NEXT, AFTER_NEXT = (str(pathlib.Path(BINARY).parent / "tests" / "process" / f"redoubt_ahead_{n}") for n in (1, 2))


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


def start_by_itself(cluster, load, node, data):
    """This release, with data from before the raise in a region that has raised: it serves nobody, and is told nothing."""
    others = [n for n in cluster.nodes_of(REGION) if n != node]
    shutil.copytree(data, cluster.node_data(node))
    cluster.start(node, wait=False)
    eventually(lambda: "this release is too old for it: it needs level 4" in cluster.tail(node), what="its own word")
    leader = cluster.wait_leader(REGION)
    refusal = f'from="{cluster.node_id(node)}" reason="its release is too old: it knows levels up to 3'
    eventually(lambda: any(refusal in cluster.tail(n) for n in others), what="its peers' word")
    eventually(lambda: levels(cluster, leader)[1][cluster.nodes_of(REGION).index(node)] == 3, what="its level in the list")
    load.go_on(20)
    said = cluster.log_path(node).read_text(errors="replace")
    assert cluster.health(node)[0] == 503 and status(cluster, node)["level"] == 3 and "cannot_apply" not in said, said[-3000:]
    cluster.stop(node)


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
            node = followers[0]
            change(three, node, BINARY)
            load.go_on(20)
            assert "knows levels up to 3" in refused(three, node, "raise-level")
            # The last word of one that is silent counts.
            three.stop(node)
            older, kept = three.folder / "older", three.folder / "kept"
            shutil.copytree(three.node_data(node), older)
            assert f"{three.node_id(node)} runs a release that knows levels up to 3" in refused(three, last, "raise-level")
            three.binaries[node] = NEXT
            three.start(node)
            wait_voter(three, three.wait_leader(REGION), node)

            three.node_command(node, "raise-level")
            eventually(lambda: all(status(three, n)["level"] == 4 for n in nodes), what="level 4 everywhere")
            assert "token" in three.node_command(nodes[0], "token")
            load.go_on(20)

            # There is no way back now: this release refuses the data,
            load.clients[:] = [three.client(REGION, via=n) for n in nodes if n != node]
            three.kill(node)
            eventually(lambda: not members(three, last)[three.node_id(node)]["live"], what="the silence")
            assert f"{three.node_id(node)} is a member and does not answer" in refused(three, last, "raise-level")
            said = fails_to_start(three, node, BINARY)
            assert "region at level 4, this release of Redoubt knows levels up to 3" in said, said
            assert "levels up to 3" in refused(three, node, "recover", "--force-single", "yes-i-lose-what-others-have")
            # and is refused with older ones, before it is told anything that it would misread.
            three.node_data(node).rename(kept)
            start_by_itself(three, load, node, older)
            # The release after the next takes no region of level 3, but one of level 4.
            said = fails_to_start(three, node, AFTER_NEXT)
            assert "region at level 3, this release of Redoubt takes levels from 4 on" in said, said
            shutil.rmtree(three.node_data(node))
            kept.rename(three.node_data(node))
            three.start(node)
            wait_voter(three, three.wait_leader(REGION), node)
            load.go_on(20)
        print(f"{len(load.times)} writes, {load.reads} reads, {load.failures} tried again")
        assert levels(three, last) == (4, [5 if n == node else 4 for n in nodes])
        three.wait_ready(REGION)
        load.assert_kept(three.client(REGION))
        content = assert_same_on(three, nodes)
        assert len(content) == 10 + len(load.acked) and all(content[f"some/{i}"][1] == f"some-{i}" for i in range(10))
