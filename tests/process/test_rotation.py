"""RotateSecret, CancelRotateSecret and GetRandomPassword with an unmodified boto3. The steps of a rotation function are taken by
the test, as the published templates take them (AWS_BEHAVIOUR 3.14.3); nothing invokes functions here."""
import datetime
import string
import uuid

import pytest

from cluster import Cluster, eventually, wait_in_sync
from test_canary import forms, hits, memory_of

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:rotate"
CANNOT_INVOKE = ("Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the "
                 "principal secretsmanager.amazonaws.com.")


@pytest.fixture(scope="module")
def functions():
    """Regions of which the first has an endpoint for functions."""
    with Cluster() as cluster:
        with open(cluster.data / "us-east-1" / "redoubt.conf", "a", encoding="ascii") as conf:
            conf.write("\n[rotation]\nlambda_endpoint = http://127.0.0.1:9\n")
        yield cluster.start()


def refused(client, call, code, message):
    with pytest.raises(client.exceptions.ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["Error"]["Message"] == message
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_without_an_endpoint(functions):
    """3.14.1 [rec]: a function that cannot be invoked, and none at all; afterwards there is no configuration."""
    client = functions.client("us-west-2")
    client.create_secret(Name="rotate/not", SecretString="v")
    refused(client, lambda: client.rotate_secret(SecretId="rotate/not", RotationLambdaARN=FUNCTION,
                                                 RotationRules={"AutomaticallyAfterDays": 1}), "AccessDeniedException", CANNOT_INVOKE)
    refused(client, lambda: client.rotate_secret(SecretId="rotate/not"), "InvalidRequestException",
            "No Lambda rotation function ARN is associated with this secret.")
    refused(client, lambda: client.rotate_secret(SecretId="rotate/not", RotationRules={"AutomaticallyAfterDays": 1,
                                                                                       "ScheduleExpression": "rate(1 day)"}),
            "InvalidParameterException", "You cannot specify both rotation frequency and schedule expression together.")
    assert not {"RotationEnabled", "RotationLambdaARN", "RotationRules"} & client.describe_secret(SecretId="rotate/not").keys()


def rotate(client, arn, token, value):
    """What the generic template does in its four steps."""
    described = client.describe_secret(SecretId=arn)
    assert described["RotationEnabled"] and described["VersionIdsToStages"][token] == ["AWSPENDING"]
    client.get_secret_value(SecretId=arn, VersionStage="AWSCURRENT")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")
    client.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=value, VersionStages=["AWSPENDING"])
    assert client.get_secret_value(SecretId=arn, VersionId=token, VersionStage="AWSPENDING")["SecretString"] == value
    described = client.describe_secret(SecretId=arn)
    current = next(v for v, labels in described["VersionIdsToStages"].items() if "AWSCURRENT" in labels)
    client.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current)
    return current


def test_rotations(functions):
    client, there = functions.client("us-east-1"), functions.client("eu-west-1")
    arn = client.create_secret(Name="rotate/db", SecretString="s1", AddReplicaRegions=[{"Region": "eu-west-1"}])["ARN"]
    reply = client.rotate_secret(SecretId="rotate/db", RotationLambdaARN=FUNCTION, RotationRules={"AutomaticallyAfterDays": 1})
    assert reply["ARN"] == arn and reply["Name"] == "rotate/db"
    old = rotate(client, arn, reply["VersionId"], "s2")
    described = client.describe_secret(SecretId="rotate/db")
    assert described["VersionIdsToStages"] == {old: ["AWSPREVIOUS"], reply["VersionId"]: ["AWSPENDING", "AWSCURRENT"]}
    assert described["RotationRules"] == {"AutomaticallyAfterDays": 1} and described["RotationLambdaARN"] == FUNCTION
    last = described["LastRotatedDate"].astimezone(datetime.timezone.utc)
    due = (last + datetime.timedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0) - datetime.timedelta(seconds=1)
    # The installed client may be older than NextRotationDate; the list shows the same record.
    if "NextRotationDate" in described:
        assert described["NextRotationDate"] == due
    # The replica shows it all, and is not to be changed.
    wait_in_sync(client, "rotate/db", ["eu-west-1"])
    copy = there.describe_secret(SecretId="rotate/db")
    for field in ("RotationEnabled", "RotationLambdaARN", "RotationRules", "LastRotatedDate", "VersionIdsToStages"):
        assert copy[field] == described[field], field
    assert there.get_secret_value(SecretId="rotate/db")["SecretString"] == "s2"
    refused(there, lambda: there.cancel_rotate_secret(SecretId="rotate/db"), "InvalidParameterException",
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.")
    # The same call again is the same rotation; without parameters it is another.
    token = str(uuid.uuid4())
    for _ in range(2):
        assert client.rotate_secret(SecretId=arn, ClientRequestToken=token)["VersionId"] == token
    refused(client, lambda: client.rotate_secret(SecretId=arn), "InvalidRequestException",
            "A previous rotation isn't complete. That rotation will be reattempted.")
    reply = client.cancel_rotate_secret(SecretId=arn)
    assert reply["VersionId"] == token
    described = client.describe_secret(SecretId=arn)
    assert described["RotationEnabled"] is False and described["LastRotatedDate"] == last
    eventually(lambda: there.describe_secret(SecretId="rotate/db")["RotationEnabled"] is False, what="the end of it in eu-west-1")
    there.stop_replication_to_replica(SecretId="rotate/db")
    promoted = there.describe_secret(SecretId="rotate/db")
    assert promoted["RotationEnabled"] is False and "RotationLambdaARN" not in promoted


def test_random_passwords(functions):
    """3.11, and that the process forgets them."""
    client = functions.client("us-east-1")
    assert len(client.get_random_password()["RandomPassword"]) == 32
    reply = client.get_random_password(PasswordLength=40, ExcludeCharacters="/@\"'\\", IncludeSpace=True)
    assert not set("/@\"'\\") & set(reply["RandomPassword"])
    refused(client, lambda: client.get_random_password(PasswordLength=3), "InvalidParameterException",
            "Password length is too short based on the required types.")
    password = client.get_random_password(PasswordLength=64, ExcludePunctuation=True)["RandomPassword"]
    assert len(password) == 64 and set(password) <= set(string.ascii_letters + string.digits)
    pid, needles = functions.processes["us-east-1"].pid, forms(password)
    eventually(lambda: not hits(memory_of(pid), needles), 10, every=0.2, what="no trace of the password")
    assert password.encode() not in functions.log_path("us-east-1").read_bytes()
