"""Regions that die, come back, are promoted, and names that clash. Nothing is lost, overwritten or resurrected."""
import pytest

from cluster import eventually, statuses, wait_in_sync


def gone(client, name):
    try:
        client.describe_secret(SecretId=name)
        return False
    except client.exceptions.ResourceNotFoundException:
        return True


def test_promotion_while_the_primary_is_dead(fresh):
    fresh.start()
    east, west, eu = (fresh.client(r) for r in fresh.regions)
    east.create_secret(Name="app/db", SecretString="s1", AddReplicaRegions=[{"Region": "us-west-2"}, {"Region": "eu-west-1"}])
    wait_in_sync(east, "app/db", ["us-west-2", "eu-west-1"])
    with pytest.raises(eu.exceptions.InvalidParameterException) as caught:
        eu.put_secret_value(SecretId="app/db", SecretString="no")
    assert caught.value.response["Error"]["Message"] == \
        "Operation not permitted on a replica secret. Call must be made in primary secret's region."

    fresh.kill("us-east-1")
    answer = eu.stop_replication_to_replica(SecretId="app/db")
    assert ":eu-west-1:" in answer["ARN"]
    eu.put_secret_value(SecretId="app/db", SecretString="mine now")
    described = eu.describe_secret(SecretId="app/db")
    assert "PrimaryRegion" not in described

    fresh.start("us-east-1")
    eventually(lambda: set(statuses(east, "app/db")) == {"us-west-2"}, what="the old primary drops the promoted region")
    for i in range(5):
        east.put_secret_value(SecretId="app/db", SecretString=f"old primary {i}")
    wait_in_sync(east, "app/db", ["us-west-2"])
    assert eu.get_secret_value(SecretId="app/db")["SecretString"] == "mine now"
    assert west.get_secret_value(SecretId="app/db")["SecretString"] == "old primary 4"

    # Replicating there again clashes with the promoted secret, until its owner says so.
    east.replicate_secret_to_regions(SecretId="app/db", AddReplicaRegions=[{"Region": "eu-west-1"}])
    eventually(lambda: statuses(east, "app/db").get("eu-west-1", ("",))[0] == "Failed", what="the name clash")
    assert eu.get_secret_value(SecretId="app/db")["SecretString"] == "mine now"
    east.replicate_secret_to_regions(SecretId="app/db", AddReplicaRegions=[{"Region": "eu-west-1"}], ForceOverwriteReplicaSecret=True)
    wait_in_sync(east, "app/db", ["us-west-2", "eu-west-1"])
    assert eu.get_secret_value(SecretId="app/db")["SecretString"] == "old primary 4"


def test_removal_while_the_replica_is_dead(fresh):
    fresh.start()
    east, west, eu = (fresh.client(r) for r in fresh.regions)
    east.create_secret(Name="app/gone", SecretString="s1", AddReplicaRegions=[{"Region": "us-west-2"}, {"Region": "eu-west-1"}])
    wait_in_sync(east, "app/gone", ["us-west-2", "eu-west-1"])
    with pytest.raises(east.exceptions.InvalidParameterException) as caught:
        east.delete_secret(SecretId="app/gone")
    assert "that still has replica regions [eu-west-1, us-west-2]." in caught.value.response["Error"]["Message"]
    fresh.kill("eu-west-1")
    answer = east.remove_regions_from_replication(SecretId="app/gone", RemoveReplicaRegions=["eu-west-1"])
    assert [row["Region"] for row in answer["ReplicationStatus"]] == ["us-west-2"]
    assert set(statuses(east, "app/gone")) == {"us-west-2"}
    fresh.kill("us-east-1")  # the tombstone survives its own region too
    fresh.start("us-east-1")
    fresh.start("eu-west-1")
    eventually(lambda: gone(eu, "app/gone"), what="the replica's deletion")
    assert west.get_secret_value(SecretId="app/gone")["SecretString"] == "s1"
    answer = east.remove_regions_from_replication(SecretId="app/gone", RemoveReplicaRegions=["us-west-2"])
    assert answer["ReplicationStatus"] == []
    eventually(lambda: gone(west, "app/gone"), what="the other replica's deletion")
    east.delete_secret(SecretId="app/gone", ForceDeleteWithoutRecovery=True)
    assert gone(east, "app/gone")


def test_a_name_that_is_taken(running):
    east, west = running.client("us-east-1"), running.client("us-west-2")
    west.create_secret(Name="app/taken", SecretString="theirs")
    east.create_secret(Name="app/taken", SecretString="ours", AddReplicaRegions=[{"Region": "us-west-2"}])
    eventually(lambda: statuses(east, "app/taken")["us-west-2"][0] == "Failed", what="the clash")
    assert statuses(east, "app/taken")["us-west-2"][1] == \
        "Replication failed: Secret name app/taken already exists in region us-west-2."
    assert west.get_secret_value(SecretId="app/taken")["SecretString"] == "theirs"
    east.replicate_secret_to_regions(SecretId="app/taken", AddReplicaRegions=[{"Region": "us-west-2"}],
                                     ForceOverwriteReplicaSecret=True)
    wait_in_sync(east, "app/taken", ["us-west-2"])
    assert west.get_secret_value(SecretId="app/taken")["SecretString"] == "ours"
    assert west.describe_secret(SecretId="app/taken")["PrimaryRegion"] == "us-east-1"


def test_a_dead_region_is_in_progress_and_catches_up(fresh):
    fresh.start("us-east-1", "us-west-2")
    east = fresh.client("us-east-1")
    east.create_secret(Name="app/late", SecretString="s0", AddReplicaRegions=[{"Region": "us-west-2"}, {"Region": "eu-west-1"}])
    for i in range(1, 20):
        east.put_secret_value(SecretId="app/late", SecretString=f"s{i}")
    eventually(lambda: statuses(east, "app/late")["us-west-2"][0] == "InSync", what="the living region")
    assert statuses(east, "app/late")["eu-west-1"][0] == "InProgress"
    fresh.start("eu-west-1")
    wait_in_sync(east, "app/late", ["us-west-2", "eu-west-1"])
    assert fresh.client("eu-west-1").get_secret_value(SecretId="app/late")["SecretString"] == "s19"


def test_replica_regions_are_checked(running):
    east = running.client("us-east-1")
    for regions in (["us-east-1"], ["ap-south-1"], ["eu-west-1", "eu-west-1"]):
        with pytest.raises(east.exceptions.InvalidParameterException):
            east.create_secret(Name="app/never", SecretString="x", AddReplicaRegions=[{"Region": r} for r in regions])
    with pytest.raises(east.exceptions.ResourceNotFoundException):
        east.describe_secret(SecretId="app/never")


def test_a_request_for_a_dead_region_is_retryable(fresh):
    fresh.start("us-east-1", "us-west-2")
    eu = fresh.client("eu-west-1", via="us-east-1")
    with pytest.raises(eu.exceptions.ClientError) as caught:
        eu.list_secrets()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
