"""RotateSecret, CancelRotateSecret, and what a rotation leaves behind (3.14).

Our own regions invoke no functions yet: there a test does what a function does (template.py). Elsewhere REDOUBT_API_FUNCTION names one
that does what AWS's generic template does, and the tests wait for it.
"""
import time

import pytest

import template
from marks import case, later, provokes, rule
from raw import ANY, ApiError, new_token
from target import eventually
from texts import DAYS_AND_SCHEDULE, IP, IR, NO_FUNCTION, NO_ROTATION_TOKEN, NOT_INVOKABLE, RNF, ROTATION_UNFINISHED

DAY = 86400
DAYS = {"AutomaticallyAfterDays": 1}
NOBODY = "own regions invoke no functions yet"


@pytest.fixture
def function(target):
    if target.function is None:
        pytest.skip("no rotation function: REDOUBT_API_FUNCTION is not set")
    return target.function


def describe(api, made):
    return api.call("DescribeSecret", SecretId=made["ARN"])


def stages(api, made):
    return {v: set(labels) for v, labels in describe(api, made).get("VersionIdsToStages", {}).items()}


def rotate(api, made, **params):
    return api.call("RotateSecret", SecretId=made["Name"], **params)


def rotated(target, api, made, version, before=None):
    """The end of the rotation that makes `version` current. `before`: LastRotatedDate of the one before it."""
    if target.plays_functions:
        template.play(api, made["ARN"], version)

    def done():
        described = describe(api, made)
        current = "AWSCURRENT" in described["VersionIdsToStages"].get(version, [])
        return current and described.get("LastRotatedDate", before) != before and described
    return eventually(done, target.patience, "the rotation", every=0.05)


# -- 3.14.1 --

@rule("3.14.1.1")
@provokes("RotateSecret", IR)
@pytest.mark.parametrize("params", [{}, {"RotationRules": DAYS}, {"RotateImmediately": False}])
def test_no_function(api, secrets, params):
    made = secrets.make("v")
    before = describe(api, made)
    api.refused_as("RotateSecret", NO_FUNCTION, SecretId=made["Name"], **params)
    assert describe(api, made) == before


def nothing_configured(api, made):
    described = describe(api, made)
    assert not {"RotationEnabled", "RotationLambdaARN", "RotationRules", "NextRotationDate"} & described.keys()
    assert described["VersionIdsToStages"] == {made["VersionId"]: ["AWSCURRENT"]}


@rule("3.14.1.2", "1.7.5")
@later(NOBODY)
@pytest.mark.parametrize("arn", ["arn:aws:lambda:{r}:{a}:function:redoubt-missing", "arn:aws:lambda:{r}:{a}:function:redoubt-missing:x",
                                 "arn:aws:lambda:{r}:210987654321:function:redoubt-missing"])
def test_a_function_that_is_missing(api, secrets, arn):
    made = secrets.make("v")
    api.refused_as("RotateSecret", NOT_INVOKABLE, SecretId=made["Name"], RotationRules=DAYS,
                   RotationLambdaARN=arn.format(r=api.region, a=made["ARN"].split(":")[4]))
    nothing_configured(api, made)


@rule("3.14.1.2", "1.7.5", "1.5.14")
def test_a_region_that_can_invoke_nothing(target, secrets, own):
    """Our last region has no endpoint for functions."""
    far = target.api(target.replicas[-1])
    made = secrets.make("v", region=far.region)
    far.refused_as("RotateSecret", NOT_INVOKABLE, SecretId=made["Name"], RotationRules=DAYS, RotationLambdaARN=target.function)
    nothing_configured(far, made)


@rule("3.14.1.2", "1.7.5", "1.5.14")
def test_what_is_no_function(target, api, secrets, own):
    made = secrets.make("v")
    for arn in ("arn:aws:iam::123456789012:role/x", "nothing at all", "arn:aws:lambda:us-east-1"):
        api.refused_as("RotateSecret", NOT_INVOKABLE, SecretId=made["Name"], RotationRules=DAYS, RotationLambdaARN=arn)
    nothing_configured(api, made)


