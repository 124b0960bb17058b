"""Checks of parameters before anything else: the front end's constraints (2.1, 2.3), names (2.2), the service's sentences (2.4).

The front end judges before it looks for the secret, so most rows here work on a name that nobody has: a value that passes ends in
"not found", one that does not in the violation.
"""
import json
import re

import pytest

from marks import case, provokes, rule
from members import MEMBERS, OPERATIONS, REQUIRED, WITH_SECRET_ID, example
from raw import ApiError, blob, new_token
from texts import (ALL_EXCLUDED, BAD_KEY, BAD_NAME, BAD_REGION, BOTH_VALUES, CURRENT_REMOVED, DAYS_AND_SCHEDULE, IP, NO_ROTATION_TOKEN,
                   NO_TOKEN, NO_VALUE, PASSWORD_SHORT, SE, TYPE_EXCLUDED, VE, WINDOW, WINDOW_AND_FORCE, above, below, filter_values_missing,
                   FILTER_KEY_MISSING, longer, null, remove_from_needed, shorter, system_tag, violation)

TOKEN = "0123456789abcdef" * 2  # 32 characters
REGION_PATTERN = r"^([a-z]+-)+\d+$"


def outcome(api, operation, params):
    """The error, or None."""
    try:
        api.call(operation, **params)
        return None
    except ApiError as error:
        return error


def passes_the_front_end(api, operation, params):
    error = outcome(api, operation, params)
    assert error is None or error.code not in (VE, SE), f"{operation} {error}"
    return error


def path_of(member):
    return member[0].lower() + member[1:]


# -- 2.5: required members --

REQUIRED_CASES = [(op, member) for op in sorted(REQUIRED) for member in REQUIRED[op]]


@rule("2.5.1", "2.1.3")
@pytest.mark.parametrize("operation,member", REQUIRED_CASES)
def test_required_members(api, secrets, operation, member):
    for absent in ("out", "null"):
        params = {**example(operation, secrets.name()), "ClientRequestToken": None}
        if operation in ("CreateSecret", "PutSecretValue", "UpdateSecret", "RotateSecret"):
            params["ClientRequestToken"] = new_token()
        params.pop(member)
        text = f'"{member}":null' if absent == "null" else ""
        body = json.dumps({k: v for k, v in params.items() if v is not None})
        body = body[:-1] + (", " if len(body) > 2 and text else "") + text + "}"
        with pytest.raises(ApiError) as caught:
            api.call_body(operation, body.encode())
        assert (caught.value.code, caught.value.message) == violation(null(path_of(member)))


@rule("2.1.2", "2.5.1")
@pytest.mark.parametrize("operation", [op for op in sorted(REQUIRED) if len(REQUIRED[op]) > 1])
def test_all_required_members_are_told(api, operation):
    error = outcome(api, operation, {m: None for m in REQUIRED[operation]})
    assert error.code == VE
    header, _, rest = error.message.partition(": ")
    assert header == f"{len(REQUIRED[operation])} validation errors detected"
    assert sorted(rest.split("; ")) == sorted(violation(null(path_of(m)))[1].partition(": ")[2] for m in REQUIRED[operation])


# -- 2.3: bounds. (operation, member, value, the violation) --

def long(n):
    return "x" * n


