"""What well-known clients rely on (section 10): the texts they search for, and the calls they make, in their order.

RELIES is the frozen list: who searches for which fragment of which error. A change of a sentence that breaks a client fails here, with
the client's name.
"""
import json
import time

import pytest

from marks import rule
from members import POLICY
from raw import ApiError, blob, new_token
from target import eventually
from texts import (CURRENT_REMOVED, IR, MARKED, MISSING, NAME_SCHEDULED, NOT_INVOKABLE, POLICY_PRINCIPAL, RNF, no_stage)

TERRAFORM, ESO = "Terraform's AWS provider", "External Secrets Operator"
TEMPLATES, TRAIL = "AWS's rotation templates", "the guide's alarm on deleted secrets"
RELIES = [
    # (who, what for, error, fragment that it searches for; None: the code alone)
    (TERRAFORM, "aws_secretsmanager_secret retries CreateSecret", NAME_SCHEDULED, "scheduled for deletion"),
    (TERRAFORM, "aws_secretsmanager_secret waits for a deletion, treats reads as gone", MARKED, "was marked for deletion"),
    (TERRAFORM, "aws_secretsmanager_secret, gone", MISSING, None),
    (TERRAFORM, "aws_secretsmanager_secret_policy retries while IAM spreads", POLICY_PRINCIPAL, "unsupported principal"),
    (TERRAFORM, "aws_secretsmanager_secret_version skips AWSCURRENT on destroy", CURRENT_REMOVED,
     "You can only move staging label AWSCURRENT"),
    (TERRAFORM, "aws_secretsmanager_secret_rotation retries while the permission spreads", NOT_INVOKABLE, None),
    (ESO, "an absent secret", MISSING, None),
    (ESO, "a deleted secret counts as absent", MARKED, "was marked for deletion"),
    (TEMPLATES, "createSecret makes a value when there is none", no_stage("AWSPENDING"), None),
    (TRAIL, "the metric filter on errorMessage", MARKED, "secret because it was marked for deletion"),
]
CODES = {"Terraform's AWS provider": {"InvalidRequestException", "ResourceNotFoundException", "InvalidParameterException",
                                      "MalformedPolicyDocumentException", "AccessDeniedException"}}


@rule("1.4.7")
@pytest.mark.parametrize("who,why,error,fragment", RELIES, ids=[f"{who}: {why}" for who, why, _, _ in RELIES])
def test_texts_that_clients_search_for(who, why, error, fragment):
    """The sentences of texts.py, which the other files hold the service to, have what the clients look for."""
    code, text = error
    assert code in CODES.get(who, {IR, RNF})
    assert fragment is None or fragment in text


def raised(api, operation, **params):
    with pytest.raises(ApiError) as caught:
        api.call(operation, **params)
    return caught.value


@rule("1.4.7", "3.2.7", "3.12.2", "3.12.1")
def test_terraform_secret(target, api, secrets):
    """Create, policy, read; destroy and create again at once; read of what is scheduled counts as gone."""
    name = secrets.name()
    made = api.call("CreateSecret", Name=name, Description="", ForceOverwriteReplicaSecret=False, Tags=[])
    policy = POLICY % f"arn:aws:iam::{made['ARN'].split(':')[4]}:root"
    api.call("PutResourcePolicy", SecretId=made["ARN"], ResourcePolicy=policy)
    described = api.call("DescribeSecret", SecretId=made["ARN"])
    assert described["Name"] == name and "Description" not in described
    assert json.loads(api.call("GetResourcePolicy", SecretId=made["ARN"])["ResourcePolicy"])["Statement"]
    api.call("DeleteResourcePolicy", SecretId=made["ARN"])
    assert "ResourcePolicy" not in api.call("GetResourcePolicy", SecretId=made["ARN"])
    api.call("UpdateSecret", SecretId=made["ARN"], Description="later", KmsKeyId="")
    api.call("DeleteSecret", SecretId=made["ARN"], RecoveryWindowInDays=7)
    error = raised(api, "CreateSecret", Name=name)
    assert error.code == IR and "scheduled for deletion" in error.message
    for operation in ("GetResourcePolicy", "GetSecretValue"):
        error = raised(api, operation, SecretId=made["ARN"])
        assert error.code == IR and "was marked for deletion" in error.message
    assert "DeletedDate" in api.call("DescribeSecret", SecretId=made["ARN"])
    # recovery_window_in_days = 0
    other = secrets.make("v")
    api.call("DeleteSecret", SecretId=other["ARN"], ForceDeleteWithoutRecovery=True)

    def gone():
        try:
            return "DeletedDate" in api.call("DescribeSecret", SecretId=other["ARN"])
        except ApiError as error:
            return error.code == RNF
    eventually(gone, target.patience, "the deletion")


@rule("3.5.stage.5", "3.5.stage.6", "3.4.put.2")
def test_terraform_version(api, secrets):
    made = secrets.make(None)
    first = api.call("PutSecretValue", SecretId=made["ARN"], SecretString="1")["VersionId"]
    version = api.call("PutSecretValue", SecretId=made["ARN"], SecretString="2", VersionStages=["AWSCURRENT", "one", "two"])["VersionId"]
    read = api.call("GetSecretValue", SecretId=made["ARN"], VersionId=version)
    assert read["SecretString"] == "2" and set(read["VersionStages"]) == {"AWSCURRENT", "one", "two"}
    for label in read["VersionStages"]:  # destroy
        if label == "AWSCURRENT":
            error = raised(api, "UpdateSecretVersionStage", SecretId=made["ARN"], VersionStage=label, RemoveFromVersionId=version)
            assert error.code == "InvalidParameterException" and "You can only move staging label AWSCURRENT" in error.message
        else:
            api.call("UpdateSecretVersionStage", SecretId=made["ARN"], VersionStage=label, RemoveFromVersionId=version)
    assert api.call("DescribeSecret", SecretId=made["ARN"])["VersionIdsToStages"] == {first: ["AWSPREVIOUS"], version: ["AWSCURRENT"]}


