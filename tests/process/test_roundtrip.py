"""The main job with unmodified clients: create in one region, read in the others, through any endpoint."""
import json
import subprocess
import uuid

from cluster import eventually, statuses, wait_in_sync

REPLICAS = ["us-west-2", "eu-west-1"]


def aws(cluster, *arguments, region="us-east-1", via=None):
    """Debian's AWS CLI is older than AWS_ENDPOINT_URL, so it gets the endpoint as an option."""
    done = subprocess.run(
        ["/usr/bin/aws", "--endpoint-url", cluster.endpoint(via or "us-east-1"), "--region", region, "--output", "json",
         "secretsmanager", *arguments],
        env=cluster.environment(), capture_output=True, text=True, timeout=120)
    return done.returncode, (json.loads(done.stdout) if done.stdout.strip() else None), done.stderr


def test_aws_cli(running):
    code, created, error = aws(running, "create-secret", "--name", "app/db", "--secret-string", "s1",
                               "--add-replica-regions", "Region=us-west-2", "Region=eu-west-1")
    assert code == 0, error
    assert created["Name"] == "app/db"
    assert created["ARN"].startswith("arn:aws:secretsmanager:us-east-1:123456789012:secret:app/db-")
    assert {row["Region"]: row["Status"] for row in created["ReplicationStatus"]} == dict.fromkeys(REPLICAS, "InProgress")
    wait_in_sync(running.client("us-east-1"), "app/db", REPLICAS)
    code, described, error = aws(running, "describe-secret", "--secret-id", "app/db")
    assert code == 0 and {row["Status"] for row in described["ReplicationStatus"]} == {"InSync"}, error

    for via in ("us-east-1", "eu-west-1"):
        code, value, error = aws(running, "get-secret-value", "--secret-id", "app/db", region="eu-west-1", via=via)
        assert code == 0, error
        assert value["SecretString"] == "s1"
        assert value["ARN"] == created["ARN"].replace("us-east-1", "eu-west-1")
        assert value["VersionId"] == created["VersionId"]

    code, put, error = aws(running, "put-secret-value", "--secret-id", "app/db", "--secret-string", "s2")
    assert code == 0 and put["VersionStages"] == ["AWSCURRENT"], error
    for region in REPLICAS:
        eventually(lambda: running.client(region).get_secret_value(SecretId="app/db")["SecretString"] == "s2",
                   what=f"s2 in {region}")
    code, _, error = aws(running, "put-secret-value", "--secret-id", "app/db", "--secret-string", "s3", region="eu-west-1")
    assert code != 0
    assert "Operation not permitted on a replica secret. Call must be made in primary secret's region." in error


def test_boto3(running):
    client = running.client("us-east-1")
    created = client.create_secret(Name="boto/db", SecretString="s1", AddReplicaRegions=[{"Region": r} for r in REPLICAS])
    assert {row["Region"]: row["Status"] for row in created["ReplicationStatus"]} == dict.fromkeys(REPLICAS, "InProgress")
    assert {row["KmsKeyId"] for row in created["ReplicationStatus"]} == {"alias/aws/secretsmanager"}
    wait_in_sync(client, "boto/db", REPLICAS)
    assert {m for _, m in statuses(client, "boto/db").values()} == {"Replication succeeded"}
    for region in REPLICAS:
        for via in (region, "us-east-1"):
            assert running.client(region, via=via).get_secret_value(SecretId="boto/db")["SecretString"] == "s1"
    client.put_secret_value(SecretId="boto/db", SecretBinary=b"\x00\xff binary")
    for region in REPLICAS:
        eventually(lambda: running.client(region).get_secret_value(SecretId="boto/db").get("SecretBinary") == b"\x00\xff binary",
                   what=f"the binary value in {region}")
        described = running.client(region).describe_secret(SecretId="boto/db")
        assert described["PrimaryRegion"] == "us-east-1" and "ReplicationStatus" not in described
        previous = running.client(region).get_secret_value(SecretId="boto/db", VersionStage="AWSPREVIOUS")
        assert previous["SecretString"] == "s1" and previous["VersionId"] == created["VersionId"]


def test_labels_tags_and_description_travel(running):
    client = running.client("us-east-1")
    client.create_secret(Name="boto/meta", SecretString="v", Description="what it is for",
                         Tags=[{"Key": "team", "Value": "a"}, {"Key": "empty", "Value": ""}],
                         AddReplicaRegions=[{"Region": "eu-west-1"}])
    token = str(uuid.uuid4())
    client.put_secret_value(SecretId="boto/meta", SecretString="p", ClientRequestToken=token, VersionStages=["AWSPENDING", "mine"])
    wait_in_sync(client, "boto/meta", ["eu-west-1"])
    here, there = client.describe_secret(SecretId="boto/meta"), running.client("eu-west-1").describe_secret(SecretId="boto/meta")
    for field in ("Name", "Description", "Tags", "VersionIdsToStages", "CreatedDate", "LastChangedDate"):
        assert here[field] == there[field], field
    assert set(there["VersionIdsToStages"][token]) == {"AWSPENDING", "mine"}


def test_list_in_pages(running):
    client = running.client("us-west-2")
    names = [f"page/{i:03d}" for i in range(25)]
    for name in names:
        client.create_secret(Name=name, SecretString="x")
    pages = list(client.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 10}))
    listed = [row["Name"] for page in pages for row in page["SecretList"] if row["Name"].startswith("page/")]
    assert listed == names  # in order of creation, none twice
    assert all(len(page["SecretList"]) <= 10 for page in pages)
