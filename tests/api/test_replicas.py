"""Replication between two real regions, and what a replica answers to each operation (4)."""
import pytest

import template
from marks import case, provokes, rule
from members import OPERATIONS, POLICY, example
from raw import ANY, ApiError, new_token
from target import eventually
from texts import BAD_REGION, IP, IR, MARKED, MISSING, ON_REPLICA, RE, REPLICATED, has_replicas, name_taken

DEFAULT_KEY = "alias/aws/secretsmanager"


def describe(api, made):
    return api.call("DescribeSecret", SecretId=made["ARN"])


def there(made, region, replica):
    """The replica's ARN."""
    return made["ARN"].replace(f":{region}:", f":{replica}:")


def rows(api, made):
    return {row["Region"]: row for row in describe(api, made).get("ReplicationStatus", [])}


def in_sync(target, api, made, *regions):
    return eventually(lambda: {r: row["Status"] for r, row in rows(api, made).items()} == dict.fromkeys(regions, "InSync")
                      and rows(api, made), target.patience, f"InSync in {regions}")


def failed(target, api, made, region):
    return eventually(lambda: rows(api, made)[region]["Status"] == "Failed" and rows(api, made)[region], target.patience, "the failure")


def gone(api, secret_id):
    try:
        api.call("DescribeSecret", SecretId=secret_id)
        return False
    except ApiError as error:
        assert (error.code, error.message) == MISSING
        return True


@pytest.fixture
def replica(replicas):
    return replicas[0]


@pytest.fixture
def far(target, replica):
    """The API of the replica's region."""
    return target.api(replica)


@pytest.fixture
def primary(target, api, secrets, replica):
    """A secret with a replica in sync."""
    made = secrets.make("v", Tags=[{"Key": "k", "Value": "v"}], Description="d", AddReplicaRegions=[{"Region": replica}])
    in_sync(target, api, made, replica)
    return made


# -- 4.1, 4.2, 4.3, 4.5 --

@rule("4.2.1", "3.2.3", "4.3.4", "4.3.7", "2.6.3")
def test_create_with_a_replica(target, api, secrets, replica):
    made = secrets.make("v", AddReplicaRegions=[{"Region": replica}])
    assert made.keys() == {"ARN", "Name", "VersionId", "ReplicationStatus"}
    assert made["ReplicationStatus"] == [{"Region": replica, "KmsKeyId": DEFAULT_KEY, "Status": "InProgress"}]
    in_sync(target, api, made, replica)


@rule("4.3.1", "4.3.4", "4.5.1", "4.5.2", "4.1.1", "4.1.2", "3.1.13", "3.1.14", "3.10.1")
def test_both_sides(target, api, far, secrets, replica, primary):
    token = new_token()
    api.call("PutSecretValue", SecretId=primary["Name"], SecretString="p", ClientRequestToken=token, VersionStages=["AWSPENDING", "mine"])
    row = in_sync(target, api, primary, replica)[replica]
    assert (row["StatusMessage"], row["KmsKeyId"]) == (REPLICATED, DEFAULT_KEY) and "LastAccessedDate" not in row
    here, copy = describe(api, primary), far.call("DescribeSecret", SecretId=primary["Name"])
    assert copy["ARN"] == there(primary, api.region, replica)
    assert here["PrimaryRegion"] == copy["PrimaryRegion"] == api.region
    assert "ReplicationStatus" not in copy
    for field in ("Name", "Description", "Tags"):
        assert copy[field] == here[field], field
    assert {v: set(s) for v, s in copy["VersionIdsToStages"].items()} == {v: set(s) for v, s in here["VersionIdsToStages"].items()}
    for side, arn in ((api, here["ARN"]), (far, copy["ARN"])):
        row = eventually(lambda: next((r for r in walk(side) if r["ARN"] == arn), None), target.patience, "the list")
        assert row["PrimaryRegion"] == api.region and "ReplicationStatus" not in row
    for which in ({}, {"VersionStage": "AWSPENDING"}, {"VersionId": token}):
        mine, theirs = (side.call("GetSecretValue", SecretId=primary["Name"], **which) for side in (api, far))
        assert (mine["SecretString"], mine["VersionId"]) == (theirs["SecretString"], theirs["VersionId"])


