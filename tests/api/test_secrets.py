"""CreateSecret, GetSecretValue, PutSecretValue, UpdateSecret; how secrets are named; which fields are shown when (3.0-3.4, 3.6, 3.7)."""
import re
import time

import pytest

from marks import case, provokes, rule
from members import WITH_SECRET_ID, example
from raw import ANY, ApiError, blob, new_token
from target import eventually
from texts import (IR, LE, MARKED, MISSING, NAME_SCHEDULED, RE, RNF, STAGE_ELSEWHERE, name_taken, no_stage, no_version, token_used)

NEEDS_SECRET = [op for op in sorted(WITH_SECRET_ID) if op != "ValidateResourcePolicy"]
DAY = 86400


def describe(api, made):
    return api.call("DescribeSecret", SecretId=made["ARN"])


def stages(api, made):
    return {version: set(labels) for version, labels in describe(api, made).get("VersionIdsToStages", {}).items()}


def versions(api, made, **params):
    answer = api.call("ListSecretVersionIds", SecretId=made["ARN"], **params)
    return {entry["VersionId"]: entry for entry in answer["Versions"]}


# -- 3.0 --

@rule("3.0.1", "3.0.2", "3.0.3", "3.0.8")
def test_the_forms_of_an_id(api, secrets):
    made = secrets.make("v")
    found = re.fullmatch(r"arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):(\d{12}):secret:(.*)-([A-Za-z0-9]{6})", made["ARN"])
    assert found and found.group(1) == api.region and found.group(3) == made["Name"]
    for secret_id in (made["Name"], made["ARN"], made["ARN"][:-7]):
        answer = api.call("GetSecretValue", SecretId=secret_id)
        assert (answer["ARN"], answer["Name"], answer["SecretString"]) == (made["ARN"], made["Name"], "v")


@rule("3.0.4")
def test_a_partial_arn_that_looks_whole(api, secrets):
    made = secrets.make("v", "redoubt-{}-a1b2c3")
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "v"
    assert api.call("GetSecretValue", SecretId=made["ARN"])["SecretString"] == "v"
    api.refused_as("GetSecretValue", MISSING, SecretId=made["ARN"][:-7])


@rule("3.0.5")
def test_name_and_suffix_are_a_name(api, secrets):
    made = secrets.make("v")
    api.refused_as("GetSecretValue", MISSING, SecretId=made["Name"] + made["ARN"][-7:])


@rule("3.0.7")
def test_an_arn_of_another_region(api, secrets):
    made = secrets.make("v")
    other = "eu-north-1" if api.region != "eu-north-1" else "us-east-1"
    api.refused_as("GetSecretValue", MISSING, SecretId=made["ARN"].replace(api.region, other))


@rule("3.0.2")
def test_an_arn_with_another_suffix(api, secrets):
    made = secrets.make("v")
    other = "AAAAAA" if not made["ARN"].endswith("AAAAAA") else "BBBBBB"
    api.refused_as("GetSecretValue", MISSING, SecretId=made["ARN"][:-6] + other)


@rule("3.0.11", "3.3.8", "3.8.10", "3.8.14", "4.4.13", "1.5.1", "3.7.1")
@pytest.mark.parametrize("operation", [pytest.param(op, marks=provokes(op, RNF)) for op in NEEDS_SECRET])
def test_missing(api, secrets, operation):
    api.refused_as(operation, MISSING, **example(operation, secrets.name()))


