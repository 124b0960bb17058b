"""The runbook for a lost quorum (docs/operating.md), with real processes. REDOUBT_SEED replays the choices of a run (not its timing)."""
import random
import shutil
import signal

import botocore.exceptions
import pytest

from cluster import eventually
from runbook import REGION, SEED, Load, assert_same_on, join, members, new_token, put_some, region, stale_client, status, wait_voter


@pytest.fixture
def three():
    with region() as cluster:
        yield cluster.start()


def test_lost_quorum(three):
    choice = random.Random(SEED)
    nodes = three.nodes_of(REGION)
    with Load(three, nodes) as load:
        load.go_on()
    put_some(three, 20)
    survivor = choice.choice(nodes)
    lost = [n for n in nodes if n != survivor]
    commit = status(three, three.wait_leader(REGION))["commit"]
    eventually(lambda: status(three, survivor)["applied"] >= commit, what="the survivor has all")
    for node in lost:
        three.kill(node)
    eventually(lambda: three.health(survivor)[0] == 503, what="the survivor's silence")
    client, stale = three.client(REGION, via=survivor), stale_client(three, survivor)
    for call in (lambda: client.put_secret_value(SecretId="some/0", SecretString="never"),
                 lambda: client.create_secret(Name="never", SecretString="never"),
                 lambda: client.get_secret_value(SecretId="some/0")):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            call()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503, error.value
    answer = stale.get_secret_value(SecretId="some/0")
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert answer["SecretString"] == "some-0" and headers["x-redoubt-consistency"] == "stale", headers
    assert int(headers["x-redoubt-applied-index"]) >= commit and int(headers["x-redoubt-age-ms"]) > 0, headers
    print(three.node_command(survivor, "status"))

    force = ("--force-single", "yes-i-lose-what-others-have")
    assert "stop it first" in three.node_command(survivor, "recover", *force, fails=True)
    three.kill(survivor, signal.SIGTERM)
    three.node_command(survivor, "recover", "--force-single", "yes", fails=True)
    assert "LOST" in three.node_command(survivor, "recover", *force)
    three.start(survivor)
    assert list(members(three, survivor)) == [three.node_id(survivor)]
    load.assert_kept(client)
    assert all(client.get_secret_value(SecretId=f"some/{i}")["SecretString"] == f"some-{i}" for i in range(1, 20))
    client.put_secret_value(SecretId="some/1", SecretString="written again")

    # The lost machines come back empty and join anew, under the ids and certificates that they have.
    for node in lost:
        shutil.rmtree(three.node_data(node) / "store")
        token, ca = new_token(three, survivor)
        join(three, node, survivor, token, ca)
        three.start(node, wait=False)
        wait_voter(three, survivor, node)
    three.wait_ready(REGION)
    kept = assert_same_on(three, nodes)
    assert kept["some/1"][1] == "written again" and "never" not in kept and len(kept) == 20 + len(load.acked)