def walk(api, **params):
    token = None
    while True:
        page = api.call("ListSecrets", NextToken=token, **params)
        yield from page["SecretList"]
        token = page.get("NextToken")
        if token is None:
            return


@rule("4.1.4", "4.3.4")
def test_reads_count_where_they_are_made(target, api, far, replica, primary):
    far.call("GetSecretValue", SecretId=primary["Name"])
    eventually(lambda: "LastAccessedDate" in far.call("DescribeSecret", SecretId=primary["Name"]), target.patience, "the read there")
    assert "LastAccessedDate" not in describe(api, primary)
    api.call("UpdateSecret", SecretId=primary["Name"], Description="read there")  # when a read alone is told is not recorded
    eventually(lambda: "LastAccessedDate" in rows(api, primary)[replica], target.patience, "the read in the status")


@rule("4.1.7", "4.1.2")
def test_changes_arrive(target, api, far, replica, primary):
    name, account = primary["Name"], primary["ARN"].split(":")[4]
    api.call("PutSecretValue", SecretId=name, SecretBinary=b"\x00\xff")
    api.call("TagResource", SecretId=name, Tags=[{"Key": "new", "Value": "1"}])
    api.call("UntagResource", SecretId=name, TagKeys=["k"])
    api.call("UpdateSecret", SecretId=name, Description="changed")
    api.call("PutResourcePolicy", SecretId=name, ResourcePolicy=POLICY % f"arn:aws:iam::{account}:root")
    api.call("UpdateSecretVersionStage", SecretId=name, VersionStage="mine", MoveToVersionId=primary["VersionId"])
    in_sync(target, api, primary, replica)
    copy, here = far.call("DescribeSecret", SecretId=name), describe(api, primary)
    assert copy["Tags"] == [{"Key": "new", "Value": "1"}] and copy["Description"] == "changed"
    assert {v: set(s) for v, s in copy["VersionIdsToStages"].items()} == {v: set(s) for v, s in here["VersionIdsToStages"].items()}
    assert far.call("GetSecretValue", SecretId=name)["SecretBinary"] == "AP8="
    assert far.call("GetResourcePolicy", SecretId=name)["ResourcePolicy"] == api.call("GetResourcePolicy", SecretId=name)["ResourcePolicy"]
    api.call("DeleteResourcePolicy", SecretId=name)
    in_sync(target, api, primary, replica)
    assert "ResourcePolicy" not in far.call("GetResourcePolicy", SecretId=name)


@rule("4.1.3")
def test_rotation_is_shown_there(target, api, far, replica, primary):
    if target.function is None:
        pytest.skip("no rotation function: REDOUBT_API_FUNCTION is not set")
    token = api.call("RotateSecret", SecretId=primary["Name"], RotationLambdaARN=target.function,
                     RotationRules={"AutomaticallyAfterDays": 30})["VersionId"]
    if target.plays_functions:
        template.play(api, primary["ARN"], token)
    fields = ("RotationEnabled", "RotationLambdaARN", "RotationRules")

    def same():
        here, copy = describe(api, primary), far.call("DescribeSecret", SecretId=primary["Name"])
        return "LastRotatedDate" in copy and all(here[field] == copy.get(field) for field in (*fields, "LastRotatedDate"))
    eventually(same, target.patience, "the configuration there")
    in_sync(target, api, primary, replica)
    values = {side.call("GetSecretValue", SecretId=primary["Name"])["SecretString"] for side in (api, far)}
    assert len(values) == 1 and values != {"v"}