REFUSES = {
    "TagResource": "3.0.17", "UntagResource": "3.0.17", "GetSecretValue": "3.0.18", "PutSecretValue": "3.0.18", "UpdateSecret": "3.0.18",
    "GetResourcePolicy": "3.0.18", "UpdateSecretVersionStage": "3.0.19", "RotateSecret": "3.0.19", "CancelRotateSecret": "3.0.19",
    "PutResourcePolicy": "3.0.19", "DeleteResourcePolicy": "3.0.19", "ReplicateSecretToRegions": "3.0.19",
    "RemoveRegionsFromReplication": "3.0.19", "DeleteSecret": "3.0.19",
}
MORE = {"GetSecretValue": ["3.3.10"], "TagResource": ["3.9.11"], "UntagResource": ["3.9.11"], "DeleteSecret": ["3.8.9"],
        "GetResourcePolicy": ["3.12.2"], "RotateSecret": ["3.14.1.10"], "ReplicateSecretToRegions": ["4.4.12"],
        "RemoveRegionsFromReplication": ["4.4.12"]}


@pytest.fixture(scope="module")
def scheduled(target):
    from conftest import Secrets
    made = Secrets(target)
    secret = made.make("v", Tags=[{"Key": "k", "Value": "v"}])
    target.api().call("DeleteSecret", SecretId=secret["Name"], RecoveryWindowInDays=7)
    yield secret
    made.close()


@pytest.mark.parametrize("operation", [case(op, rules=("3.0.10", "1.4.7", "1.5.3", id_, *MORE.get(op, [])), errors=(op, IR), id=op)
                                       for op, id_ in REFUSES.items()])
def test_scheduled_for_deletion(target, api, scheduled, operation):
    region = target.replicas[0] if target.replicas else "us-west-2"
    api.refused_as(operation, MARKED, **example(operation, scheduled["Name"], region))
    api.refused_as(operation, MARKED, **example(operation, scheduled["ARN"], region))


@rule("3.0.12", "2.5.3", "3.1.9", "3.7.1")
def test_scheduled_is_described(api, scheduled):
    described = describe(api, scheduled)
    assert 6.9 * DAY < described["DeletedDate"] - time.time() < 7.1 * DAY  # the end of the window (C-11)
    assert described["VersionIdsToStages"] == {scheduled["VersionId"]: ["AWSCURRENT"]}


@rule("3.0.16")
def test_versions_of_a_scheduled_secret(api, scheduled):
    assert list(versions(api, scheduled)) == [scheduled["VersionId"]]


# -- 3.1 --

@rule("3.1.1", "3.1.2", "3.1.3", "3.1.4", "3.1.5", "3.1.6", "3.1.8", "3.1.9", "3.1.10", "3.1.11", "3.1.13", "3.2.2", "3.14.5.7", "4.5.4")
def test_the_fields_of_a_bare_secret(api, secrets):
    made = secrets.make(None)
    assert made.keys() == {"ARN", "Name"}
    described = describe(api, made)
    assert described.keys() == {"ARN", "Name", "CreatedDate", "LastChangedDate"}
    assert described["CreatedDate"] == described["LastChangedDate"]


@rule("3.1.1", "3.1.2", "3.1.11", "3.2.1", "3.4.token.1")
def test_the_fields_of_a_secret_with_a_value(api, secrets):
    token = new_token()
    made = secrets.make("v", ClientRequestToken=token)
    assert made.keys() == {"ARN", "Name", "VersionId"} and made["VersionId"] == token
    described = describe(api, made)
    assert described.keys() == {"ARN", "Name", "CreatedDate", "LastChangedDate", "VersionIdsToStages"}
    assert described["VersionIdsToStages"] == {token: ["AWSCURRENT"]}
    assert described["CreatedDate"] == described["LastChangedDate"]


CHANGES = {
    "PutSecretValue": {"SecretString": "2"}, "PutSecretValue, a label": {"SecretString": "3", "VersionStages": ["mine"]},
    "UpdateSecret, a description": {"Description": "d"}, "UpdateSecret, a value": {"SecretString": "4"},
    "TagResource": {"Tags": [{"Key": "k", "Value": "v"}]}, "UntagResource": {"TagKeys": ["k"]},
}