@rule("3.14.1.3", "3.14.2.1", "3.1.5", "3.1.6", "3.1.7", "3.14.5.1", "3.14.5.6", "3.14.5.7", "3.7.3", "9.4")
def test_a_rotation(target, api, secrets, function):
    made, token = secrets.make("old"), new_token()
    answer = rotate(api, made, RotationLambdaARN=function, RotationRules=DAYS, ClientRequestToken=token)
    assert answer == {"ARN": made["ARN"], "Name": made["Name"], "VersionId": token}
    described = describe(api, made)
    assert described["RotationEnabled"] is True and described["RotationLambdaARN"] == function and described["RotationRules"] == DAYS
    described = rotated(target, api, made, token)
    assert described["VersionIdsToStages"].keys() == {made["VersionId"], token}
    assert described["VersionIdsToStages"][made["VersionId"]] == ["AWSPREVIOUS"]
    assert set(described["VersionIdsToStages"][token]) in ({"AWSCURRENT"}, {"AWSCURRENT", "AWSPENDING"})  # C-6
    assert abs(described["LastRotatedDate"] - time.time()) < 900
    assert 0 < described["NextRotationDate"] - time.time() <= 2 * DAY
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] != "old"
    rows = eventually(lambda: [row for row in walk(api) if row["ARN"] == made["ARN"] and "LastRotatedDate" in row], target.patience,
                      "the list")
    for field in ("RotationEnabled", "RotationLambdaARN", "RotationRules", "LastRotatedDate", "NextRotationDate"):
        assert rows[0][field] == described[field], field


def walk(api):
    token = None
    while True:
        page = api.call("ListSecrets", NextToken=token)
        yield from page["SecretList"]
        token = page.get("NextToken")
        if token is None:
            return


@rule("3.14.1.4", "3.14.2.2", "3.14.2.3", "3.14.1.5", "3.14.2.1")
@pytest.mark.parametrize("tidy", [False, True])
def test_rotations_follow_each_other(target, api, secrets, function, tidy):
    """AWSPENDING may stay with AWSCURRENT, or be on no version: the next rotation starts either way."""
    made = secrets.make("old")
    first, second = new_token(), new_token()
    rotate(api, made, RotationLambdaARN=function, RotationRules=DAYS, ClientRequestToken=first)
    described = rotated(target, api, made, first)
    if tidy and "AWSPENDING" in described["VersionIdsToStages"][first]:
        api.call("UpdateSecretVersionStage", SecretId=made["Name"], VersionStage="AWSPENDING", RemoveFromVersionId=first)
    time.sleep(0.01)
    answer = rotate(api, made, ClientRequestToken=second)  # the stored configuration
    assert answer["VersionId"] == second
    described = rotated(target, api, made, second, described["LastRotatedDate"])
    assert described["VersionIdsToStages"].keys() == {first, second}
    assert described["VersionIdsToStages"][first] == ["AWSPREVIOUS"]
    every = api.call("ListSecretVersionIds", SecretId=made["Name"], IncludeDeprecated=True)["Versions"]
    assert {e["VersionId"] for e in every if "VersionStages" not in e} == {made["VersionId"]}


@pytest.fixture
def begun(target, api, secrets, function):
    """A rotation that has begun and that nobody goes on with: (secret, token)."""
    if not target.plays_functions:
        pytest.skip("the function goes on with the rotation by itself")
    made, token = secrets.make("old"), new_token()
    rotate(api, made, RotationLambdaARN=function, RotationRules=DAYS, ClientRequestToken=token)
    assert stages(api, made) == {made["VersionId"]: {"AWSCURRENT"}, token: {"AWSPENDING"}}
    return made, token


@rule("3.14.3.2", "3.14.3.3", "3.3.9", "3.4.token.4", "3.14.3.4")
@provokes("GetSecretValue", RNF)
def test_what_a_function_meets(api, begun):
    """The checks of every published template, and what is there at each step."""
    made, token = begun
    for which in ({"VersionId": token}, {"VersionStage": "AWSPENDING"}, {"VersionId": token, "VersionStage": "AWSPENDING"}):
        api.refused("GetSecretValue", RNF, ANY, SecretId=made["ARN"], **which)
    seen = template.play(api, made["ARN"], token)
    for what, described in seen.items():
        assert described["RotationEnabled"] is True, what
        assert described["VersionIdsToStages"] == {made["VersionId"]: ["AWSCURRENT"], token: ["AWSPENDING"]}, what
    assert api.call("GetSecretValue", SecretId=made["ARN"])["VersionId"] == token
    again = template.play(api, made["ARN"], token)  # a retry of a finished rotation changes nothing
    assert set(again["createSecret"]["VersionIdsToStages"][token]) >= {"AWSCURRENT"}