S = "SecretId"
WRONG = [
    case("DescribeSecret", {S: ""}, [shorter("secretId", "", 1)], rules=("2.3.1", "2.1.5", "2.2.8")),
    case("DescribeSecret", {S: long(2049)}, [("secretId", "'x*'", "Member must have length less than or equal to 2048")],
         rules=("2.3.1", "2.1.4", "2.2.8")),
    case("CreateSecret", {"Name": ""}, [shorter("name", "", 1)], rules=("2.3.2", "2.2.8")),
    case("CreateSecret", {"Name": long(513)}, [("name", "'x*'", "Member must have length less than or equal to 512")],
         rules=("2.3.2", "2.2.8")),
    *[case(op, {"ClientRequestToken": long(n)}, [check("clientRequestToken", long(n), bound)], rules="2.3.3")
      for op in ("CreateSecret", "PutSecretValue", "UpdateSecret", "RotateSecret")
      for n, check, bound in ((31, shorter, 32), (65, longer, 64))],
    *[case("GetSecretValue", {"VersionId": long(n)}, [check("versionId", long(n), bound)], rules="2.3.4")
      for n, check, bound in ((1, shorter, 32), (31, shorter, 32), (65, longer, 64))],
    *[case("UpdateSecretVersionStage", {m: long(n)}, [check(path_of(m), long(n), bound)], rules="2.3.5")
      for m in ("MoveToVersionId", "RemoveFromVersionId") for n, check, bound in ((31, shorter, 32), (65, longer, 64))],
    *[case(op, {"VersionStage": long(n)}, [check("versionStage", long(n), bound)], rules="2.3.6")
      for op in ("GetSecretValue", "UpdateSecretVersionStage") for n, check, bound in ((0, shorter, 1), (257, longer, 256))],
    case("PutSecretValue", {"VersionStages": []}, [("versionStages", "'[]'", "Member must have length greater than or equal to 1")],
         rules="2.3.7"),
    case("PutSecretValue", {"VersionStages": [f"l{i}" for i in range(21)]},
         [("versionStages", "*", "Member must have length less than or equal to 20")], rules="2.3.7"),
    case("PutSecretValue", {"VersionStages": ["ok", ""]},
         [("versionStages", "'[ok, ]'", "Member must satisfy constraint: [Member must have length less than or equal to 256, Member must "
           "have length greater than or equal to 1]")], rules=("2.3.7", "2.1.10")),
    case("PutSecretValue", {"VersionStages": [long(257)]}, [("versionStages", "*", "Member must satisfy constraint: [*]")],
         rules=("2.3.7", "2.1.10")),
    *[case(op, {"Description": long(2049)}, [("description", "'x*'", "Member must have length less than or equal to 2048")],
           rules=("2.3.8", "2.1.4")) for op in ("CreateSecret", "UpdateSecret")],
    *[case(op, {"KmsKeyId": long(2049)}, [("kmsKeyId", "'x*'", "Member must have length less than or equal to 2048")], rules="2.3.9")
      for op in ("CreateSecret", "UpdateSecret")],
    case("ReplicateSecretToRegions", {"AddReplicaRegions": [{"Region": "us-west-2", "KmsKeyId": long(2049)}]},
         [("addReplicaRegions.1.member.kmsKeyId", "'x*'", "Member must have length less than or equal to 2048")],
         rules=("2.3.9", "2.1.9")),
    *[case(op, {"SecretString": long(65537)}, [longer("secretString", None, 65536)], rules=("2.3.10", "2.1.11", "2.1.13"))
      for op in ("CreateSecret", "PutSecretValue", "UpdateSecret")],
    *[case(op, {"SecretString": ""}, [shorter("secretString", None, 1)], rules=("2.3.10", "2.1.11", "9.6"))
      for op in ("CreateSecret", "PutSecretValue", "UpdateSecret")],
    *[case(op, {"SecretString": None, "SecretBinary": blob(b"x" * 65537)}, [longer("secretBinary", None, 65536)],
           rules=("2.3.11", "2.1.12", "2.1.13")) for op in ("CreateSecret", "PutSecretValue", "UpdateSecret")],
    *[case(op, {"SecretString": None, "SecretBinary": ""}, [shorter("secretBinary", None, 1)], rules=("2.3.11", "9.6"))
      for op in ("CreateSecret", "PutSecretValue", "UpdateSecret")],
    *[case(op, {"Tags": [{"Key": "a", "Value": ""}, {"Key": key, "Value": "v"}]}, [check("tags.2.member.key", key, bound)],
           rules=("2.3.13", "2.1.9"))
      for op in ("CreateSecret", "TagResource") for key, check, bound in (("", shorter, 1), (long(129), longer, 128))],
    *[case(op, {"Tags": [{"Key": "a", "Value": long(257)}]}, [longer("tags.1.member.value", long(257), 256)], rules="2.3.14")
      for op in ("CreateSecret", "TagResource")],
    case("UntagResource", {"TagKeys": [""]}, [("tagKeys", "'[]'", "Member must satisfy constraint: [*]")], rules=("2.3.15", "2.1.10")),
    case("UntagResource", {"TagKeys": [long(129)]}, [("tagKeys", "*", "Member must satisfy constraint: [*]")],
         rules=("2.3.15", "2.1.10")),
    *[case(op, {"AddReplicaRegions": []}, [("addReplicaRegions", "*", "Member must have length greater than or equal to 1")],
           rules="2.3.16") for op in ("CreateSecret", "ReplicateSecretToRegions")],
    *[case(op, {"AddReplicaRegions": [{"Region": region}]},
           [("addReplicaRegions.1.member.region", f"'{region}'",
             f"Member must satisfy regular expression pattern: {REGION_PATTERN}")], rules=("2.3.17", "2.1.7", "4.4.2"))
      for op in ("CreateSecret", "ReplicateSecretToRegions") for region in ("nowhere", "US-EAST-1", "us-east-1 ", "us_east_1")],
    case("ReplicateSecretToRegions", {"AddReplicaRegions": [{"Region": long(127) + "-1"}]},
         [longer("addReplicaRegions.1.member.region", long(127) + "-1", 128)], rules="2.3.17"),
    case("RemoveRegionsFromReplication", {"RemoveReplicaRegions": []},
         [("removeReplicaRegions", "'[]'", "Member must have length greater than or equal to 1")], rules="2.3.18"),
    case("RemoveRegionsFromReplication", {"RemoveReplicaRegions": ["us-west-2", "nowhere"]},
         [("removeReplicaRegions", "'[us-west-2, nowhere]'", "Member must satisfy constraint: [*]")], rules=("2.3.18", "2.1.10")),
    *[case("GetRandomPassword", {"PasswordLength": n}, [check("passwordLength", n, bound)], rules=("2.3.22", "2.1.6", "3.11.1"))
      for n, check, bound in ((0, below, 1), (-5, below, 1), (4097, above, 4096), (5555, above, 4096))],
    case("GetRandomPassword", {"ExcludeCharacters": long(4097)},
         [("excludeCharacters", "'x*'", "Member must have length less than or equal to 4096")], rules="2.3.23"),
    *[case(op, {"MaxResults": n}, [check("maxResults", n, bound)], rules=("2.3.25", "2.1.6"))
      for op in ("ListSecrets", "ListSecretVersionIds") for n, check, bound in ((0, below, 1), (101, above, 100))],
    *[case("BatchGetSecretValue", {"SecretIdList": None, "Filters": [{"Key": "name", "Values": ["a"]}], "MaxResults": n},
           [check("maxResults", n, bound)], rules="2.3.26") for n, check, bound in ((0, below, 1), (21, above, 20))],
    *[case(op, {"NextToken": t}, [check], rules="2.3.27")
      for op in ("ListSecrets", "ListSecretVersionIds", "BatchGetSecretValue")
      for t, check in (("", shorter("nextToken", "", 1)),
                       (long(4097), ("nextToken", "'x*'", "Member must have length less than or equal to 4096")))],
    *[case(op, {"SecretIdList": None, "Filters": [{"Key": "name", "Values": ["a"]}] * 11},
           [("filters", "*", "Member must have length less than or equal to 10")], rules="2.3.28")
      for op in ("ListSecrets", "BatchGetSecretValue")],
    *[case(op, {"SecretIdList": None, "Filters": [{"Key": "invalid", "Values": ["a"]}]},
           [("filters.1.member.key", "'invalid'", "Member must satisfy enum value set: [*]")],
           rules=("2.3.29", "2.1.8", "2.1.9", "3.10.12")) for op in ("ListSecrets", "BatchGetSecretValue")],
    case("ListSecrets", {"Filters": [{"Key": "name", "Values": []}]},
         [("filters.1.member.values", "'[]'", "Member must have length greater than or equal to 1")], rules="2.3.30"),
    case("ListSecrets", {"Filters": [{"Key": "name", "Values": ["a"] * 11}]},
         [("filters.1.member.values", "*", "Member must have length less than or equal to 10")], rules="2.3.30"),
    *[case("ListSecrets", {"Filters": [{"Key": "name", "Values": [value]}]},
           [("filters.1.member.values", "*", "Member must satisfy constraint: [*]")], rules=("2.3.30", "2.1.10"))
      for value in (long(513), "a#b", "a,b", "é", "a\nb")],
    case("ListSecrets", {"SortOrder": "down"}, [("sortOrder", "'down'", "Member must satisfy enum value set: [*]")],
         rules=("2.3.31", "2.1.8")),
    case("ListSecrets", {"SortBy": "size"}, [("sortBy", "'size'", "Member must satisfy enum value set: [*]")], rules=("2.3.32", "9.12")),
    *[case(op, {"ResourcePolicy": policy}, [check], rules="2.3.34")
      for op in ("PutResourcePolicy", "ValidateResourcePolicy")
      for policy, check in (("", shorter("resourcePolicy", "", 1)),
                            (long(20481), ("resourcePolicy", "'x*'", "Member must have length less than or equal to 20480")))],
    case("RotateSecret", {"RotationLambdaARN": long(2049)},
         [("rotationLambdaARN", "'x*'", "Member must have length less than or equal to 2048")], rules="2.3.36"),
    *[case("RotateSecret", {"RotationRules": {"AutomaticallyAfterDays": n}}, [check("rotationRules.automaticallyAfterDays", n, bound)],
           rules=("2.3.37", "3.14.1.8", "2.1.6")) for n, check, bound in ((0, below, 1), (1001, above, 1000))],
    case("RotateSecret", {"RotationRules": {"Duration": "1"}}, "rotationRules.duration", rules=("2.3.38", "9.7")),
    case("RotateSecret", {"RotationRules": {"Duration": "100h"}}, "rotationRules.duration", rules=("2.3.38", "9.7")),
    case("RotateSecret", {"RotationRules": {"Duration": "hh"}},
         [("rotationRules.duration", "'hh'", "Member must satisfy regular expression pattern: [0-9]+h")],
         rules=("2.3.38", "9.7", "2.1.7")),
    case("RotateSecret", {"RotationRules": {"Duration": "3h", "ScheduleExpression": ""}}, "rotationRules.scheduleExpression",
         rules="2.3.39"),
    case("RotateSecret", {"RotationRules": {"ScheduleExpression": long(257)}}, "rotationRules.scheduleExpression", rules="2.3.39"),
    case("RotateSecret", {"RotationRules": {"ScheduleExpression": "rate(10_days)"}},
         [("rotationRules.scheduleExpression", "'rate(10_days)'", "Member must satisfy regular expression pattern: *")],
         rules=("2.3.39", "2.1.7", "9.1")),
    case("BatchGetSecretValue", {"SecretIdList": []}, "secretIdList", rules="2.3.41"),
    case("BatchGetSecretValue", {"SecretIdList": [f"s{i}" for i in range(21)]}, "secretIdList", rules=("2.3.41", "3.13.1")),
    case("BatchGetSecretValue", {"SecretIdList": [""]}, "secretIdList", rules="2.3.41"),
    case("PutSecretValue", {"RotationToken": "z" * 35}, [shorter("rotationToken", None, 36)], rules=("2.3.42", "2.1.13", "9.9")),
    case("PutSecretValue", {"RotationToken": "z" * 257}, [longer("rotationToken", None, 256)], rules=("2.3.42", "2.1.13")),
    case("PutSecretValue", {"RotationToken": "z_" * 20},
         [("rotationToken", None, "Member must satisfy regular expression pattern: *")], rules=("2.3.42", "2.1.13")),
    *[case(op, {"Type": long(257)}, [longer("type", long(257), 256)], rules=("2.3.43", "9.11")) for op in ("CreateSecret", "UpdateSecret")],
    case("RotateSecret", {"ExternalSecretRotationRoleArn": long(19)}, [shorter("externalSecretRotationRoleArn", long(19), 20)],
         rules=("2.3.44", "9.11")),
    case("RotateSecret", {"ExternalSecretRotationRoleArn": long(2049)}, "externalSecretRotationRoleArn", rules=("2.3.44", "9.11")),
    *[case("RotateSecret", {"ExternalSecretRotationMetadata": [{"Key": key, "Value": value}]}, where, rules=("2.3.45", "9.11"))
      for key, value, where in (("", "v", "externalSecretRotationMetadata.1.member.key"),
                                (long(257), "v", "externalSecretRotationMetadata.1.member.key"),
                                ("k", "", "externalSecretRotationMetadata.1.member.value"),
                                ("k", long(2049), "externalSecretRotationMetadata.1.member.value"))],
]