@rule("3.1.2", "3.4.update.5")
def test_last_changed_moves_with_every_change(api, secrets, target):
    made = secrets.make("v", Tags=[{"Key": "k", "Value": "u"}])
    before = describe(api, made)
    for what, params in CHANGES.items():
        time.sleep(0.002)
        api.call(what.split(",")[0], SecretId=made["Name"], **params)
        after = describe(api, made)
        assert after["LastChangedDate"] > before["LastChangedDate"], what
        assert after["CreatedDate"] == before["CreatedDate"]
        before = after
    second = api.call("PutSecretValue", SecretId=made["Name"], SecretString="5", VersionStages=["other"])["VersionId"]
    before = describe(api, made)
    time.sleep(0.002)
    api.call("UpdateSecretVersionStage", SecretId=made["Name"], VersionStage="other", RemoveFromVersionId=second)
    assert describe(api, made)["LastChangedDate"] > before["LastChangedDate"], "a label"


@rule("3.1.3", "3.4.update.6")
def test_a_description_is_shown_while_there_is_one(api, secrets):
    made = secrets.make("v", Description="what for")
    assert describe(api, made)["Description"] == "what for"
    api.call("UpdateSecret", SecretId=made["Name"], Description="")
    assert "Description" not in describe(api, made)
    assert "Description" not in describe(api, secrets.make("v", Description=""))


@rule("3.1.8", "3.3.14", "3.1.21", "3.6.5")
def test_last_accessed_is_a_day(target, api, secrets):
    made = secrets.make("v")
    second = api.call("PutSecretValue", SecretId=made["Name"], SecretString="w")["VersionId"]
    describe(api, made)
    assert "LastAccessedDate" not in describe(api, made)
    assert all("LastAccessedDate" not in entry for entry in versions(api, made).values())
    api.call("GetSecretValue", SecretId=made["Name"])
    described = eventually(lambda: "LastAccessedDate" in describe(api, made) and describe(api, made), target.patience, "the date")
    assert described["LastAccessedDate"] % DAY == 0
    assert 0 <= time.time() - described["LastAccessedDate"] < DAY + 900
    entries = versions(api, made)
    assert entries[second]["LastAccessedDate"] == described["LastAccessedDate"]
    assert "LastAccessedDate" not in entries[made["VersionId"]]


@rule("3.1.10", "3.9.12")
def test_tags_are_shown_once_there_were_any(api, secrets):
    made = secrets.make("v")
    assert "Tags" not in describe(api, made)
    api.call("TagResource", SecretId=made["Name"], Tags=[{"Key": "k", "Value": "v"}])
    assert describe(api, made)["Tags"] == [{"Key": "k", "Value": "v"}]
    api.call("UntagResource", SecretId=made["Name"], TagKeys=["k"])
    assert describe(api, made)["Tags"] == []


@rule("3.1.15", "3.3.15", "3.3.16")
def test_one_kind_of_value(api, secrets):
    made = secrets.make("text")
    assert "SecretBinary" not in api.call("GetSecretValue", SecretId=made["Name"])
    for binary in (b"\x00\xff", b"more"):
        api.call("PutSecretValue", SecretId=made["Name"], SecretBinary=binary)
        answer = api.call("GetSecretValue", SecretId=made["Name"])
        assert answer["SecretBinary"] == blob(binary) and "SecretString" not in answer
    api.call("UpdateSecret", SecretId=made["Name"], SecretString="text again")
    answer = api.call("GetSecretValue", SecretId=made["Name"])
    assert answer["SecretString"] == "text again" and "SecretBinary" not in answer


@rule("3.1.16", "3.1.17", "3.3.2", "3.5.keep.1", "3.5.keep.3")
def test_what_get_shows_of_a_version(api, secrets):
    made = secrets.make("1")
    first = api.call("GetSecretValue", SecretId=made["Name"])
    assert first["VersionStages"] == ["AWSCURRENT"]
    assert abs(first["CreatedDate"] - describe(api, made)["CreatedDate"]) < 1
    time.sleep(0.01)
    for value in ("2", "3"):
        api.call("PutSecretValue", SecretId=made["Name"], SecretString=value)
    newest = api.call("GetSecretValue", SecretId=made["Name"])
    assert newest["CreatedDate"] > first["CreatedDate"]
    old = api.call("GetSecretValue", SecretId=made["Name"], VersionId=made["VersionId"])
    assert old["SecretString"] == "1" and old["CreatedDate"] == first["CreatedDate"]
    assert old.get("VersionStages", []) == []  # deprecated; left out or empty is not recorded


