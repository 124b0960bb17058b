"""The core of the API through unmodified clients: boto3, the AWS CLI, and the newest SDK for JavaScript.

What a client makes of an answer is compared with the answer as it is on the wire.
"""
import json

import pytest

from drivers import DRIVERS, DriverError
from marks import rule
from members import POLICY
from raw import blob
from target import eventually
from texts import (MARKED, MISSING, NO_FUNCTION, ON_REPLICA, POLICY_SYNTAX, STAGE_ELSEWHERE, WINDOW, name_taken, no_stage, token_used)


@pytest.fixture(scope="module", params=sorted(DRIVERS))
def driver(request, target):
    made = DRIVERS[request.param](target)
    yield made
    made.close()


def refused(driver, error, operation, **params):
    with pytest.raises(DriverError) as caught:
        driver.call(operation, **params)
    assert (caught.value.code, caught.value.message) == error
    assert caught.value.status in (400, None)  # the CLI does not tell


@rule("1.1.1", "1.2.1", "1.4.6", "3.2.1", "3.2.6", "3.4.put.1", "3.5.stage.2")
def test_life_of_a_secret(target, driver, api, secrets):
    name = secrets.name()
    made = driver.call("CreateSecret", Name=name, SecretString="one é\U0001f512", Description="what for",
                       Tags=[{"Key": "team", "Value": "a"}, {"Key": "empty", "Value": ""}])
    assert made.keys() == {"ARN", "Name", "VersionId"}
    put = driver.call("PutSecretValue", SecretId=name, SecretBinary=blob(b"\x00\xff two"))
    assert put["VersionStages"] == ["AWSCURRENT"]
    driver.call("UpdateSecretVersionStage", SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=made["VersionId"],
                RemoveFromVersionId=put["VersionId"])
    driver.call("TagResource", SecretId=name, Tags=[{"Key": "env", "Value": "test"}])
    driver.call("UntagResource", SecretId=name, TagKeys=["team"])
    for params in ({}, {"VersionStage": "AWSPREVIOUS"}):
        assert driver.call("GetSecretValue", SecretId=made["ARN"], **params) == api.call("GetSecretValue", SecretId=name, **params)

    def both_were_read():  # shown a moment behind the answer
        return all("LastAccessedDate" in entry for entry in api.call("ListSecretVersionIds", SecretId=name)["Versions"])
    eventually(both_were_read, target.patience, "the dates of the reads")
    for operation, params in [("DescribeSecret", {}), ("ListSecretVersionIds", {"IncludeDeprecated": True})]:
        wire = api.call(operation, SecretId=name, **params)
        assert driver.call(operation, SecretId=made["ARN"], **params) == wire, operation
    assert api.call("GetSecretValue", SecretId=name)["SecretString"] == "one é\U0001f512"
    updated = driver.call("UpdateSecret", SecretId=name, Description="new")
    assert updated.keys() == {"ARN", "Name"}  # though every client sends a token


@rule("1.4.6", "1.3.8", "3.4.update.1")
def test_errors(driver, secrets):
    name = secrets.name()
    refused(driver, MISSING, "GetSecretValue", SecretId=name)
    made = driver.call("CreateSecret", Name=name, SecretString="v")
    refused(driver, name_taken(name), "CreateSecret", Name=name, SecretString="v")
    refused(driver, token_used(made["VersionId"], made["ARN"]), "PutSecretValue", SecretId=name, SecretString="w",
            ClientRequestToken=made["VersionId"])
    refused(driver, no_stage("AWSPENDING"), "GetSecretValue", SecretId=name, VersionStage="AWSPENDING")
    refused(driver, STAGE_ELSEWHERE, "GetSecretValue", SecretId=name, VersionId=made["VersionId"], VersionStage="AWSPENDING")
    refused(driver, WINDOW, "DeleteSecret", SecretId=name, RecoveryWindowInDays=6)
    refused(driver, NO_FUNCTION, "RotateSecret", SecretId=name)


@rule("3.8.1", "3.8.13", "3.0.10")
def test_deletion(driver, api, secrets):
    made = secrets.make("v")
    answer = driver.call("DeleteSecret", SecretId=made["Name"], RecoveryWindowInDays=7)
    assert abs(answer["DeletionDate"] - api.call("DescribeSecret", SecretId=made["Name"])["DeletedDate"]) < 1
    refused(driver, MARKED, "GetSecretValue", SecretId=made["Name"])
    assert driver.call("RestoreSecret", SecretId=made["Name"]) == {"ARN": made["ARN"], "Name": made["Name"]}
    driver.call("DeleteSecret", SecretId=made["Name"], ForceDeleteWithoutRecovery=True)