def expected_text(violations):
    """A pattern. `*` stands for anything in a constraint whose order is the service's own, in a value that is too long to print whole,
    and for a value as a whole: how a list of structures is printed is not recorded."""
    _, text = violation(*violations)
    return re.compile(re.escape(text).replace(r"Value\ \*\ at", "Value.* at").replace(r"\*", ".*"), re.S)


@pytest.mark.parametrize("operation,change,expected", WRONG)
def test_bounds(api, secrets, operation, change, expected):
    """`expected`: the violations, or the path at which there is one."""
    params = {**example(operation, secrets.name()), **change}
    error = outcome(api, operation, params)
    assert error is not None and error.code == VE, f"{operation} {change}: {error}"
    if isinstance(expected, str):
        form = rf"\d validation errors? detected: Value.* at '{re.escape(expected)}' failed to satisfy constraint: Member must .*"
        assert re.fullmatch(form, error.message, re.S), error.message
    else:
        assert expected_text(expected).fullmatch(error.message), f"{error.message}\nis not\n{violation(*expected)[1]}"
    sent = {**params}
    for hidden in ("SecretString", "SecretBinary", "RotationToken"):
        if hidden in change and change[hidden]:
            assert sent[hidden][:8] not in error.message  # never echoed (2.1.13)


RIGHT = [
    case("DescribeSecret", {S: long(2048)}, rules=("2.3.1", "2.2.8")),
    case("GetSecretValue", {"VersionId": TOKEN}, rules="2.3.4"),
    case("GetSecretValue", {"VersionId": TOKEN * 2}, rules="2.3.4"),
    case("GetSecretValue", {"VersionStage": long(256)}, rules="2.3.6"),
    case("PutSecretValue", {"ClientRequestToken": TOKEN * 2, "VersionStages": [f"l{i}" for i in range(20)]}, rules=("2.3.3", "2.3.7")),
    case("UpdateSecretVersionStage", {"MoveToVersionId": TOKEN, "RemoveFromVersionId": TOKEN * 2, "VersionStage": long(256)},
         rules=("2.3.5", "2.3.6")),
    case("UpdateSecret", {"Description": long(2048), "SecretString": long(65536)}, rules=("2.3.8", "2.3.10")),
    case("PutSecretValue", {"SecretString": None, "SecretBinary": blob(b"x" * 65536)}, rules="2.3.11"),
    case("TagResource", {"Tags": [{"Key": long(128), "Value": long(256)}, {"Key": "e", "Value": ""}]}, rules=("2.3.13", "2.3.14")),
    case("UntagResource", {"TagKeys": [long(128)]}, rules="2.3.15"),
    case("ListSecrets", {"MaxResults": 1, "SortOrder": "asc"}, rules=("2.3.25", "2.3.31")),
    case("ListSecrets", {"MaxResults": 100, "SortOrder": "desc"}, rules=("2.3.25", "2.3.31")),
    *[case("ListSecrets", {"SortBy": by}, rules=("2.3.32", "9.12"))
      for by in ("created-date", "last-accessed-date", "last-changed-date", "name")],
    *[case("ListSecrets", {"Filters": [{"Key": key, "Values": ["a"]}]}, rules=("2.3.29", "9.3"))
      for key in ("description", "name", "tag-key", "tag-value", "primary-region", "owning-service", "all")],
    case("ListSecrets", {"Filters": [{"Key": "name", "Values": ["!a!b", "A9 :_@/+=.-", "", long(512)]}]}, rules=("2.3.30", "9.3")),
    case("ListSecrets", {"Filters": [{"Key": "name", "Values": ["a"] * 10}] * 10}, rules=("2.3.28", "2.3.30")),
    case("ListSecrets", {"NextToken": long(4096)}, rules="2.3.27"),
    case("RotateSecret", {"RotationLambdaARN": long(2048)}, rules="2.3.36"),
    *[case("RotateSecret", {"RotationRules": {"AutomaticallyAfterDays": n}}, rules="2.3.37") for n in (1, 1000)],
    case("RotateSecret", {"RotationRules": {"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"}},
         rules=("2.3.38", "2.3.39", "9.1")),
    case("RotateSecret", {"ExternalSecretRotationRoleArn": long(20), "ExternalSecretRotationMetadata": [{"Key": long(256),
         "Value": long(2048)}]}, rules=("2.3.44", "2.3.45", "9.11")),
    case("BatchGetSecretValue", {"SecretIdList": [f"redoubt-none-{i}" for i in range(20)]}, rules=("2.3.41", "3.13.1")),
    case("PutSecretValue", {"RotationToken": "a1-" * 12}, rules=("2.3.42", "9.9")),
    case("UpdateSecret", {"Type": long(256)}, rules=("2.3.43", "9.11")),
]