@rule("3.14.3.3", "3.4.token.2", "3.4.token.3")
@provokes("PutSecretValue", "ResourceExistsException")
def test_the_empty_version_is_filled_once(api, begun):
    made, token = begun
    for _ in range(2):
        put = api.call("PutSecretValue", SecretId=made["Name"], ClientRequestToken=token, SecretString="new", VersionStages=["AWSPENDING"])
        assert put["VersionId"] == token and put["VersionStages"] == ["AWSPENDING"]
    assert stages(api, made) == {made["VersionId"]: {"AWSCURRENT"}, token: {"AWSPENDING"}}
    api.refused("PutSecretValue", "ResourceExistsException", ANY, SecretId=made["Name"], ClientRequestToken=token, SecretString="else",
                VersionStages=["AWSPENDING"])
    assert api.call("GetSecretValue", SecretId=made["Name"], VersionStage="AWSPENDING")["SecretString"] == "new"


@rule("3.14.3.1")
@later(NOBODY)
def test_the_function_is_called(target, api, secrets, function):
    """Nobody but the function could bring this about."""
    made, token = secrets.make("old"), new_token()
    rotate(api, made, RotationLambdaARN=function, RotationRules=DAYS, ClientRequestToken=token)
    eventually(lambda: api.call("GetSecretValue", SecretId=made["Name"])["VersionId"] == token, target.patience, "the rotation")


@rule("3.14.1.6", "3.6.3")
@provokes("RotateSecret", IR)
def test_a_rotation_is_unfinished(api, begun):
    made, token = begun
    api.refused_as("RotateSecret", ROTATION_UNFINISHED, SecretId=made["Name"])
    listed = {e["VersionId"]: e for e in api.call("ListSecretVersionIds", SecretId=made["Name"])["Versions"]}
    assert listed[token]["VersionStages"] == ["AWSPENDING"]
    template.play(api, made["ARN"], token, template.STEPS[:3])
    api.refused_as("RotateSecret", ROTATION_UNFINISHED, SecretId=made["Name"])  # with its value, too


@rule("3.14.1.6", "3.14.1.5")
@provokes("RotateSecret", IR)
def test_a_pending_version_by_hand(api, secrets, function):
    """AWSPENDING on another version than AWSCURRENT's, though no rotation put it there."""
    made = secrets.make("v")
    api.call("PutSecretValue", SecretId=made["Name"], SecretString="p", VersionStages=["AWSPENDING"])
    api.refused_as("RotateSecret", ROTATION_UNFINISHED, SecretId=made["Name"], RotationLambdaARN=function, RotationRules=DAYS)


@rule("3.14.1.13", "3.14.1.14", "3.1.5", "3.1.7")
@provokes("RotateSecret", IR)
def test_cancel(api, begun):
    made, token = begun
    configured = describe(api, made)
    answer = api.call("CancelRotateSecret", SecretId=made["Name"])
    assert answer == {"ARN": made["ARN"], "Name": made["Name"], "VersionId": token}
    described = describe(api, made)
    assert described["RotationEnabled"] is False and "NextRotationDate" not in described
    for field in ("RotationLambdaARN", "RotationRules"):
        assert described[field] == configured[field]
    assert stages(api, made) == {made["VersionId"]: {"AWSCURRENT"}, token: {"AWSPENDING"}}
    api.refused_as("RotateSecret", ROTATION_UNFINISHED, SecretId=made["Name"])


CLEARED = [case("label", rules="3.14.1.16"), case("move", rules="3.14.1.16"), case("put", rules=("3.14.1.16", "3.4.put.8")),
           case("update", rules=("3.14.1.16", "3.4.put.8"))]


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("how", CLEARED)
def test_what_clears_an_unfinished_rotation(target, api, begun, how, filled):
    made, token = begun
    if filled:
        template.play(api, made["ARN"], token, ["createSecret"])
    elif how == "move":
        pytest.skip("AWSCURRENT on a version without a value: not recorded")
    if how == "label":
        api.call("UpdateSecretVersionStage", SecretId=made["Name"], VersionStage="AWSPENDING", RemoveFromVersionId=token)
    elif how == "move":
        api.call("UpdateSecretVersionStage", SecretId=made["Name"], VersionStage="AWSCURRENT", MoveToVersionId=token,
                 RemoveFromVersionId=made["VersionId"])
    else:
        api.call("PutSecretValue" if how == "put" else "UpdateSecret", SecretId=made["Name"], SecretString="by hand")
    labels = stages(api, made)
    assert "AWSPENDING" not in labels.get(token, ()) or "AWSCURRENT" in labels[token]
    again = new_token()
    rotate(api, made, ClientRequestToken=again)
    rotated(target, api, made, again)