@rule("3.14.1.3", "3.14.1.13")
def test_terraform_rotation(target, api, secrets):
    if target.function is None:
        pytest.skip("no rotation function: REDOUBT_API_FUNCTION is not set")
    made = secrets.make("v")
    api.call("RotateSecret", SecretId=made["ARN"], RotationLambdaARN=target.function, RotateImmediately=True,
             RotationRules={"ScheduleExpression": "rate(30 days)", "Duration": "3h"})
    described = api.call("DescribeSecret", SecretId=made["ARN"])
    assert described["RotationEnabled"] is True
    assert (described["RotationRules"]["ScheduleExpression"], described["RotationRules"]["Duration"]) == ("rate(30 days)", "3h")
    api.call("CancelRotateSecret", SecretId=made["ARN"])
    assert api.call("DescribeSecret", SecretId=made["ARN"])["RotationEnabled"] is False


@rule("3.2.1", "3.4.token.1", "3.10.name.1")
def test_external_secrets_push(target, api, secrets):
    """PushSecret: describe, create with its fixed token, put later; ownership by a tag; secrets without versions are tolerated."""
    name, fixed = secrets.name(), "00000000-0000-0000-0000-000000000001"
    assert raised(api, "DescribeSecret", SecretId=name).code == RNF
    made = api.call("CreateSecret", Name=name, SecretBinary=b"v", ClientRequestToken=fixed,
                    Tags=[{"Key": "managed-by", "Value": "external-secrets"}])
    assert made["VersionId"] == fixed
    described = api.call("DescribeSecret", SecretId=name)
    assert {"Key": "managed-by", "Value": "external-secrets"} in described["Tags"]
    assert described["VersionIdsToStages"] == {fixed: ["AWSCURRENT"]}
    api.call("PutSecretValue", SecretId=name, SecretBinary=b"w", ClientRequestToken=new_token())
    assert api.call("GetSecretValue", SecretId=name)["SecretBinary"] == blob(b"w")
    bare = secrets.make(None)
    assert not api.call("DescribeSecret", SecretId=bare["Name"]).get("VersionIdsToStages")
    api.call("DeleteSecret", SecretId=name)
    assert "was marked for deletion" in raised(api, "GetSecretValue", SecretId=name).message


@rule("3.10.tag-key.1", "3.10.tag-value.1", "3.13.1")
def test_external_secrets_find(target, api, secrets):
    unique = secrets.unique()
    for i in range(3):
        secrets.make(str(i), f"eso{unique}/{{}}", Tags=[{"Key": f"k{unique}", "Value": f"v{unique}"}])
    filters = [{"Key": "name", "Values": [f"eso{unique}"]}, {"Key": "tag-key", "Values": [f"k{unique}"]},
               {"Key": "tag-value", "Values": [f"v{unique}"]}]

    def pages(operation, member, **params):
        token, seen = None, []
        while True:
            page = api.call(operation, Filters=filters, NextToken=token, **params)
            seen += page[member]
            token = page.get("NextToken")
            if token is None:
                return seen
    rows = eventually(lambda: len(rows := pages("ListSecrets", "SecretList", MaxResults=2)) == 3 and rows, target.patience, "the list")
    values = pages("BatchGetSecretValue", "SecretValues", MaxResults=2)
    assert {value["ARN"] for value in values} == {row["ARN"] for row in rows}
    assert sorted(value["SecretString"] for value in values) == ["0", "1", "2"]


@rule("3.1.11", "3.3.4", "3.7.5")
def test_caches(api, secrets):
    """Describe once an hour, find the version of AWSCURRENT, read it by VersionId and VersionStage."""
    made = secrets.make("1")
    for value in ("1", "2", "3"):
        if value != "1":
            api.call("PutSecretValue", SecretId=made["Name"], SecretString=value)
        stages = api.call("DescribeSecret", SecretId=made["Name"])["VersionIdsToStages"]
        (version,) = [v for v, labels in stages.items() if "AWSCURRENT" in labels]
        read = api.call("GetSecretValue", SecretId=made["Name"], VersionId=version, VersionStage="AWSCURRENT")
        assert read["SecretString"] == value and read["VersionId"] == version


@rule("1.3.8")
def test_the_cli_prints_fractions(api, secrets):
    """awscli prints the local time with microseconds: the fraction is on the wire, the same wherever a date is shown."""
    fractions = set()
    for _ in range(4):
        made = secrets.make("v")
        described = api.call("DescribeSecret", SecretId=made["Name"])
        listed = api.call("ListSecretVersionIds", SecretId=made["Name"])["Versions"][0]
        read = api.call("GetSecretValue", SecretId=made["Name"])
        assert listed["CreatedDate"] == read["CreatedDate"] and abs(read["CreatedDate"] - described["CreatedDate"]) < 1
        fractions.add(round(described["CreatedDate"] % 1, 3))
        time.sleep(0.0037)
    assert fractions != {0.0}


@rule("3.0.2", "3.3.2", "3.3.3")
def test_mounted_by_name_or_arn(api, secrets):
    """CSI driver provider and agent: by name or ARN, with a version's id or label."""
    made = secrets.make("v")
    for secret_id in (made["Name"], made["ARN"]):
        assert api.call("DescribeSecret", SecretId=secret_id)["ARN"] == made["ARN"]
        for which in ({}, {"VersionId": made["VersionId"]}, {"VersionStage": "AWSCURRENT"}):
            assert api.call("GetSecretValue", SecretId=secret_id, **which)["SecretString"] == "v"