@pytest.mark.parametrize("operation,change", RIGHT)
def test_bounds_from_inside(api, secrets, operation, change):
    passes_the_front_end(api, operation, {**example(operation, secrets.name()), **change})


@rule("2.3.2", "2.3.3", "2.3.8", "2.3.10", "2.2.8")
def test_the_longest_secret(api, secrets):
    name = secrets.name()
    name += "n" * (512 - len(name))
    secrets.keep(name)
    made = api.call("CreateSecret", Name=name, SecretString="v" * 65536, Description="d" * 2048, ClientRequestToken="t" * 64)
    assert made["Name"] == name and made["VersionId"] == "t" * 64
    assert api.call("GetSecretValue", SecretId=made["ARN"])["SecretString"] == "v" * 65536
    assert api.call("DescribeSecret", SecretId=name)["Description"] == "d" * 2048


@rule("2.3.47", "2.3.10")
@pytest.mark.parametrize("operation", ["CreateSecret", "PutSecretValue", "UpdateSecret"])
def test_values_are_counted_in_bytes_too(api, secrets, operation):
    error = outcome(api, operation, {**example(operation, secrets.name()), "SecretString": "é" * 40000})
    assert error is not None and error.code in (VE, IP) and "é" not in error.message
    passes_the_front_end(api, operation, {**example(operation, secrets.name()), "SecretString": "é" * 32768})


