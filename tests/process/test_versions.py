"""UpdateSecret, UpdateSecretVersionStage and RestoreSecret with an unmodified boto3, and what of them reaches the replicas."""
import uuid

import pytest

from cluster import eventually, wait_in_sync


def refused(client, call, code, message):
    with pytest.raises(client.exceptions.ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"] == message


def test_update_secret(running):
    """AWS_BEHAVIOUR 3.4: boto3 sends a token with every call; only a value makes a version."""
    client, there = running.client("us-east-1"), running.client("eu-west-1")
    created = client.create_secret(Name="update/db", SecretString="s1", AddReplicaRegions=[{"Region": "eu-west-1"}])
    wait_in_sync(client, "update/db", ["eu-west-1"])
    reply = client.update_secret(SecretId="update/db", Description="about")
    assert "VersionId" not in reply and reply["ARN"] == created["ARN"]
    eventually(lambda: there.describe_secret(SecretId="update/db").get("Description") == "about", what="the description")
    reply = client.update_secret(SecretId=created["ARN"], SecretString="s2")
    assert reply["VersionId"] != created["VersionId"]
    eventually(lambda: there.get_secret_value(SecretId="update/db")["SecretString"] == "s2", what="s2 in eu-west-1")
    described = client.describe_secret(SecretId="update/db")
    assert described["VersionIdsToStages"] == {created["VersionId"]: ["AWSPREVIOUS"], reply["VersionId"]: ["AWSCURRENT"]}
    client.update_secret(SecretId="update/db", Description="", KmsKeyId="alias/aws/secretsmanager")
    wait_in_sync(client, "update/db", ["eu-west-1"])
    described = there.describe_secret(SecretId="update/db")
    assert "Description" not in described and "KmsKeyId" not in described
    refused(there, lambda: there.update_secret(SecretId="update/db", Description="no"), "InvalidParameterException",
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.")
    assert there.update_secret(SecretId="update/db", KmsKeyId="alias/aws/secretsmanager")["Name"] == "update/db"
    refused(client, lambda: client.update_secret(SecretId="update/db", KmsKeyId="alias/none"), "InvalidParameterException",
            "The operation failed because of an invalid KMS key: Invalid keyId")


def test_update_secret_version_stage(running):
    """AWS_BEHAVIOUR 3.5, the recorded rows by P and U, and the texts that clients match on."""
    client, there = running.client("us-east-1"), running.client("us-west-2")
    one, two = str(uuid.uuid4()), str(uuid.uuid4())
    client.create_secret(Name="stage/db", SecretString="s1", ClientRequestToken=one, AddReplicaRegions=[{"Region": "us-west-2"}])
    client.put_secret_value(SecretId="stage/db", SecretString="s2", ClientRequestToken=two, VersionStages=["AWSPENDING"])
    wait_in_sync(client, "stage/db", ["us-west-2"])
    refused(client, lambda: client.update_secret_version_stage(SecretId="stage/db", VersionStage="AWSCURRENT", MoveToVersionId=two),
            "InvalidParameterException",
            f"The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version {one}, "
            "so you must explicitly reference that version in RemoveFromVersionId.")
    refused(client, lambda: client.update_secret_version_stage(SecretId="stage/db", VersionStage="AWSCURRENT", RemoveFromVersionId=one),
            "InvalidParameterException",
            "You can only move staging label AWSCURRENT to a different secret version. It can\u2019t be completely removed.")
    client.update_secret_version_stage(SecretId="stage/db", VersionStage="AWSCURRENT", RemoveFromVersionId=one, MoveToVersionId=two)
    eventually(lambda: there.describe_secret(SecretId="stage/db")["VersionIdsToStages"] ==
               {one: ["AWSPREVIOUS"], two: ["AWSPENDING", "AWSCURRENT"]}, what="the labels in us-west-2")
    assert there.get_secret_value(SecretId="stage/db")["SecretString"] == "s2"
    client.update_secret_version_stage(SecretId="stage/db", VersionStage="AWSPREVIOUS", RemoveFromVersionId=one)
    assert "VersionStages" not in client.get_secret_value(SecretId="stage/db", VersionId=one)


def test_restore_secret(running):
    """AWS_BEHAVIOUR 3.8."""
    client = running.client("eu-west-1")
    created = client.create_secret(Name="restore/db", SecretString="s1")
    client.delete_secret(SecretId="restore/db", RecoveryWindowInDays=7)
    refused(client, lambda: client.update_secret(SecretId="restore/db", SecretString="s2"), "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.")
    reply = client.restore_secret(SecretId="restore/db")
    assert (reply["ARN"], reply["Name"]) == (created["ARN"], "restore/db")
    assert "DeletedDate" not in client.describe_secret(SecretId="restore/db")
    assert client.get_secret_value(SecretId="restore/db")["VersionId"] == created["VersionId"]
