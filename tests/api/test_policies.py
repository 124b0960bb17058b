"""Resource policies: attaching, reading, removing, validating (3.12)."""
import json

import pytest

from marks import later, provokes, rule
from raw import ANY, ApiError
from texts import MARKED, MPD, POLICY_PRINCIPAL, POLICY_SERVICE, POLICY_SYNTAX, PP

ACCOUNT = "{account}"
NO_USERS = "our own regions know no users yet: which of an account's names exist cannot be said"
ACTION = {"Action": "secretsmanager:GetSecretValue", "Resource": "*"}


def statement(principal={"AWS": "arn:aws:iam::{account}:root"}, **more):
    return {"Effect": "Allow", "Principal": principal, **ACTION, **more}


def policy(*statements, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements) or [statement()], **more})


@pytest.fixture
def secret(api, secrets):
    return secrets.make("v")


def account_of(made):
    return made["ARN"].split(":")[4]


def put(api, made, text, **params):
    return api.call("PutResourcePolicy", SecretId=made["Name"], ResourcePolicy=text.replace(ACCOUNT, account_of(made)), **params)


def get(api, made):
    return api.call("GetResourcePolicy", SecretId=made["Name"])


@rule("3.12.1")
def test_none(api, secret):
    assert get(api, secret) == {"ARN": secret["ARN"], "Name": secret["Name"]}


@rule("3.12.3", "3.12.4")
def test_put_get_replace(api, secret):
    for text in (policy(), policy(statement(Sid="second"))):
        assert put(api, secret, text) == {"ARN": secret["ARN"], "Name": secret["Name"]}
        answer = get(api, secret)
        assert answer.keys() == {"ARN", "Name", "ResourcePolicy"}
        found = json.loads(answer["ResourcePolicy"])
        assert found["Version"] == "2012-10-17"
        (only,) = found["Statement"] if isinstance(found["Statement"], list) else [found["Statement"]]
        assert only["Action"] == "secretsmanager:GetSecretValue" and ("Sid" in only) == ("second" in text)


@rule("3.12.5")
def test_delete(api, secret):
    put(api, secret, policy())
    for _ in range(2):  # also when there is none
        answer = api.call("DeleteResourcePolicy", SecretId=secret["Name"])
        assert answer == {"ARN": secret["ARN"], "Name": secret["Name"]}
        assert "ResourcePolicy" not in get(api, secret)


@rule("3.1.2", "3.12.4")
def test_a_policy_survives_other_changes(api, secret):
    put(api, secret, policy())
    before = get(api, secret)
    api.call("PutSecretValue", SecretId=secret["Name"], SecretString="w")
    api.call("TagResource", SecretId=secret["Name"], Tags=[{"Key": "a", "Value": "b"}])
    api.call("DeleteSecret", SecretId=secret["Name"])
    api.call("RestoreSecret", SecretId=secret["Name"])
    assert get(api, secret) == before


@rule("3.12.6", "2.3.34")
def test_the_longest_policy(api, secret):
    text = policy(statement(Sid="x"))
    text += " " * (20480 - len(text.replace(ACCOUNT, account_of(secret))))
    put(api, secret, text)
    with pytest.raises(ApiError) as caught:
        put(api, secret, text + " ")
    assert caught.value.code == "ValidationException"


SYNTAX = {
    "no JSON": "nothing", "a list": "[]", "empty": "{}", "no statement": '{"Version":"2012-10-17"}',
    "half": policy()[:-1], "an unknown version": policy().replace("2012-10-17", "2020-01-01"),
    "an unknown element": policy(statement(Something="x")),
    "an unknown effect": policy(statement(Effect="allow")),
    "no effect": policy({"Principal": "*", **ACTION}),
    "no action": policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*"}),
    "no resource": policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "secretsmanager:GetSecretValue"}),
    "no principal": policy({"Effect": "Allow", **ACTION}),
    "an unknown operator": policy(statement(Condition={"StringSounds": {"aws:x": "y"}})),
    "an action without a service": policy(statement(Action="GetSecretValue")),
}


@rule("3.12.7", "1.5.9")
@provokes("PutResourcePolicy", MPD)
@pytest.mark.parametrize("what", sorted(SYNTAX))
def test_syntax(api, secret, what):
    text = SYNTAX[what].replace(ACCOUNT, account_of(secret))
    api.refused_as("PutResourcePolicy", POLICY_SYNTAX, SecretId=secret["Name"], ResourcePolicy=text)
    assert "ResourcePolicy" not in get(api, secret)


@rule("3.12.8")
@provokes("PutResourcePolicy", MPD)
@pytest.mark.parametrize("principal", [
    pytest.param({"AWS": "arn:aws:iam::{account}:user/redoubt-nobody-0000"}, marks=later(NO_USERS)),
    pytest.param({"AWS": "arn:aws:iam::{account}:role/redoubt-nobody-0000"}, marks=later(NO_USERS)),
    {"AWS": "AIDAnothing"}, {"AWS": "arn:aws:iam::{account}:group/g"}, {"AWS": "arn:aws:iam::{account}:user/*"}])