@rule("2.6.1")
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_every_member_is_known(api, secrets, operation):
    """A member that is ignored would take a value of any type."""
    for member in MEMBERS[operation]:
        params = {**example(operation, secrets.name()), member: "text" if member == "RotationRules" else {"a": 1}}
        error = outcome(api, operation, params)
        assert error is not None and error.code == SE, f"{operation}.{member}: {error}"


WORDS = [
    case("CreateSecret", "ForceOverwriteReplicaSecret", rules="2.3.19"),
    case("ReplicateSecretToRegions", "ForceOverwriteReplicaSecret", rules="2.3.19"),
    case("DeleteSecret", "ForceDeleteWithoutRecovery", rules="2.3.21"),
    *[case("GetRandomPassword", flag, rules="2.3.24") for flag in (
        "ExcludeNumbers", "ExcludePunctuation", "ExcludeUppercase", "ExcludeLowercase", "IncludeSpace", "RequireEachIncludedType")],
    case("ListSecrets", "IncludePlannedDeletion", rules=("2.3.33", "9.5")),
    case("ListSecretVersionIds", "IncludeDeprecated", rules="2.3.33"),
    case("PutResourcePolicy", "BlockPublicPolicy", rules="2.3.35"),
    case("RotateSecret", "RotateImmediately", rules=("2.3.40", "9.1")),
]


