"""The data folders of former releases, opened by this one: all that is in them is there, and they go on. How they were made: golden.py."""
import json
import time

import botocore.exceptions
import pytest

from cluster import eventually, wait_in_sync
from golden import EAST, FUNCTION, GOLDEN, POLICY, TAGS, WEST, WINDOW_DAYS, Folder
from runbook import members, status

LEVEL = 3  # of this release


def value(client, name, **which):
    return client.get_secret_value(SecretId=name, **which)["SecretString"]


def sorted_tags(tags):
    return sorted((tag["Key"], tag["Value"]) for tag in tags)


def look_at_east(east):
    """What fill() put there, but for what changes by itself."""
    plain = east.describe_secret(SecretId="golden/plain")
    assert plain["Description"] == "of three versions, described anew" and "KmsKeyId" not in plain, plain
    assert sorted_tags(plain["Tags"]) == sorted_tags(TAGS)
    assert sorted(map(sorted, plain["VersionIdsToStages"].values())) == [["AWSCURRENT"], ["AWSPREVIOUS", "KEPT"]], plain
    assert len(east.list_secret_version_ids(SecretId="golden/plain", IncludeDeprecated=True)["Versions"]) == 3
    assert [value(east, "golden/plain"), value(east, "golden/plain", VersionStage="KEPT")] == ["three", "two"]
    assert east.get_secret_value(SecretId="golden/binary")["SecretBinary"] == bytes(range(256))
    assert "VersionIdsToStages" not in east.describe_secret(SecretId="golden/empty")
    assert json.loads(east.get_resource_policy(SecretId="golden/policy")["ResourcePolicy"]) == POLICY and value(east, "golden/policy") == "guarded"
    assert value(east, "golden/large") == "x" * 65536
    rotated = east.describe_secret(SecretId="golden/rotated")
    assert rotated["RotationEnabled"] and rotated["RotationLambdaARN"] == FUNCTION, rotated
    assert rotated["RotationRules"] == {"AutomaticallyAfterDays": 100} and value(east, "golden/rotated") == "before"
    assert value(east, "golden/promoted") == "first" and value(east, "golden/late") == "second, not shipped"
    assert east.describe_secret(SecretId="golden/west")["PrimaryRegion"] == WEST


def look_at_west(west):
    assert value(west, "golden/promoted") == "its own"
    assert west.describe_secret(SecretId="golden/replicated")["PrimaryRegion"] == EAST
    assert "PrimaryRegion" not in west.describe_secret(SecretId="golden/promoted")
    assert sorted_tags(west.describe_secret(SecretId="golden/promoted")["Tags"]) == sorted_tags(TAGS)


@pytest.mark.parametrize("archive, nodes, level", [("level_2/regions.tar.xz", 1, 2), ("level_3/dev.tar.xz", 3, 3)])
def test_two_regions_of_a_former_release(archive, nodes, level):
    with Folder(GOLDEN / archive, nodes) as folder:
        made = int((folder.data / "made").read_text())
        folder.start()
        east, west = folder.client(EAST), folder.client(WEST)
        first = folder.node(EAST)
        assert status(folder, first)["level"] == level
        assert [m["voter"] for m in members(folder, first).values()] == [True] * nodes
        look_at_east(east)
        look_at_west(west)
        assert value(west, "golden/replicated") == "second" and value(east, "golden/west") == "west"
        for client in (east, west):
            with pytest.raises(botocore.exceptions.ClientError) as error:
                client.describe_secret(SecretId="golden/gone")
            assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"
        # What was on its way arrives, and new things are done to what was there.
        wait_in_sync(east, "golden/late", [WEST])
        assert value(west, "golden/late") == "second, not shipped"
        east.put_secret_value(SecretId="golden/replicated", SecretString="third")
        west.put_secret_value(SecretId="golden/west", SecretString="west, second")
        wait_in_sync(east, "golden/replicated", [WEST])
        wait_in_sync(west, "golden/west", [EAST])
        assert [value(west, "golden/replicated"), value(east, "golden/west")] == ["third", "west, second"]
        east.create_secret(Name="golden/gone", SecretString="another one of that name", AddReplicaRegions=[{"Region": WEST}])
        wait_in_sync(east, "golden/gone", [WEST])
        if time.time() < made + (WINDOW_DAYS - 1) * 86400:
            east.restore_secret(SecretId="golden/deleted")
            assert value(east, "golden/deleted") == "comes back"
        # Each node has all of it, from its own log.
        for node in folder.nodes_of(EAST):
            applied = status(folder, folder.wait_leader(EAST))["applied"]
            eventually(lambda node=node: status(folder, node)["applied"] >= applied, what=f"{node} has all")
            client = folder.client(EAST, via=node)
            client.meta.events.register("before-call.secretsmanager",
                                        lambda params, **_: params["headers"].update({"x-redoubt-consistency": "stale"}))
            look_at_east(client)
        if level == 2:
            assert "this needs 3" in folder.node_command(first, "token", fails=True)
        folder.node_command(first, "raise-level")
        assert "token" in folder.node_command(first, "token") and status(folder, first)["level"] == LEVEL
        folder.stop(EAST)
        folder.start(EAST)
        assert value(east, "golden/west") == "west, second"