@rule("3.1.18", "3.6.5", "9.2")
def test_the_default_key_in_a_list_of_versions(api, secrets):
    made = secrets.make("v")
    entry = versions(api, made)[made["VersionId"]]
    assert entry.keys() == {"VersionId", "VersionStages", "CreatedDate", "KmsKeyIds"}
    assert entry["KmsKeyIds"] == ["DefaultEncryptionKey"] and entry["VersionStages"] == ["AWSCURRENT"]


@rule("3.1.4", "3.1.19", "3.4.update.7", "3.4.update.8", "9.2")
def test_another_key(target, api, secrets):
    key = target.kms_key
    if not key:
        pytest.skip("no key: REDOUBT_API_KMS_KEY is not set")
    made = secrets.make("v", KmsKeyId=key)
    assert describe(api, made)["KmsKeyId"] == key
    assert len(own := versions(api, made)[made["VersionId"]]["KmsKeyIds"]) == 1 and own != ["DefaultEncryptionKey"]
    answer = api.call("UpdateSecret", SecretId=made["Name"], KmsKeyId="alias/aws/secretsmanager")
    assert answer.keys() == {"ARN", "Name"}
    assert "KmsKeyId" not in describe(api, made)
    assert set(versions(api, made)[made["VersionId"]]["KmsKeyIds"]) == {"DefaultEncryptionKey", *own}  # either opens it
    api.call("UpdateSecret", SecretId=made["Name"], KmsKeyId=key)
    assert describe(api, made)["KmsKeyId"] == key
    api.call("UpdateSecret", SecretId=made["Name"], KmsKeyId="")
    assert "KmsKeyId" not in describe(api, made)
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "v"


@rule("3.1.4", "3.4.update.8")
def test_the_default_key_by_its_names(api, secrets):
    made = secrets.make("v", KmsKeyId="alias/aws/secretsmanager")
    assert "KmsKeyId" not in describe(api, made)
    assert api.call("UpdateSecret", SecretId=made["Name"], KmsKeyId="").keys() == {"ARN", "Name"}
    assert "KmsKeyId" not in describe(api, made)
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "v"


# -- 3.2 --

@rule("3.2.4", "1.5.4")
@provokes("CreateSecret", RE)
def test_a_name_that_is_taken(api, secrets):
    made = secrets.make("v")
    for value in ("v", "other"):
        api.refused_as("CreateSecret", name_taken(made["Name"]), Name=made["Name"], SecretString=value)
    api.refused_as("CreateSecret", name_taken(made["Name"]), Name=made["Name"])


@rule("3.2.5", "3.4.token.2", "3.2.12")
def test_create_again(api, secrets):
    token = new_token()
    made = secrets.make("v", ClientRequestToken=token, Description="d")
    assert api.call("CreateSecret", Name=made["Name"], SecretString="v", ClientRequestToken=token, Description="d") == made
    assert stages(api, made) == {token: {"AWSCURRENT"}}
    other = secrets.make("else", ClientRequestToken=token)  # a token counts within one secret
    assert other["VersionId"] == token and other["ARN"] != made["ARN"]


@rule("3.2.6", "3.4.token.3", "3.4.token.5")
@provokes("CreateSecret", RE)
def test_create_again_with_another_value(api, secrets):
    token = new_token()
    made = secrets.make("v", ClientRequestToken=token)
    error = token_used(token, made["ARN"])
    api.refused_as("CreateSecret", error, Name=made["Name"], SecretString="w", ClientRequestToken=token)
    api.refused_as("CreateSecret", error, Name=made["Name"], SecretBinary=b"v", ClientRequestToken=token)
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "v"