@pytest.mark.parametrize("operation,member", WORDS)
def test_booleans(api, secrets, operation, member):
    for value in (1, "true", [True]):
        error = outcome(api, operation, {**example(operation, secrets.name()), member: value})
        assert error is not None and error.code == SE, f"{value!r}: {error}"
    passes_the_front_end(api, operation, {**example(operation, secrets.name()), member: False})


# -- 2.2: names --

BAD_NAMES = ["Inv Name", " Inv Name", " Inv*Name? ", " Inv *?!]Name\\-", "a:b", "a#b", "é", "a\n", "a,b", "a'b"]
RECORDED = ["CreateSecret", "DeleteSecret", "DescribeSecret", "GetSecretValue", "ListSecretVersionIds", "PutSecretValue", "TagResource",
            "UntagResource", "UpdateSecret", "ValidateResourcePolicy"]


@pytest.mark.parametrize("operation", [
    case(op, rules=("2.2.1", "2.2.2", "2.2.3", "3.2.13" if op == "CreateSecret" else "2.2.1", *(
        ["3.12.validate.4"] if op == "ValidateResourcePolicy" else [])) if op in RECORDED else ("2.2.1", "2.2.10"), id=op)
    for op in sorted(WITH_SECRET_ID + ["CreateSecret"])])
def test_bad_names(api, operation):
    for name in BAD_NAMES:
        error = outcome(api, operation, example(operation, name))
        assert error is not None and (error.code, error.message) == BAD_NAME, f"{name!r}: {error}"


@rule("2.2.4", "2.2.5", "2.2.9")
@pytest.mark.parametrize("form", ["Valid/_+=.@-Name{}", "Valid/_+=.@-Name{}-a1b2", "Valid/_+=.@-Name{}-a1b2c3-",
                                  "Valid/_+=.@-Name{}-a1b2c3", "/leading{}", "//leading{}", "{}/", "{}..", "0{}"])
def test_good_names(api, secrets, form):
    made = secrets.make("v", form)
    assert made["ARN"].split(":secret:")[1][:-7] == made["Name"]
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "v"
    assert api.call("GetSecretValue", SecretId=made["ARN"])["SecretString"] == "v"


@rule("2.2.5")
def test_the_whole_alphabet(api, secrets):
    alphabet = "".join(map(chr, range(33, 127)))
    unique = secrets.unique()
    for character in alphabet:
        error = outcome(api, "GetSecretValue", {"SecretId": f"{unique}{character}x"})
        legal = character.isalnum() or character in "/_+=.@-!"
        assert error.code == ("ResourceNotFoundException" if legal else VE), f"{character!r}: {error}"


@rule("2.2.6")
def test_names_of_services_cannot_be_made(api, secrets):
    error = outcome(api, "CreateSecret", {"Name": secrets.name("a!{}"), "SecretString": "x"})
    assert error is not None and error.code == VE