@rule("4.2.2", "4.4.5")
def test_replicate(target, api, far, secrets, replica):
    made = secrets.make("v")
    for _ in range(2):  # a region that is a replica already: a retry
        answer = api.call("ReplicateSecretToRegions", SecretId=made["Name"], AddReplicaRegions=[{"Region": replica}])
        assert answer.keys() == {"ARN", "ReplicationStatus"} and answer["ARN"] == made["ARN"]
        assert [row["Region"] for row in answer["ReplicationStatus"]] == [replica]
        in_sync(target, api, made, replica)
    assert far.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "v"


@rule("4.2.2", "4.2.3", "4.6.2", "1.3.11", "4.5.4", "3.1.13")
def test_two_replicas_come_and_go(target, api, secrets, two_replicas):
    one, two = two_replicas
    made = secrets.make("v", AddReplicaRegions=[{"Region": one}])
    answer = api.call("ReplicateSecretToRegions", SecretId=made["Name"], AddReplicaRegions=[{"Region": two}])
    assert {row["Region"] for row in answer["ReplicationStatus"]} == {one, two}
    in_sync(target, api, made, one, two)
    answer = api.call("RemoveRegionsFromReplication", SecretId=made["Name"], RemoveReplicaRegions=[one])
    assert answer.keys() == {"ARN", "ReplicationStatus"} and [row["Region"] for row in answer["ReplicationStatus"]] == [two]
    eventually(lambda: gone(target.api(one), made["Name"]), target.patience, "the removal")
    assert target.api(two).call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "v"
    # A region that is no replica is ignored.
    answer = api.call("RemoveRegionsFromReplication", SecretId=made["Name"], RemoveReplicaRegions=[one, two])
    assert answer["ReplicationStatus"] == []
    eventually(lambda: gone(target.api(two), made["Name"]), target.patience, "the removal")
    described = describe(api, made)
    assert "PrimaryRegion" not in described and described.get("ReplicationStatus", []) == []


@rule("4.1.6", "3.8.11", "2.4.17")
@provokes("DeleteSecret", IP)
def test_no_deletion_while_there_are_replicas(target, api, secrets, two_replicas):
    made = secrets.make("v", AddReplicaRegions=[{"Region": region} for region in two_replicas])
    in_sync(target, api, made, *two_replicas)
    for params in ({}, {"RecoveryWindowInDays": 7}, {"ForceDeleteWithoutRecovery": True}):
        error = api.refused("DeleteSecret", IP, ANY, SecretId=made["Name"], **params)
        assert (error.code, error.message) in [has_replicas(made["ARN"], order) for order in (two_replicas, two_replicas[::-1])]
    assert "DeletedDate" not in describe(api, made)


@rule("4.5.3", "3.10.primary-region.1")
def test_primary_region_filter(target, api, far, secrets, replica, primary):
    lonely = secrets.make("v", region=replica)

    def found(value):
        return {row["ARN"] for row in walk(far, Filters=[{"Key": "primary-region", "Values": [value]}])}
    copy = there(primary, api.region, replica)
    eventually(lambda: copy in found(api.region), target.patience, "the list")
    assert lonely["ARN"] not in found(api.region)
    assert copy in found(api.region[:4])  # a prefix
    assert copy not in found(api.region.upper())
    assert copy not in found("!" + api.region)


# -- 4.3, 4.4: what fails --

@rule("4.3.2", "4.3.5", "4.3.6")
def test_a_name_that_is_taken_there(target, api, far, secrets, replica):
    theirs = secrets.make("theirs", region=replica)
    made = secrets.make("ours", name=theirs["Name"], AddReplicaRegions=[{"Region": replica}])
    secrets.keep(made["Name"])
    assert made["ReplicationStatus"][0]["Status"] in ("InProgress", "Failed")  # the call itself succeeds
    row = failed(target, api, made, replica)
    assert row["StatusMessage"] in (f"Replication failed: Secret name {made['Name']} already exists in region {replica}.",
                                    "Secret with this name already exists in this region")
    assert far.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "theirs"
    api.call("ReplicateSecretToRegions", SecretId=made["Name"], AddReplicaRegions=[{"Region": replica}], ForceOverwriteReplicaSecret=True)
    in_sync(target, api, made, replica)
    assert far.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "ours"