@rule("3.10.4", "3.11.9", "2.6.2")
def test_lists_and_passwords(target, driver, api, secrets):
    unique = secrets.unique()
    every = [secrets.make("v", Description=f"driver{unique}")["ARN"] for _ in range(3)]
    filters = [{"Key": "description", "Values": [f"driver{unique}"]}]
    wire = eventually(lambda: len((a := api.call("ListSecrets", Filters=filters))["SecretList"]) == 3 and a, target.patience, "the list")
    assert driver.call("ListSecrets", Filters=filters, SortOrder="asc") == wire
    assert [row["ARN"] for row in wire["SecretList"]] == every
    first = driver.call("GetRandomPassword", PasswordLength=20, ExcludePunctuation=True)["RandomPassword"]
    assert len(first) == 20 and first.isalnum()


@rule("3.12.3", "3.12.1", "3.12.validate.1")
def test_policies(driver, secrets):
    made = secrets.make("v")
    policy = POLICY % f"arn:aws:iam::{made['ARN'].split(':')[4]}:root"
    driver.call("PutResourcePolicy", SecretId=made["Name"], ResourcePolicy=policy, BlockPublicPolicy=True)
    found = json.loads(driver.call("GetResourcePolicy", SecretId=made["Name"])["ResourcePolicy"])
    assert found["Statement"][0]["Action"] == "secretsmanager:GetSecretValue"
    assert driver.call("ValidateResourcePolicy", ResourcePolicy=policy) == {"PolicyValidationPassed": True, "ValidationErrors": []}
    driver.call("DeleteResourcePolicy", SecretId=made["Name"])
    assert "ResourcePolicy" not in driver.call("GetResourcePolicy", SecretId=made["Name"])
    refused(driver, POLICY_SYNTAX, "PutResourcePolicy", SecretId=made["Name"], ResourcePolicy="{}")


@rule("4.2.1", "4.2.3", "4.2.4", "4.4.8")
def test_replicas(target, driver, api, secrets, replicas):
    region, name = replicas[0], secrets.name()
    secrets.keep(name, region)
    made = driver.call("CreateSecret", Name=name, SecretString="v", AddReplicaRegions=[{"Region": region}])
    assert [row["Status"] for row in made["ReplicationStatus"]] == ["InProgress"]
    eventually(lambda: api.call("DescribeSecret", SecretId=name)["ReplicationStatus"][0]["Status"] == "InSync", target.patience, "InSync")
    assert driver.call("DescribeSecret", SecretId=name) == api.call("DescribeSecret", SecretId=name)
    assert driver.call("GetSecretValue", SecretId=name, region=region)["SecretString"] == "v"
    refused(driver, ON_REPLICA, "PutSecretValue", SecretId=name, SecretString="w", region=region)
    answer = driver.call("StopReplicationToReplica", SecretId=name, region=region)
    assert answer == {"ARN": made["ARN"].replace(api.region, region)}
    assert driver.call("RemoveRegionsFromReplication", SecretId=name, RemoveReplicaRegions=[region])["ReplicationStatus"] == []


@rule("2.6.1", "3.13.2", "9.5", "9.8", "9.12")
def test_what_is_newer(target, driver, api, secrets):
    if not driver.newer:
        pytest.skip("this client's model is older than these members: raw requests have them in the other files")
    made, missing = secrets.make("v"), secrets.name()
    wire = api.call("BatchGetSecretValue", SecretIdList=[made["Name"], missing])
    assert driver.call("BatchGetSecretValue", SecretIdList=[made["Name"], missing]) == wire
    api.call("DeleteSecret", SecretId=made["Name"])
    filters = [{"Key": "name", "Values": [made["Name"]]}]
    rows = eventually(lambda: driver.call("ListSecrets", Filters=filters, IncludePlannedDeletion=True, SortBy="name")["SecretList"],
                      target.patience, "the list")
    assert [row["ARN"] for row in rows] == [made["ARN"]] and "DeletedDate" in rows[0]