@rule("2.2.7")
def test_names_of_services_can_be_asked_for(api, secrets):
    error = outcome(api, "GetSecretValue", {"SecretId": f"rds!{secrets.unique()}"})
    assert error.code == "ResourceNotFoundException"


@rule("2.2.9", "3.0.1")
def test_names_are_case_sensitive(api, secrets):
    made = secrets.make("v", "Case{}")
    error = outcome(api, "GetSecretValue", {"SecretId": made["Name"].swapcase()})
    assert error.code == "ResourceNotFoundException"
    other = secrets.make("w", name=secrets.keep(made["Name"].swapcase()) or made["Name"].swapcase())
    assert other["ARN"] != made["ARN"]


# -- 2.4: the service's own sentences that need nothing but the request --

MISSING_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:none"
SENTENCES = [
    case("CreateSecret", {"ClientRequestToken": None}, NO_TOKEN, rules="2.4.1", errors=("CreateSecret", "InvalidRequestException")),
    case("PutSecretValue", {"ClientRequestToken": None}, NO_TOKEN, rules="2.4.1", errors=("PutSecretValue", "InvalidRequestException")),
    case("UpdateSecret", {"ClientRequestToken": None}, NO_TOKEN, rules="2.4.1", errors=("UpdateSecret", "InvalidRequestException")),
    case("RotateSecret", {"ClientRequestToken": None}, NO_ROTATION_TOKEN, rules=("2.4.2", "3.14.1.9"),
         errors=("RotateSecret", "InvalidParameterException")),
    *[case(op, {"SecretString": "a", "SecretBinary": b"b"}, BOTH_VALUES, rules="2.4.3", errors=(op, "InvalidParameterException"))
      for op in ("CreateSecret", "PutSecretValue", "UpdateSecret")],
    case("PutSecretValue", {"SecretString": None}, NO_VALUE, rules=("2.4.4", "3.4.put.6"),
         errors=("PutSecretValue", "InvalidRequestException")),
    *[case("DeleteSecret", {"RecoveryWindowInDays": n, **more}, WINDOW, rules=("2.4.5", "3.8.3", "2.3.20"),
           errors=("DeleteSecret", "InvalidParameterException"))
      for n in (0, 2, 6, 31, 100, -1) for more in ({}, {"ForceDeleteWithoutRecovery": True})],
    case("DeleteSecret", {"RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": True}, WINDOW_AND_FORCE, rules=("2.4.6", "3.8.4"),
         errors=("DeleteSecret", "InvalidParameterException")),
    case("RotateSecret", {"RotationLambdaARN": MISSING_FUNCTION, "RotationRules": {"AutomaticallyAfterDays": 1,
         "ScheduleExpression": "rate(1 day)"}}, DAYS_AND_SCHEDULE, rules=("2.4.9", "3.14.1.7"),
         errors=("RotateSecret", "InvalidParameterException")),
    case("GetRandomPassword", {"PasswordLength": 3}, PASSWORD_SHORT, rules=("2.4.10", "3.11.6"),
         errors=("GetRandomPassword", "InvalidParameterException")),
    case("GetRandomPassword", {"ExcludeCharacters": "0123456789"}, TYPE_EXCLUDED, rules=("2.4.11", "3.11.7"),
         errors=("GetRandomPassword", "InvalidParameterException")),
    case("GetRandomPassword", {"ExcludeNumbers": True, "ExcludePunctuation": True, "ExcludeUppercase": True, "ExcludeLowercase": True},
         ALL_EXCLUDED, rules=("2.4.12", "3.11.8"), errors=("GetRandomPassword", "InvalidParameterException")),
    *[case(op, {"KmsKeyId": key}, BAD_KEY, rules="2.4.13", errors=(op, "InvalidParameterException"))
      for op in ("CreateSecret",) for key in ("no-such-alias", "alias/redoubt-none")],
    *[case(op, {"Filters": [{"Values": ["a"]}], "SecretIdList": None}, FILTER_KEY_MISSING, rules=("2.4.20", "3.10.12", "2.3.29"),
           errors=(op, "InvalidParameterException")) for op in ("ListSecrets", "BatchGetSecretValue")],
    *[case(op, {"Filters": [{"Key": "name"}], "SecretIdList": None}, filter_values_missing("name"),
           rules=("2.4.20", "3.10.12", "2.3.30"), errors=(op, "InvalidParameterException"))
      for op in ("ListSecrets", "BatchGetSecretValue")],
    case("BatchGetSecretValue", {"Filters": [{"Key": "name", "Values": ["a"]}]},
         (IP, "Either 'SecretIdList' or 'Filters' must be provided, but not both."), rules=("2.4.18", "3.13.1"),
         errors=("BatchGetSecretValue", "InvalidParameterException")),
    case("BatchGetSecretValue", {"SecretIdList": None}, (IP, "Either 'SecretIdList' or 'Filters' must be provided, but not both."),
         rules=("2.4.18", "3.13.1"), errors=("BatchGetSecretValue", "InvalidParameterException")),
    case("BatchGetSecretValue", {"MaxResults": 5},
         (IP, "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."), rules=("2.4.19", "3.13.1"),
         errors=("BatchGetSecretValue", "InvalidParameterException")),
]