@rule("3.14.1.15")
@provokes("CancelRotateSecret", IR)
def test_cancel_without_a_configuration(api, secrets):
    made = secrets.make("v")
    api.refused("CancelRotateSecret", IR, ANY, SecretId=made["Name"])


@rule("3.14.1.13", "3.14.1.4")
def test_cancel_and_rotate_again(target, api, secrets, function):
    made, token = secrets.make("v"), new_token()
    rotate(api, made, RotationLambdaARN=function, RotationRules=DAYS, ClientRequestToken=token)
    before = rotated(target, api, made, token)["LastRotatedDate"]
    assert api.call("CancelRotateSecret", SecretId=made["Name"]) == {"ARN": made["ARN"], "Name": made["Name"]}
    described = describe(api, made)
    assert described["RotationEnabled"] is False and described["LastRotatedDate"] == before and "NextRotationDate" not in described
    token = new_token()
    time.sleep(0.01)
    rotate(api, made, ClientRequestToken=token)
    assert rotated(target, api, made, token, before)["RotationEnabled"] is True


@rule("3.14.1.9", "2.4.2", "1.5.2")
@provokes("RotateSecret", IP)
def test_no_token(api, secrets):
    api.refused_as("RotateSecret", NO_ROTATION_TOKEN, SecretId=secrets.make("v")["Name"], ClientRequestToken=None)


@rule("3.14.1.7", "3.14.5.3", "9.1")
@provokes("RotateSecret", IP)
def test_days_and_schedule(api, secrets, function):
    made = secrets.make("v")
    api.refused_as("RotateSecret", DAYS_AND_SCHEDULE, SecretId=made["Name"], RotationLambdaARN=function,
                   RotationRules={**DAYS, "ScheduleExpression": "rate(10 days)"})
    assert "RotationEnabled" not in describe(api, made)


@rule("3.14.1.12", "9.1")
def test_without_rotating_now(target, api, secrets, function):
    made, token = secrets.make("kept"), new_token()
    answer = rotate(api, made, RotationLambdaARN=function, RotationRules=DAYS, RotateImmediately=False, ClientRequestToken=token)
    assert answer.keys() - {"VersionId"} == {"ARN", "Name"}
    described = eventually(lambda: stages(api, made) == {made["VersionId"]: {"AWSCURRENT"}} and describe(api, made), target.patience,
                           "the end of the test run")
    assert described["RotationEnabled"] is True and described["NextRotationDate"] > time.time()
    assert described["RotationRules"] == DAYS and "LastRotatedDate" not in described
    assert api.call("GetSecretValue", SecretId=made["Name"])["VersionId"] == made["VersionId"]


# -- 3.14.5 --

EXPRESSIONS = {  # expression: the most days between two rotations
    "rate(10 days)": 10, "rate(1 day)": 1, "rate(4 hours)": 1, "rate(999 days)": 999, "cron(0 10 * * ? *)": 1, "cron(0 18 ? * SAT *)": 7,
    "cron(0 8 1 * ? *)": 31, "cron(0 17 L * ? *)": 31, "cron(0 8 ? * MON-FRI *)": 3, "cron(0 16 1,15 * ? *)": 17,
    "cron(0 0 ? * SUN#1 *)": 35, "cron(0 1 ? 1/3 SUN#1 *)": 98, "cron(0 /8 * * ? *)": 1, "cron(0 2/10 * * ? *)": 1,
    "cron(0 10 ? FEB,MAY,AUG,NOV TUE#2 *)": 98,
}


@rule("3.14.5.2", "3.14.5.4", "3.7.4", "3.14.5.6", "9.1", "9.4")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions(api, secrets, function, expression):
    made = secrets.make("v")
    rotate(api, made, RotationLambdaARN=function, RotationRules={"ScheduleExpression": expression}, RotateImmediately=False)
    described = describe(api, made)
    rules = described["RotationRules"]
    assert rules["ScheduleExpression"] == expression and "Duration" not in rules
    assert 1 <= rules.get("AutomaticallyAfterDays", 1) <= EXPRESSIONS[expression] + 1  # computed; when, is not recorded to the call
    assert 0 < described["NextRotationDate"] - time.time() < (EXPRESSIONS[expression] + 2) * DAY