@rule("3.2.7", "1.4.7", "3.8.15")
@provokes("CreateSecret", IR)
def test_a_name_that_is_scheduled_for_deletion(api, scheduled):
    api.refused_as("CreateSecret", NAME_SCHEDULED, Name=scheduled["Name"], SecretString="w")


@rule("3.2.11", "3.2.13")
def test_tags_of_a_new_secret(api, secrets):
    tags = [{"Key": key, "Value": key * 2} for key in ("z", "a", "M", "b/c", "A")]
    made = secrets.make("v", Tags=tags)
    assert describe(api, made)["Tags"] == tags  # in their order, and no others


# -- 3.3 --

@rule("3.3.1", "3.3.2", "3.3.3", "3.3.4")
def test_which_version_is_read(api, secrets):
    made = secrets.make("1")
    second = api.call("PutSecretValue", SecretId=made["Name"], SecretString="2")["VersionId"]
    third = api.call("PutSecretValue", SecretId=made["Name"], SecretString="3", VersionStages=["mine"])["VersionId"]
    for which, version, value, labels in [
            ({}, second, "2", ["AWSCURRENT"]), ({"VersionStage": "AWSCURRENT"}, second, "2", ["AWSCURRENT"]),
            ({"VersionStage": "AWSPREVIOUS"}, made["VersionId"], "1", ["AWSPREVIOUS"]), ({"VersionStage": "mine"}, third, "3", ["mine"]),
            ({"VersionId": third}, third, "3", ["mine"]), ({"VersionId": made["VersionId"]}, made["VersionId"], "1", ["AWSPREVIOUS"]),
            ({"VersionId": third, "VersionStage": "mine"}, third, "3", ["mine"])]:
        answer = api.call("GetSecretValue", SecretId=made["Name"], **which)
        assert (answer["VersionId"], answer["SecretString"], answer["VersionStages"]) == (version, value, labels), which
        assert (answer["ARN"], answer["Name"]) == (made["ARN"], made["Name"])


@rule("3.3.5")
@provokes("GetSecretValue", IR)
def test_a_label_that_is_elsewhere(api, secrets):
    made = secrets.make("1")
    for label in ("AWSPREVIOUS", "mine"):
        api.refused_as("GetSecretValue", STAGE_ELSEWHERE, SecretId=made["Name"], VersionId=made["VersionId"], VersionStage=label)


@rule("3.3.6", "3.2.2")
@provokes("GetSecretValue", RNF)
def test_no_value(api, secrets):
    bare = secrets.make(None)
    api.refused_as("GetSecretValue", no_stage("AWSCURRENT"), SecretId=bare["Name"])
    for secret in (bare, secrets.make("v")):
        for label in ("AWSPREVIOUS", "AWSPENDING", "mine", "a label with blanks"):
            api.refused_as("GetSecretValue", no_stage(label), SecretId=secret["Name"], VersionStage=label)


@rule("3.3.7")
@provokes("GetSecretValue", RNF)
def test_an_unknown_version(api, secrets):
    version = new_token()
    for secret in (secrets.make(None), secrets.make("v")):
        api.refused_as("GetSecretValue", no_version(version), SecretId=secret["Name"], VersionId=version)


# -- 3.4 --

PUT, UPDATE = "PutSecretValue", "UpdateSecret"


@pytest.mark.parametrize("operation", [PUT, UPDATE])
@rule("3.4.token.1", "3.4.token.2", "3.4.update.4", "3.4.put.10")
def test_a_token_again(api, secrets, operation):
    made, token = secrets.make("1"), new_token()
    put = api.call(operation, SecretId=made["Name"], SecretString="2", ClientRequestToken=token)
    assert put["VersionId"] == token
    before = stages(api, made)
    assert api.call(operation, SecretId=made["Name"], SecretString="2", ClientRequestToken=token)["VersionId"] == token
    api.call(PUT, SecretId=made["Name"], SecretString="3")
    before = stages(api, made)
    again = api.call(operation, SecretId=made["Name"], SecretString="2", ClientRequestToken=token)
    assert again["VersionId"] == token
    assert stages(api, made) == before  # labels unchanged, also when the version is no longer current
    assert len(versions(api, made, IncludeDeprecated=True)) == 3