@rule("4.3.5", "4.3.2")
def test_a_key_that_is_none_there(target, api, secrets, replica):
    made = secrets.make("v", AddReplicaRegions=[{"Region": replica, "KmsKeyId": "alias/redoubt-none"}])
    assert made["ReplicationStatus"][0]["KmsKeyId"] == "alias/redoubt-none"
    assert failed(target, api, made, replica)["StatusMessage"]


@rule("4.4.3")
@pytest.mark.parametrize("operation", [pytest.param(op, marks=provokes(op, IP)) for op in ("CreateSecret", "ReplicateSecretToRegions")])
def test_an_unknown_region(api, secrets, operation):
    params = {"AddReplicaRegions": [{"Region": "xx-nowhere-9"}]}
    if operation == "CreateSecret":
        api.refused(operation, IP, ANY, Name=secrets.name(), SecretString="x", **params)
    else:
        api.refused(operation, IP, ANY, SecretId=secrets.make("v")["Name"], **params)


@rule("4.4.4")
@pytest.mark.parametrize("operation", [pytest.param(op, marks=provokes(op, IP)) for op in ("CreateSecret", "ReplicateSecretToRegions")])
def test_a_region_twice(api, secrets, replica, operation):
    params = {"AddReplicaRegions": [{"Region": replica}] * 2}
    if operation == "CreateSecret":
        api.refused(operation, IP, ANY, Name=secrets.name(), SecretString="x", **params)
    else:
        api.refused(operation, IP, ANY, SecretId=secrets.make("v")["Name"], **params)


@rule("4.4.1")
@provokes("CreateSecret", IP)
def test_the_own_region(api, secrets, replica):
    api.refused_as("CreateSecret", BAD_REGION, Name=secrets.name(), SecretString="x",
                   AddReplicaRegions=[{"Region": replica}, {"Region": api.region}])


@rule("4.4.11")
@provokes("StopReplicationToReplica", IP)
def test_stop_on_a_primary(target, api, secrets, primary):
    """InvalidRequest or InvalidParameter: not recorded. Ours is the latter, as for the other operations that are not for this side."""
    for made in (primary, secrets.make("v")):
        with pytest.raises(ApiError) as caught:
            api.call("StopReplicationToReplica", SecretId=made["Name"])
        assert caught.value.code in ((IP,) if target.own else (IR, IP))


@rule("4.4.12")
@provokes("StopReplicationToReplica", IR)
def test_stop_of_a_scheduled_secret(api, secrets):
    made = secrets.make("v")
    api.call("DeleteSecret", SecretId=made["Name"])
    api.refused_as("StopReplicationToReplica", MARKED, SecretId=made["Name"])


# -- 4.4: each operation on a replica --

REFUSED, ALLOWED = "refused", "allowed"
ON_A_REPLICA = {  # operation: (what, rules)
    "BatchGetSecretValue": (ALLOWED, ["4.4.10"]),
    "CancelRotateSecret": (REFUSED, ["4.4.8"]),
    "CreateSecret": ("taken", ["3.2.10"]),
    "DeleteResourcePolicy": (REFUSED, ["4.4.8"]),
    "DeleteSecret": (REFUSED, ["4.4.7", "3.8.12"]),
    "DescribeSecret": (ALLOWED, ["4.4.10"]),
    "GetRandomPassword": (ALLOWED, ["3.11.10"]),
    "GetResourcePolicy": (ALLOWED, ["4.4.9"]),
    "GetSecretValue": (ALLOWED, ["4.4.10"]),
    "ListSecretVersionIds": (ALLOWED, ["4.4.10"]),
    "ListSecrets": (ALLOWED, ["4.4.10", "3.10.1"]),
    "PutResourcePolicy": (REFUSED, ["4.4.7"]),
    "PutSecretValue": (REFUSED, ["4.4.8"]),
    "RemoveRegionsFromReplication": (REFUSED, ["4.4.6"]),
    "ReplicateSecretToRegions": (REFUSED, ["4.4.6"]),
    "RestoreSecret": (REFUSED, ["4.4.8"]),
    "RotateSecret": (REFUSED, ["4.4.8", "3.14.1.11"]),
    "StopReplicationToReplica": ("promotes", ["4.2.4"]),
    "TagResource": (REFUSED, ["4.4.8"]),
    "UntagResource": (REFUSED, ["4.4.8"]),
    "UpdateSecret": (REFUSED, ["4.4.8"]),
    "UpdateSecretVersionStage": (REFUSED, ["4.4.8"]),
    "ValidateResourcePolicy": (ALLOWED, []),
}
assert ON_A_REPLICA.keys() == OPERATIONS.keys()