@pytest.mark.parametrize("operation,change,error", SENTENCES)
def test_sentences(api, secrets, operation, change, error):
    """On a name that nobody has: these come before the question whether there is such a secret."""
    api.refused_as(operation, error, **{**example(operation, secrets.name()), **change})


@rule("2.4.7", "2.4.8", "3.5.stage.3", "3.5.stage.6", "3.5.label.2")
@provokes("UpdateSecretVersionStage", IP)
def test_current_can_only_move_by_name(api, secrets):
    made = secrets.make()
    second = api.call("PutSecretValue", SecretId=made["Name"], SecretString="2", VersionStages=["mine"])["VersionId"]
    api.refused_as("UpdateSecretVersionStage", remove_from_needed("AWSCURRENT", made["VersionId"]), SecretId=made["Name"],
                   VersionStage="AWSCURRENT", MoveToVersionId=second)
    api.refused_as("UpdateSecretVersionStage", CURRENT_REMOVED, SecretId=made["Name"], VersionStage="AWSCURRENT",
                   RemoveFromVersionId=made["VersionId"])
    assert api.call("GetSecretValue", SecretId=made["Name"])["VersionId"] == made["VersionId"]


@rule("2.4.14", "3.9.8", "3.9.7", "3.2.13")
@pytest.mark.parametrize("key", ["aws:cloudformation:stack-name", "AWS:x", "Aws:"])
@pytest.mark.parametrize("operation", [
    pytest.param(op, marks=provokes(op, IP)) for op in ("CreateSecret", "TagResource", "UntagResource")])
def test_system_tags(api, secrets, operation, key):
    if operation == "CreateSecret":
        params = {"Name": secrets.name(), "SecretString": "x"}
    else:
        params = {"SecretId": secrets.make()["Name"]}
    tags = [{"Key": "ok", "Value": ""}, {"Key": key, "Value": "v"}]
    params.update({"TagKeys": [key]} if operation == "UntagResource" else {"Tags": tags})
    api.refused_as(operation, system_tag(key), **params)


@rule("2.4.13")
@provokes("UpdateSecret", IP)
@pytest.mark.parametrize("key", ["no-such-alias", "alias/redoubt-none"])
def test_a_key_that_is_none(api, secrets, key):
    made = secrets.make()
    api.refused_as("UpdateSecret", BAD_KEY, SecretId=made["Name"], KmsKeyId=key)
    api.refused_as("UpdateSecret", BAD_KEY, SecretId=made["Name"], KmsKeyId=key, SecretString="v")
    assert "KmsKeyId" not in api.call("DescribeSecret", SecretId=made["Name"])


@rule("2.4.15", "4.4.1")
@pytest.mark.parametrize("operation", [pytest.param(op, marks=provokes(op, IP)) for op in ("CreateSecret", "ReplicateSecretToRegions")])
def test_the_own_region_as_a_replica(api, secrets, operation):
    where = {"AddReplicaRegions": [{"Region": api.region}]}
    if operation == "CreateSecret":
        api.refused_as(operation, BAD_REGION, Name=secrets.name(), SecretString="x", **where)
    else:
        api.refused_as(operation, BAD_REGION, SecretId=secrets.make()["Name"], **where)


@rule("2.4.3", "2.1.13")
def test_values_are_not_echoed(api, secrets):
    """A refused value is in no part of the answer, whatever is wrong with the request."""
    value = "canary" * 4
    for change in ({"SecretBinary": b"canarycanary"}, {"ClientRequestToken": "short"}, {"Description": "d" * 3000}):
        error = outcome(api, "CreateSecret", {"Name": secrets.name(), "SecretString": value, **change})
        assert error is not None
        assert b"canary" not in error.answer.body and blob(b"canary")[:6].encode() not in error.answer.body