@rule("3.14.5.3", "9.1", "9.7")
def test_days_then_an_expression_then_days(api, secrets, function):
    made = secrets.make("v")
    rotate(api, made, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 30, "Duration": "3h"}, RotateImmediately=False)
    assert describe(api, made)["RotationRules"] == {"AutomaticallyAfterDays": 30, "Duration": "3h"}
    rotate_when_over(api, made, RotationRules={"ScheduleExpression": "cron(0 8 1 * ? *)", "Duration": "2h"})
    rules = describe(api, made)["RotationRules"]
    assert rules["ScheduleExpression"] == "cron(0 8 1 * ? *)" and rules["Duration"] == "2h"
    rotate_when_over(api, made, RotationRules={"AutomaticallyAfterDays": 7})
    assert describe(api, made)["RotationRules"] == {"AutomaticallyAfterDays": 7}


def rotate_when_over(api, made, **params):
    """RotateSecret, again while the test run of the call before is not over."""
    def call():
        try:
            return rotate(api, made, RotateImmediately=False, **params)
        except ApiError as error:
            if error.message != ROTATION_UNFINISHED[1]:
                raise
    return eventually(call, 60, "the end of the test run", every=0.05)


BAD_EXPRESSIONS = ["rate(0 days)", "rate(1000 days)", "rate(3 hours)", "rate(1 week)", "rate(days)", "every day", "cron(0 10 * * ?)",
                   "cron(5 10 * * ? *)", "cron(0 24 * * ? *)", "cron(0 10 1 * SUN *)", "cron(0 10 * * ? 2030)", "cron(0 10 32 * ? *)",
                   "cron(0 10 ? 13 SUN *)", "cron(0 /2 * * ? *)", "at(10)"]


@rule("3.14.5.8")
@provokes("RotateSecret", IP)
@pytest.mark.parametrize("expression", BAD_EXPRESSIONS)
def test_bad_expressions(api, secrets, function, expression):
    made = secrets.make("v")
    api.refused("RotateSecret", IP, ANY, SecretId=made["Name"], RotationLambdaARN=function,
                RotationRules={"ScheduleExpression": expression})
    assert "RotationEnabled" not in describe(api, made)


@rule("3.14.5.8")
@provokes("RotateSecret", IP)
@pytest.mark.parametrize("rules", [{"ScheduleExpression": "cron(0 22 * * ? *)", "Duration": "3h"},
                                   {"ScheduleExpression": "rate(4 hours)", "Duration": "5h"},
                                   {"AutomaticallyAfterDays": 1, "Duration": "25h"},
                                   {"ScheduleExpression": "rate(10 days)", "Duration": "0h"}])
def test_bad_durations(api, secrets, function, rules):
    made = secrets.make("v")
    api.refused("RotateSecret", IP, ANY, SecretId=made["Name"], RotationLambdaARN=function, RotationRules=rules)


# -- members of managed external secrets (9) --

@rule("9.11", "2.6.1", "2.6.2")
def test_external_rotation_is_shown(api, secrets, own):
    """Elsewhere it needs a partner's account."""
    made, role = secrets.make("v", Type="a partner"), "arn:aws:iam::123456789012:role/rotates"
    metadata = [{"Key": "b", "Value": "1"}, {"Key": "a", "Value": "2"}]
    rotate(api, made, ExternalSecretRotationRoleArn=role, ExternalSecretRotationMetadata=metadata, RotationRules=DAYS,
           RotateImmediately=False)
    (row,) = [row for row in walk(api) if row["ARN"] == made["ARN"]]
    for shown in (describe(api, made), row):
        assert shown["ExternalSecretRotationRoleArn"] == role and shown["ExternalSecretRotationMetadata"] == metadata
        assert shown["Type"] == "a partner" and shown["RotationEnabled"] is True and "RotationLambdaARN" not in shown


@rule("9.11", "2.6.1")
def test_type_is_shown(api, secrets):
    made = secrets.make("v", Type="a partner")
    assert describe(api, made)["Type"] == "a partner"
    api.call("UpdateSecret", SecretId=made["Name"], Type="another")
    assert describe(api, made)["Type"] == "another"
