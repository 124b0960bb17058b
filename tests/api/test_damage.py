"""Errors that no request can bring about: KMS keys in another state, records that were damaged. Regions of its own, over HTTP.

The state is changed behind the server's back while it is stopped (tamper.c). Only where the suite starts its own regions.
"""
import os

import pytest

from cluster import ACCOUNT
from conftest import Secrets
from marks import provokes, rule
from members import WITH_SECRET_ID, example
from raw import ANY, new_token
from target import Own

INTERNAL, TEXT = "InternalServiceError", "An error occurred on the server side."
EF, DF = "EncryptionFailure", "DecryptionFailure"
ENABLED, DISABLED, PENDING_DELETION = 1, 2, 3
CANNOT_SEAL = "Secrets Manager can't encrypt the protected secret text using the provided KMS key"
CANNOT_OPEN = "Secrets Manager can't decrypt the protected secret text using the provided KMS key"

pytestmark = pytest.mark.skipif("REDOUBT_API_ENDPOINT" in os.environ, reason="changes the state behind the API: own regions only")


@pytest.fixture(scope="module")
def behind():
    """One region for this file; what a test breaks it mends, or it is this test's own secret."""
    opened = Own(("us-east-1", "us-west-2"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def made(behind):
    secrets = Secrets(behind)
    api = behind.api()
    default = secrets.make("v")
    custom = secrets.make("w", KmsKeyId=behind.kms_key)
    broken = secrets.make("x", Tags=[{"Key": "k", "Value": "v"}])
    value = secrets.make("y")
    api.call("PutSecretValue", SecretId=value["Name"], SecretString="z")
    return {"default": default, "custom": custom, "broken": broken, "value": value}  # the regions go as a whole


@pytest.fixture(scope="class", params=[DISABLED, PENDING_DELETION], ids=["disabled", "pending deletion"])
def locked(request, behind, made):
    behind.tamper_running("key-state", ACCOUNT, request.param)
    yield behind.api()
    behind.tamper_running("key-state", ACCOUNT, ENABLED)
    for which, expected in (("default", "v"), ("custom", "w")):  # nothing is lost
        assert behind.api().call("GetSecretValue", SecretId=made[which]["Name"])["SecretString"] == expected


def says(error, sentence):
    assert error.message.startswith(sentence) and error.status == 400


class TestLockedKeys:
    @rule("1.5.7")
    @pytest.mark.parametrize("key", ["default", "custom"])
    @pytest.mark.parametrize("operation", [
        pytest.param(op, marks=provokes(op, EF)) for op in ("CreateSecret", "PutSecretValue", "UpdateSecret")])
    def test_no_key_to_seal_under(self, behind, locked, made, operation, key):
        if operation == "CreateSecret":
            params = {"Name": f"new-{key}-{new_token()}", "KmsKeyId": behind.kms_key if key == "custom" else None}
        else:
            params = {"SecretId": made[key]["Name"]}
        says(locked.refused(operation, EF, ANY, SecretString="n", **params), CANNOT_SEAL)
        if operation == "CreateSecret":
            locked.refused("DescribeSecret", "ResourceNotFoundException", ANY, SecretId=params["Name"])
        else:
            assert locked.call("DescribeSecret", **params)["VersionIdsToStages"] == {made[key]["VersionId"]: ["AWSCURRENT"]}

    @rule("1.5.7", "3.4.update.7")
    @provokes("UpdateSecret", EF)
    def test_a_change_to_a_key_that_cannot_seal(self, behind, locked, made):
        says(locked.refused("UpdateSecret", EF, ANY, SecretId=made["default"]["Name"], KmsKeyId=behind.kms_key), CANNOT_SEAL)
        assert "KmsKeyId" not in locked.call("DescribeSecret", SecretId=made["default"]["Name"])

    @rule("3.3.13", "1.5.8")
    @provokes("GetSecretValue", DF)
    @pytest.mark.parametrize("key", ["default", "custom"])
    def test_no_key_to_open_with(self, locked, made, key):
        says(locked.refused("GetSecretValue", DF, ANY, SecretId=made[key]["Name"]), CANNOT_OPEN)

    @rule("3.13.2")
    def test_no_key_to_open_many_with(self, locked, made):
        answer = locked.call("BatchGetSecretValue", SecretIdList=[made["default"]["Name"], made["custom"]["Name"]])
        assert answer["SecretValues"] == [] and [entry["ErrorCode"] for entry in answer["Errors"]] == [DF, DF]

    @rule("2.5.2")
    @pytest.mark.parametrize("operation", ["DescribeSecret", "ListSecretVersionIds", "TagResource", "UntagResource", "GetResourcePolicy"])
    def test_what_needs_no_key(self, locked, made, operation):
        locked.call(operation, **example(operation, made["default"]["Name"]))


@pytest.fixture(scope="module")
def damaged(behind, made):
    behind.tamper_running("damage-secret", ACCOUNT, made["broken"]["Name"])
    return behind.api()


@rule("1.5.12", "1.4.1")
@pytest.mark.parametrize("operation", [pytest.param(op, marks=provokes(op, INTERNAL)) for op in sorted(WITH_SECRET_ID)])
def test_a_damaged_secret(damaged, made, operation):
    params = example(operation, made["broken"]["Name"])
    error = damaged.refused(operation, INTERNAL, TEXT, **params)
    assert error.status == 500 and error.body == {"__type": INTERNAL, "Message": TEXT}


@rule("1.5.12")
@pytest.mark.parametrize("operation", [pytest.param(op, marks=provokes(op, INTERNAL)) for op in ("ListSecrets", "BatchGetSecretValue")])
def test_a_damaged_secret_in_a_list(damaged, operation):
    error = damaged.refused(operation, INTERNAL, TEXT, Filters=[{"Key": "name", "Values": ["redoubt-test"]}])
    assert error.status == 500


@rule("1.5.12")
@provokes("CreateSecret", INTERNAL)
def test_the_name_of_a_damaged_secret(damaged, made):
    assert damaged.refused("CreateSecret", INTERNAL, TEXT, Name=made["broken"]["Name"], SecretString="n").status == 500


@rule("1.5.12")
def test_the_others_live_on(damaged, made):
    assert damaged.call("GetSecretValue", SecretId=made["default"]["Name"])["SecretString"] == "v"
    assert damaged.call("PutSecretValue", SecretId=made["default"]["Name"], SecretString="v")["VersionStages"] == ["AWSCURRENT"]


@rule("1.5.12")
@provokes("GetSecretValue", INTERNAL)
def test_a_damaged_value(behind, damaged, made):
    """One version's value is damaged; the other's can still be read."""
    name = made["value"]["Name"]
    current = behind.api().call("GetSecretValue", SecretId=name)["VersionId"]
    behind.tamper_running("damage-value", ACCOUNT, name, current)
    assert behind.api().refused("GetSecretValue", INTERNAL, TEXT, SecretId=name).status == 500
    assert behind.api().call("GetSecretValue", SecretId=name, VersionStage="AWSPREVIOUS")["SecretString"] == "y"