@pytest.mark.parametrize("operation", [pytest.param(op, marks=provokes(op, RE)) for op in (PUT, UPDATE)])
@rule("3.4.token.3", "3.4.token.5", "1.5.4")
def test_a_token_with_another_value(api, secrets, operation):
    made, token = secrets.make("1"), new_token()
    api.call(PUT, SecretId=made["Name"], SecretString="2", ClientRequestToken=token)
    error = token_used(token, made["ARN"])
    api.refused_as(operation, error, SecretId=made["Name"], SecretString="3", ClientRequestToken=token)
    api.refused_as(operation, error, SecretId=made["Name"], SecretBinary=b"2", ClientRequestToken=token)
    api.refused_as(operation, token_used(made["VersionId"], made["ARN"]), SecretId=made["Name"], SecretString="3",
                   ClientRequestToken=made["VersionId"])
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "2"


@rule("3.4.put.1", "3.4.put.10")
def test_put(api, secrets):
    made = secrets.make("1")
    put = api.call(PUT, SecretId=made["Name"], SecretString="2")
    assert put.keys() == {"ARN", "Name", "VersionId", "VersionStages"}
    assert (put["ARN"], put["Name"], put["VersionStages"]) == (made["ARN"], made["Name"], ["AWSCURRENT"])
    put = api.call(PUT, SecretId=made["Name"], SecretString="3", VersionStages=["b", "a"])
    assert sorted(put["VersionStages"]) == ["a", "b"]


@rule("3.4.put.5", "3.4.put.11")
@pytest.mark.parametrize("labels", [None, ["AWSCURRENT"], ["mine"], ["AWSPENDING", "mine"]])
def test_the_first_version(api, secrets, labels):
    made = secrets.make(None)
    put = api.call(PUT, SecretId=made["Name"], SecretString="1", VersionStages=labels)
    assert stages(api, made) == {put["VersionId"]: {"AWSCURRENT"} | set(labels or [])}
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "1"


@rule("3.4.update.1")
def test_update_of_nothing(api, secrets):
    for value in (None, "1"):
        made = secrets.make(value)
        before = stages(api, made)
        assert api.call(UPDATE, SecretId=made["Name"]) == {"ARN": made["ARN"], "Name": made["Name"]}
        assert stages(api, made) == before


@rule("3.4.update.2", "3.4.update.9")
@pytest.mark.parametrize("value", [None, "1"])
def test_update_of_the_description(api, secrets, value):
    made = secrets.make(value, Description="old")
    before = stages(api, made)
    assert api.call(UPDATE, SecretId=made["Name"], Description="new") == {"ARN": made["ARN"], "Name": made["Name"]}
    assert describe(api, made)["Description"] == "new" and stages(api, made) == before


@rule("3.4.update.3")
@pytest.mark.parametrize("more", [{}, {"Description": "new"}])
def test_update_of_the_value(api, secrets, more):
    made = secrets.make("1", Description="old")
    token = new_token()
    answer = api.call(UPDATE, SecretId=made["Name"], SecretBinary=b"2", ClientRequestToken=token, **more)
    assert answer == {"ARN": made["ARN"], "Name": made["Name"], "VersionId": token}
    assert stages(api, made) == {made["VersionId"]: {"AWSPREVIOUS"}, token: {"AWSCURRENT"}}
    assert describe(api, made)["Description"] == more.get("Description", "old")