@pytest.fixture(scope="module")
def copied(target):
    """A replica for all rows that leave it as it is."""
    if not target.replicas:
        pytest.skip("no second region: REDOUBT_API_REPLICAS is not set")
    from conftest import Secrets
    made = Secrets(target)
    secret = made.make("v", Tags=[{"Key": "k", "Value": "v"}], Description="d", AddReplicaRegions=[{"Region": target.replicas[0]}])
    in_sync(target, target.api(), secret, target.replicas[0])
    yield secret
    made.close()


@pytest.mark.parametrize("operation", [
    case(op, rules=[*ids, "2.4.16"] if what == REFUSED else ids,
         errors=(op, IP) if what == REFUSED else (op, RE) if what == "taken" else None, id=op)
    for op, (what, ids) in ON_A_REPLICA.items() if op != "StopReplicationToReplica"])
def test_on_a_replica(target, api, copied, operation):
    replica = target.replicas[0]
    far = target.api(replica)
    what = ON_A_REPLICA[operation][0]
    before = far.call("DescribeSecret", SecretId=copied["Name"])
    # With all that a call may hold: the replica is the reason, not a missing parameter.
    params = {"RotateSecret": {"RotationRules": {"AutomaticallyAfterDays": 1}, "RotationLambdaARN": target.function or "arn:aws:x"},
              "UpdateSecretVersionStage": {"MoveToVersionId": copied["VersionId"], "RemoveFromVersionId": None}}.get(operation, {})
    for secret_id in (copied["Name"], there(copied, api.region, replica)):
        if operation == "CreateSecret" and secret_id.startswith("arn:"):
            continue
        asked = {**example(operation, secret_id, api.region, copied["ARN"].split(":")[4]), **params}
        if what == ALLOWED:
            far.call(operation, **asked)
        else:
            far.refused_as(operation, ON_REPLICA if what == REFUSED else name_taken(copied["Name"]), **asked)
    after = far.call("DescribeSecret", SecretId=copied["Name"])
    after.pop("LastAccessedDate", None), before.pop("LastAccessedDate", None)
    assert after == before


@pytest.mark.parametrize("change", [
    case({"Description": "x"}, rules="4.4.8", errors=("UpdateSecret", IP)),
    case({"SecretString": "x", "KmsKeyId": DEFAULT_KEY}, rules="4.4.8", errors=("UpdateSecret", IP))])
def test_update_on_a_replica(target, copied, change):
    target.api(target.replicas[0]).refused_as("UpdateSecret", ON_REPLICA, SecretId=copied["Name"], **change)


@pytest.mark.parametrize("params", [
    case({"RecoveryWindowInDays": 7}, rules=("4.4.7", "3.8.12"), errors=("DeleteSecret", IP)),
    case({"ForceDeleteWithoutRecovery": True}, rules=("4.4.7", "3.8.12"), errors=("DeleteSecret", IP))])
def test_delete_on_a_replica(target, copied, params):
    target.api(target.replicas[0]).refused_as("DeleteSecret", ON_REPLICA, SecretId=copied["Name"], **params)


