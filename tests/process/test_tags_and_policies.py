"""Tags and resource policies with unmodified clients, as Terraform uses them, and their way to the replicas."""
import json

import pytest

from cluster import eventually, statuses
from test_roundtrip import aws

MARKED = "You can't perform this operation on the secret because it was marked for deletion."
ON_REPLICA = "Operation not permitted on a replica secret. Call must be made in primary secret's region."


def policy(principal, action="secretsmanager:GetSecretValue", effect="Allow"):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Sid": "EnableAllPermissions", "Effect": effect, "Principal": principal, "Action": action, "Resource": "*"}]}, indent=2)


def refused(exception, call, **arguments):
    with pytest.raises(exception) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Message"]


def test_tags_and_policy_reach_the_replicas(running):
    east, west = running.client("us-east-1"), running.client("us-west-2")
    east.create_secret(Name="tags/db", SecretString="s1", Tags=[{"Key": "first", "Value": "1"}],
                       AddReplicaRegions=[{"Region": "us-west-2"}])
    answer = east.tag_resource(SecretId="tags/db", Tags=[{"Key": "Größe", "Value": ""}, {"Key": "first", "Value": "2"}])
    assert set(answer) == {"ResponseMetadata"}
    text = policy({"AWS": "arn:aws:iam::123456789012:role/app"})
    put = east.put_resource_policy(SecretId="tags/db", ResourcePolicy=text, BlockPublicPolicy=True)
    assert put["Name"] == "tags/db"
    got = east.get_resource_policy(SecretId=put["ARN"])
    assert (got["ARN"], got["Name"], got["ResourcePolicy"]) == (put["ARN"], "tags/db", text)
    tags = [{"Key": "first", "Value": "2"}, {"Key": "Größe", "Value": ""}]
    assert east.describe_secret(SecretId="tags/db")["Tags"] == tags
    eventually(lambda: statuses(east, "tags/db")["us-west-2"][0] == "InSync", what="the replica")
    assert west.describe_secret(SecretId="tags/db")["Tags"] == tags
    assert west.get_resource_policy(SecretId="tags/db")["ResourcePolicy"] == text

    wrong = west.exceptions.InvalidParameterException
    assert refused(wrong, west.tag_resource, SecretId="tags/db", Tags=tags) == ON_REPLICA
    assert refused(wrong, west.untag_resource, SecretId="tags/db", TagKeys=["first"]) == ON_REPLICA
    assert refused(wrong, west.put_resource_policy, SecretId="tags/db", ResourcePolicy=text) == ON_REPLICA
    assert refused(wrong, west.delete_resource_policy, SecretId="tags/db") == ON_REPLICA

    east.untag_resource(SecretId="tags/db", TagKeys=["first", "Größe", "absent"])
    assert east.describe_secret(SecretId="tags/db")["Tags"] == []
    east.delete_resource_policy(SecretId="tags/db")
    assert "ResourcePolicy" not in east.get_resource_policy(SecretId="tags/db")
    eventually(lambda: west.describe_secret(SecretId="tags/db")["Tags"] == [], what="no tags there")
    eventually(lambda: "ResourcePolicy" not in west.get_resource_policy(SecretId="tags/db"), what="no policy there")


def test_refusals(running):
    client = running.client("us-east-1")
    errors = client.exceptions
    client.create_secret(Name="policy/refused")
    assert refused(errors.MalformedPolicyDocumentException, client.put_resource_policy, SecretId="policy/refused",
                   ResourcePolicy="{}") == "This resource policy contains a syntax error."
    assert refused(errors.MalformedPolicyDocumentException, client.put_resource_policy, SecretId="policy/refused",
                   ResourcePolicy=policy({"AWS": "arn:aws:iam::123456789012:role/*"})) == \
        "This resource policy contains an unsupported principal."
    assert refused(errors.PublicPolicyException, client.put_resource_policy, SecretId="policy/refused", BlockPublicPolicy=True,
                   ResourcePolicy=policy("*")) == \
        "You can't attach a resource-based policy that allows broad access to the secret."
    client.put_resource_policy(SecretId="policy/refused", ResourcePolicy=policy("*"))
    assert refused(errors.InvalidParameterException, client.tag_resource, SecretId="policy/refused",
                   Tags=[{"Key": "aws:cloudformation:stack-name", "Value": "x"}]) == \
        "You can't modify system tags. Tag key: 'aws:cloudformation:stack-name'."
    client.delete_secret(SecretId="policy/refused")
    for call, arguments in ((client.get_resource_policy, {}), (client.delete_resource_policy, {}),
                            (client.put_resource_policy, {"ResourcePolicy": policy("*")}),
                            (client.tag_resource, {"Tags": []}), (client.untag_resource, {"TagKeys": []})):
        assert refused(errors.InvalidRequestException, call, SecretId="policy/refused", **arguments) == MARKED


def test_validation(running):
    client = running.client("us-east-1")
    answer = client.validate_resource_policy(ResourcePolicy=policy({"AWS": "123456789012"}))
    assert answer["PolicyValidationPassed"] is True and answer["ValidationErrors"] == []
    answer = client.validate_resource_policy(ResourcePolicy=policy("*"))
    assert answer["PolicyValidationPassed"] is False
    assert [row["CheckName"] for row in answer["ValidationErrors"]] == ["BroadAccessCheck"]
    refused(client.exceptions.ResourceNotFoundException, client.validate_resource_policy, SecretId="policy/none",
            ResourcePolicy=policy("*"))


def test_aws_cli(running):
    code, _, error = aws(running, "create-secret", "--name", "cli/tagged", "--secret-string", "s", "--tags", "Key=a,Value=b")
    assert code == 0, error
    code, answer, error = aws(running, "tag-resource", "--secret-id", "cli/tagged", "--tags", '[{"Key":"c","Value":"d"}]')
    assert code == 0 and answer is None, error
    code, answer, error = aws(running, "untag-resource", "--secret-id", "cli/tagged", "--tag-keys", "a")
    assert code == 0 and answer is None, error
    code, described, error = aws(running, "describe-secret", "--secret-id", "cli/tagged")
    assert code == 0 and described["Tags"] == [{"Key": "c", "Value": "d"}], error
    code, answer, error = aws(running, "put-resource-policy", "--secret-id", "cli/tagged", "--block-public-policy",
                              "--resource-policy", policy({"AWS": "123456789012"}))
    assert code == 0 and set(answer) == {"ARN", "Name"}, error
    code, answer, error = aws(running, "get-resource-policy", "--secret-id", "cli/tagged")
    assert code == 0 and json.loads(answer["ResourcePolicy"])["Version"] == "2012-10-17", error
    code, answer, error = aws(running, "validate-resource-policy", "--resource-policy", policy("*"))
    assert code == 0 and answer["PolicyValidationPassed"] is False, error
    code, answer, error = aws(running, "delete-resource-policy", "--secret-id", "cli/tagged")
    assert code == 0 and set(answer) == {"ARN", "Name"}, error