@rule("3.4.update.5", "3.4.update.11")
def test_update_with_the_same_value_and_another_token(api, secrets):
    made = secrets.make("1")
    before = describe(api, made)
    time.sleep(0.002)
    answer = api.call(UPDATE, SecretId=made["Name"], SecretString="1")
    assert answer["VersionId"] != made["VersionId"]
    assert describe(api, made)["LastChangedDate"] > before["LastChangedDate"]
    assert len(stages(api, made)) == 2


@rule("3.4.update.11", "1.5.5", "3.5.keep.3")
@provokes("UpdateSecret", LE)
@provokes("PutSecretValue", LE)
def test_too_many_versions_of_a_day(api, secrets, own):
    """Versions younger than a day are not pruned, so at some number writes are refused. How many, is the service's own."""
    made = secrets.make("0")
    with pytest.raises(ApiError) as caught:
        for i in range(500):
            api.call(UPDATE, SecretId=made["Name"], SecretString=str(i))
    assert caught.value.code == LE
    api.refused(PUT, LE, ANY, SecretId=made["Name"], SecretString="x")
    assert api.call("GetSecretValue", SecretId=made["Name"], VersionId=made["VersionId"])["SecretString"] == "0"


@rule("3.4.update.3")
def test_update_of_a_secret_without_a_value(api, secrets):
    made = secrets.make(None)
    answer = api.call(UPDATE, SecretId=made["Name"], SecretString="1")
    assert stages(api, made) == {answer["VersionId"]: {"AWSCURRENT"}}


# -- 3.6, 3.7 --

@rule("3.6.1", "3.1.20", "3.7.5", "3.1.11")
def test_deprecated_versions_in_lists(api, secrets):
    made = secrets.make("1")
    second = api.call(PUT, SecretId=made["Name"], SecretString="2")["VersionId"]
    third = api.call(PUT, SecretId=made["Name"], SecretString="3")["VersionId"]
    for params in ({}, {"IncludeDeprecated": False}):
        listed = versions(api, made, **params)
        assert {v: e["VersionStages"] for v, e in listed.items()} == {second: ["AWSPREVIOUS"], third: ["AWSCURRENT"]}
    listed = versions(api, made, IncludeDeprecated=True)
    assert listed.keys() == {made["VersionId"], second, third}
    assert "VersionStages" not in listed[made["VersionId"]]
    assert describe(api, made)["VersionIdsToStages"].keys() == {second, third}


@rule("3.6.2")
def test_versions_of_a_secret_without_a_value(api, secrets):
    made = secrets.make(None)
    assert api.call("ListSecretVersionIds", SecretId=made["Name"]) == {"ARN": made["ARN"], "Name": made["Name"], "Versions": []}


@rule("3.6.4", "1.12.1", "2.3.25")
def test_versions_in_pages(api, secrets):
    made = secrets.make("0")
    every = [made["VersionId"]] + [api.call(PUT, SecretId=made["Name"], SecretString=str(i), VersionStages=[f"l{i}"])["VersionId"]
                                   for i in range(6)]
    for size in (1, 3, 7, 100):
        seen, token = [], None
        while True:
            page = api.call("ListSecretVersionIds", SecretId=made["Name"], MaxResults=size, NextToken=token)
            assert (page["ARN"], page["Name"]) == (made["ARN"], made["Name"]) and len(page["Versions"]) <= size
            seen += [entry["VersionId"] for entry in page["Versions"]]
            token = page.get("NextToken")
            if token is None:
                break
        assert sorted(seen) == sorted(every)


@rule("3.6.5")
def test_creation_dates_of_versions(api, secrets):
    made = secrets.make("1")
    time.sleep(0.01)
    second = api.call(PUT, SecretId=made["Name"], SecretString="2")["VersionId"]
    listed = versions(api, made)
    assert listed[second]["CreatedDate"] > listed[made["VersionId"]]["CreatedDate"]
    assert listed[second]["CreatedDate"] == api.call("GetSecretValue", SecretId=made["Name"])["CreatedDate"]