def test_principals_that_nobody_has(api, secret, principal):
    text = policy(statement(principal)).replace(ACCOUNT, account_of(secret))
    api.refused_as("PutResourcePolicy", POLICY_PRINCIPAL, SecretId=secret["Name"], ResourcePolicy=text)


@rule("3.12.9")
@provokes("PutResourcePolicy", MPD)
def test_a_service_that_is_none(api, secret):
    text = policy(statement({"Service": "nothing.example.com"}))
    api.refused_as("PutResourcePolicy", POLICY_SERVICE, SecretId=secret["Name"], ResourcePolicy=text)


@rule("3.12.10", "3.12.14")
@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": "arn:aws:iam::{account}:root"}, {"AWS": "{account}"},
                                       {"AWS": "arn:aws:iam::210987654321:root"}, {"Service": "lambda.amazonaws.com"}])
@pytest.mark.parametrize("block", [None, False])
def test_principals_that_are_accepted(api, secret, principal, block):
    put(api, secret, policy(statement(principal)), BlockPublicPolicy=block)
    assert "ResourcePolicy" in get(api, secret)


@rule("3.12.11", "1.5.10", "2.3.35")
@provokes("PutResourcePolicy", PP)
@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["arn:aws:iam::{account}:root", "*"]}])
def test_broad_access_is_blocked_when_asked(api, secret, principal):
    text = policy(statement(principal)).replace(ACCOUNT, account_of(secret))
    api.refused("PutResourcePolicy", PP, ANY, SecretId=secret["Name"], ResourcePolicy=text, BlockPublicPolicy=True)
    assert "ResourcePolicy" not in get(api, secret)


@rule("3.12.11")
@pytest.mark.parametrize("more", [
    {"Principal": {"AWS": "arn:aws:iam::{account}:root"}}, {"Effect": "Deny", "Principal": "*"},
    {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": "{account}"}}}])
def test_narrow_policies_are_not_blocked(api, secret, more):
    put(api, secret, policy({**statement(), **more}), BlockPublicPolicy=True)
    assert "ResourcePolicy" in get(api, secret)


# -- ValidateResourcePolicy --

@rule("3.12.validate.1", "3.12.validate.3")
@pytest.mark.parametrize("with_secret", [False, True])
def test_validate_a_good_one(api, secret, with_secret):
    text = policy().replace(ACCOUNT, account_of(secret))
    params = {"SecretId": secret["ARN"]} if with_secret else {}
    answer = api.call("ValidateResourcePolicy", ResourcePolicy=text, **params)
    assert answer == {"PolicyValidationPassed": True, "ValidationErrors": []}
    assert "ResourcePolicy" not in get(api, secret)


@rule("3.12.validate.2")
def test_validate_a_broad_one(api, secret):
    answer = api.call("ValidateResourcePolicy", SecretId=secret["Name"], ResourcePolicy=policy(statement("*")))
    assert answer["PolicyValidationPassed"] is False
    assert answer["ValidationErrors"] and all(e["CheckName"] and e["ErrorMessage"] for e in answer["ValidationErrors"])


@rule("3.12.validate.2", "3.12.validate.5")
@pytest.mark.parametrize("what", sorted(SYNTAX))
def test_validate_a_bad_one(api, secret, what):
    """Reported, or raised as MalformedPolicyDocumentException: both are in the model."""
    try:
        answer = api.call("ValidateResourcePolicy", ResourcePolicy=SYNTAX[what].replace(ACCOUNT, account_of(secret)))
        assert answer["PolicyValidationPassed"] is False and answer["ValidationErrors"]
    except ApiError as error:
        assert error.code == MPD


@rule("3.12.validate.5")
@provokes("ValidateResourcePolicy", MPD)
def test_validate_what_is_no_json(api):
    api.refused("ValidateResourcePolicy", MPD, ANY, ResourcePolicy="nothing")


@rule("3.0.10", "3.12.validate.3")
@provokes("ValidateResourcePolicy", "InvalidRequestException")
def test_validate_for_a_scheduled_secret(api, secret):
    api.call("DeleteSecret", SecretId=secret["Name"])
    api.refused_as("ValidateResourcePolicy", MARKED, SecretId=secret["Name"], ResourcePolicy=policy().replace(ACCOUNT, account_of(secret)))


@rule("3.12.validate.3")
@provokes("ValidateResourcePolicy", "ResourceNotFoundException")
def test_validate_for_a_missing_secret(api, secrets):
    api.refused("ValidateResourcePolicy", "ResourceNotFoundException", ANY, SecretId=secrets.name(),
                ResourcePolicy=policy().replace(ACCOUNT, "123456789012"))