@rule("4.1.5")
def test_the_key_of_a_replica(target, api, far, replica, primary):
    """The one change that a replica takes."""
    answer = far.call("UpdateSecret", SecretId=primary["Name"], KmsKeyId=DEFAULT_KEY)
    assert answer == {"ARN": there(primary, api.region, replica), "Name": primary["Name"]}
    if target.own:  # each of our own regions has a key under this alias
        far.call("UpdateSecret", SecretId=primary["Name"], KmsKeyId=target.kms_key)
        assert far.call("DescribeSecret", SecretId=primary["Name"])["KmsKeyId"] == target.kms_key
        assert "KmsKeyId" not in describe(api, primary)
        api.call("PutSecretValue", SecretId=primary["Name"], SecretString="w")
        in_sync(target, api, primary, replica)
        assert far.call("GetSecretValue", SecretId=primary["Name"])["SecretString"] == "w"
        listed = far.call("ListSecretVersionIds", SecretId=primary["Name"])["Versions"]
        (keys,) = [entry["KmsKeyIds"] for entry in listed if "AWSCURRENT" in entry["VersionStages"]]
        assert "DefaultEncryptionKey" not in keys
    assert far.call("GetSecretValue", SecretId=primary["Name"], VersionId=primary["VersionId"])["SecretString"] == "v"


# -- 4.6 --

@rule("4.2.4", "4.2.5", "4.6.1", "4.5.4")
@pytest.mark.parametrize("form", ["name", "replica's ARN", "primary's ARN"])
def test_promotion(target, api, far, secrets, replica, primary, form):
    name = primary["Name"]
    secrets.keep(name, replica)
    account = primary["ARN"].split(":")[4]
    policy = POLICY % f"arn:aws:iam::{account}:root"
    api.call("PutResourcePolicy", SecretId=name, ResourcePolicy=policy)
    in_sync(target, api, primary, replica)
    before = far.call("DescribeSecret", SecretId=name)
    arn = there(primary, api.region, replica)
    answer = far.call("StopReplicationToReplica", SecretId={"name": name, "replica's ARN": arn, "primary's ARN": primary["ARN"]}[form])
    assert answer == {"ARN": arn}
    after = far.call("DescribeSecret", SecretId=name)
    assert before.pop("PrimaryRegion") == api.region
    for fields in (before, after):
        fields.pop("LastChangedDate")
    assert after == before
    assert far.call("GetResourcePolicy", SecretId=name)["ResourcePolicy"] == api.call("GetResourcePolicy", SecretId=name)["ResourcePolicy"]
    far.call("PutSecretValue", SecretId=name, SecretString="its own")
    api.call("PutSecretValue", SecretId=name, SecretString="the old primary's")
    assert far.call("GetSecretValue", SecretId=name)["SecretString"] == "its own"
    eventually(lambda: not rows(api, primary), target.patience, "the primary forgets the region")
    assert "PrimaryRegion" not in describe(api, primary)
    assert far.call("GetSecretValue", SecretId=name)["SecretString"] == "its own"


@rule("4.6.3")
def test_replicating_to_what_was_promoted(target, api, far, secrets, replica, primary):
    name = primary["Name"]
    secrets.keep(name, replica)
    far.call("StopReplicationToReplica", SecretId=name)
    eventually(lambda: not rows(api, primary), target.patience, "the primary forgets the region")
    api.call("ReplicateSecretToRegions", SecretId=name, AddReplicaRegions=[{"Region": replica}])
    failed(target, api, primary, replica)
    assert "PrimaryRegion" not in far.call("DescribeSecret", SecretId=name)
    api.call("ReplicateSecretToRegions", SecretId=name, AddReplicaRegions=[{"Region": replica}], ForceOverwriteReplicaSecret=True)
    in_sync(target, api, primary, replica)
    assert far.call("DescribeSecret", SecretId=name)["PrimaryRegion"] == api.region