@rule("2.3.46")
def test_bounds_of_answers(api, secrets):
    made = secrets.make("v")
    assert 20 <= len(made["ARN"]) <= 2048 and 1 <= len(made["Name"]) <= 512
    assert len(api.call("GetRandomPassword", PasswordLength=4096)["RandomPassword"]) == 4096


# -- 3.8 --

@rule("3.8.1", "3.8.2", "3.8.5", "3.1.9")
@pytest.mark.parametrize("params,days", [({}, 30), ({"RecoveryWindowInDays": 7}, 7), ({"RecoveryWindowInDays": 30}, 30),
                                         ({"RecoveryWindowInDays": 8, "ForceDeleteWithoutRecovery": False}, 8)])
def test_delete_with_a_window(api, secrets, params, days):
    made = secrets.make("v")
    answer = api.call("DeleteSecret", SecretId=made["Name"], **params)
    assert answer.keys() == {"ARN", "Name", "DeletionDate"}
    assert (answer["ARN"], answer["Name"]) == (made["ARN"], made["Name"])
    assert abs(answer["DeletionDate"] - time.time() - days * DAY) < 900
    assert abs(describe(api, made)["DeletedDate"] - answer["DeletionDate"]) < 1


@rule("3.8.6", "3.0.11")
def test_delete_by_force(target, api, secrets):
    made = secrets.make("v")
    answer = api.call("DeleteSecret", SecretId=made["ARN"], ForceDeleteWithoutRecovery=True)
    assert answer.keys() == {"ARN", "Name", "DeletionDate"} and answer["ARN"] == made["ARN"]
    assert abs(answer["DeletionDate"] - time.time()) < 900

    def gone():
        try:
            describe(api, made)
            return False
        except ApiError as error:
            return (error.code, error.message) == MISSING
    eventually(gone, target.patience, "the deletion")


@rule("3.8.7")
def test_delete_by_force_of_nothing(api, secrets):
    name = secrets.name()
    answer = api.call("DeleteSecret", SecretId=name, ForceDeleteWithoutRecovery=True)
    assert answer.keys() == {"ARN", "Name", "DeletionDate"}
    assert answer["Name"] == name and f":secret:{name}" in answer["ARN"]
    assert abs(answer["DeletionDate"] - time.time()) < 900
    api.refused_as("DescribeSecret", MISSING, SecretId=name)


@rule("3.0.14", "3.8.8")
def test_delete_by_force_of_a_scheduled_secret(api, secrets):
    made = secrets.make("v")
    api.call("DeleteSecret", SecretId=made["Name"])
    answer = api.call("DeleteSecret", SecretId=made["Name"], ForceDeleteWithoutRecovery=True)
    assert answer["ARN"] == made["ARN"] and abs(answer["DeletionDate"] - time.time()) < 900


@rule("3.0.13", "3.8.13", "3.1.9")
def test_restore(api, secrets):
    made = secrets.make("v", Description="d", Tags=[{"Key": "k", "Value": "v"}])
    api.call("PutSecretValue", SecretId=made["Name"], SecretString="w", VersionStages=["mine"])
    before = describe(api, made)
    api.call("DeleteSecret", SecretId=made["Name"], RecoveryWindowInDays=7)
    assert "DeletedDate" in describe(api, made)
    assert api.call("RestoreSecret", SecretId=made["Name"]) == {"ARN": made["ARN"], "Name": made["Name"]}
    after = describe(api, made)
    for fields in (before, after):
        fields.pop("LastChangedDate")
    assert after == before
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "v"


@rule("3.8.13")
def test_restore_of_what_is_not_scheduled(api, secrets):
    """Success or InvalidRequestException: not recorded. Nothing may change either way."""
    made = secrets.make("v")
    before = describe(api, made)
    try:
        assert api.call("RestoreSecret", SecretId=made["Name"]) == {"ARN": made["ARN"], "Name": made["Name"]}
    except ApiError as error:
        assert error.code == IR
    after = describe(api, made)
    assert "DeletedDate" not in after and after["VersionIdsToStages"] == before["VersionIdsToStages"]
