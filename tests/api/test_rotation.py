"""RotateSecret, CancelRotateSecret, and what a rotation does (3.14). Functions: functions.py, or REDOUBT_API_FUNCTION elsewhere."""
import time

import pytest

from marks import case, provokes, rule
from raw import ANY, ApiError, new_token
from target import eventually
from texts import (DAYS_AND_SCHEDULE, IP, IR, NO_FUNCTION, NO_ROTATION_TOKEN, NOT_INVOKABLE, ROTATION_UNFINISHED)

DAY = 86400
DAYS = {"AutomaticallyAfterDays": 1}


@pytest.fixture
def good(target):
    arn = target.function("good")
    if arn is None:
        pytest.skip("no rotation function: REDOUBT_API_FUNCTION is not set")
    return arn


@pytest.fixture
def function(target):
    """Functions by behaviour, where the suite has its own."""
    def of(behaviour):
        arn = target.function(behaviour)
        if arn is None:
            pytest.skip(f"no function that is {behaviour}: only where the suite brings its own")
        return arn
    return of


def describe(api, made):
    return api.call("DescribeSecret", SecretId=made["ARN"])


def stages(api, made):
    return {v: set(labels) for v, labels in describe(api, made).get("VersionIdsToStages", {}).items()}


def rotate(api, made, **params):
    return api.call("RotateSecret", SecretId=made["Name"], **params)


def rotated(target, api, made, version, before=None):
    """Waits for the end of the rotation that made `version` current: the labels, and the date that is written last."""
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


@rule("3.14.1.2", "1.7.5", "1.5.14")
@pytest.mark.parametrize("which", ["missing", "nowhere", "foreign"])
def test_a_function_that_cannot_be_invoked(target, api, secrets, which):
    made = secrets.make("v")
    account = made["ARN"].split(":")[4]
    arn = {"missing": f"arn:aws:lambda:{api.region}:{account}:function:redoubt-rotate-missing",
           "nowhere": f"arn:aws:lambda:{api.region}:{account}:function:redoubt-rotate-missing:alias",
           "foreign": f"arn:aws:lambda:{api.region}:210987654321:function:redoubt-rotate-missing"}[which]
    api.refused_as("RotateSecret", NOT_INVOKABLE, SecretId=made["Name"], RotationLambdaARN=arn, RotationRules=DAYS)
    described = describe(api, made)
    assert not {"RotationEnabled", "RotationLambdaARN", "RotationRules", "NextRotationDate"} & described.keys()
    assert described["VersionIdsToStages"] == {made["VersionId"]: ["AWSCURRENT"]}


@rule("3.14.1.3", "3.14.2.1", "3.1.5", "3.1.6", "3.1.7", "3.14.5.1", "3.14.5.6", "3.14.5.7", "3.7.3", "9.4", "3.14.3.1")
def test_a_rotation(target, api, secrets, good):
    made, token = secrets.make("old"), new_token()
    answer = rotate(api, made, RotationLambdaARN=good, RotationRules=DAYS, ClientRequestToken=token)
    assert answer == {"ARN": made["ARN"], "Name": made["Name"], "VersionId": token}
    described = describe(api, made)
    assert described["RotationEnabled"] is True and described["RotationLambdaARN"] == good and described["RotationRules"] == DAYS
    described = rotated(target, api, made, token)
    assert described["VersionIdsToStages"].keys() == {made["VersionId"], token}
    assert described["VersionIdsToStages"][made["VersionId"]] == ["AWSPREVIOUS"]
    assert set(described["VersionIdsToStages"][token]) in ({"AWSCURRENT"}, {"AWSCURRENT", "AWSPENDING"})  # C-6
    assert abs(described["LastRotatedDate"] - time.time()) < 900
    assert 0 < described["NextRotationDate"] - time.time() <= 2 * DAY
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] != "old"
    row = next(row for row in walk_list(api) if row["ARN"] == made["ARN"])
    for field in ("RotationEnabled", "RotationLambdaARN", "RotationRules", "LastRotatedDate", "NextRotationDate"):
        assert row[field] == described[field], field


def walk_list(api):
    token = None
    while True:
        page = api.call("ListSecrets", NextToken=token)
        yield from page["SecretList"]
        token = page.get("NextToken")
        if token is None:
            return


@rule("3.14.1.4", "3.14.2.2", "3.14.2.3", "3.14.1.5", "3.14.2.1")
@pytest.mark.parametrize("behaviour", ["good", "tidy"])
def test_rotations_follow_each_other(target, api, secrets, function, behaviour):
    """AWSPENDING may stay with AWSCURRENT, or be on no version: the next rotation starts either way."""
    made = secrets.make("old")
    first, second = new_token(), new_token()
    rotate(api, made, RotationLambdaARN=function(behaviour), RotationRules=DAYS, ClientRequestToken=first)
    before = rotated(target, api, made, first)["LastRotatedDate"]
    time.sleep(0.01)
    answer = rotate(api, made, ClientRequestToken=second)  # the stored configuration
    assert answer["VersionId"] == second
    described = rotated(target, api, made, second, before)
    assert described["VersionIdsToStages"].keys() == {first, second}
    assert described["VersionIdsToStages"][first] == ["AWSPREVIOUS"]
    if behaviour == "tidy":
        eventually(lambda: stages(api, made) == {first: {"AWSPREVIOUS"}, second: {"AWSCURRENT"}}, target.patience, "the removal")
    every = api.call("ListSecretVersionIds", SecretId=made["Name"], IncludeDeprecated=True)["Versions"]
    assert {e["VersionId"] for e in every if "VersionStages" not in e} == {made["VersionId"]}


@rule("3.14.3.1", "3.14.3.2", "3.14.3.3", "3.3.9", "3.4.token.4")
@provokes("GetSecretValue", "ResourceNotFoundException")
def test_what_a_function_sees(target, api, secrets, function, own):
    made, token = secrets.make("old"), new_token()
    rotate(api, made, RotationLambdaARN=function("good"), RotationRules=DAYS, ClientRequestToken=token)
    rotated(target, api, made, token)
    steps = target.functions.notes(made["ARN"], "createSecret", "setSecret", "testSecret", "finishSecret")
    assert [what for what, _, _ in steps] == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    for what, event, described in steps:
        assert (event["Step"], event["SecretId"], event["ClientRequestToken"]) == (what, made["ARN"], token)
        assert described["RotationEnabled"] is True
        assert set(described["VersionIdsToStages"][token]) == {"AWSPENDING"}
        assert described["VersionIdsToStages"][made["VersionId"]] == ["AWSCURRENT"]
    (_, _, pending), = target.functions.notes(made["ARN"], "pending")
    assert pending["code"] == "ResourceNotFoundException"
    (_, _, put), = target.functions.notes(made["ARN"], "put")
    assert put["VersionId"] == token and put["VersionStages"] == ["AWSPENDING"]
    assert not target.functions.notes(made["ARN"], "raised")


@pytest.fixture
def unfinished(target, api, secrets, function):
    """A secret with a rotation that does not get further than setSecret; (secret, token)."""
    made, token = secrets.make("old"), new_token()
    rotate(api, made, RotationLambdaARN=function("setless"), RotationRules=DAYS, ClientRequestToken=token)
    eventually(lambda: target.functions.notes(made["ARN"], "setSecret"), target.patience, "the second step")
    assert stages(api, made) == {made["VersionId"]: {"AWSCURRENT"}, token: {"AWSPENDING"}}
    return made, token


@rule("3.14.1.6", "3.6.3")
@provokes("RotateSecret", IR)
def test_a_rotation_is_unfinished(api, own, unfinished):
    made, token = unfinished
    api.refused_as("RotateSecret", ROTATION_UNFINISHED, SecretId=made["Name"])
    listed = {e["VersionId"]: e["VersionStages"] for e in api.call("ListSecretVersionIds", SecretId=made["Name"])["Versions"]}
    assert listed[token] == ["AWSPENDING"]


@rule("3.14.1.6", "3.14.1.5")
@provokes("RotateSecret", IR)
def test_a_pending_version_by_hand(api, secrets, good):
    """AWSPENDING on another version than AWSCURRENT's, though no rotation put it there."""
    made = secrets.make("v")
    api.call("PutSecretValue", SecretId=made["Name"], SecretString="p", VersionStages=["AWSPENDING"])
    api.refused_as("RotateSecret", ROTATION_UNFINISHED, SecretId=made["Name"], RotationLambdaARN=good, RotationRules=DAYS)


@rule("3.14.1.13", "3.14.1.14", "3.1.5", "3.1.7")
@provokes("RotateSecret", IR)
def test_cancel(api, own, unfinished):
    made, token = unfinished
    configured = describe(api, made)
    answer = api.call("CancelRotateSecret", SecretId=made["Name"])
    assert answer.keys() - {"VersionId"} == {"ARN", "Name"} and answer["ARN"] == made["ARN"]
    assert answer.get("VersionId", token) == token
    described = describe(api, made)
    assert described["RotationEnabled"] is False and "NextRotationDate" not in described
    for field in ("RotationLambdaARN", "RotationRules"):
        assert described[field] == configured[field]
    assert stages(api, made) == {made["VersionId"]: {"AWSCURRENT"}, token: {"AWSPENDING"}}
    api.refused_as("RotateSecret", ROTATION_UNFINISHED, SecretId=made["Name"])


CLEARED = [case("label", rules="3.14.1.16"), case("move", rules="3.14.1.16"), case("put", rules=("3.14.1.16", "3.4.put.8")),
           case("update", rules=("3.14.1.16", "3.4.put.8"))]


@pytest.mark.parametrize("how", CLEARED)
def test_what_clears_an_unfinished_rotation(target, api, secrets, own, function, unfinished, how):
    made, token = unfinished
    api.call("CancelRotateSecret", SecretId=made["Name"])  # so that nothing retries meanwhile
    if how == "label":
        api.call("UpdateSecretVersionStage", SecretId=made["Name"], VersionStage="AWSPENDING", RemoveFromVersionId=token)
    elif how == "move":
        api.call("UpdateSecretVersionStage", SecretId=made["Name"], VersionStage="AWSCURRENT", MoveToVersionId=token,
                 RemoveFromVersionId=made["VersionId"])
    else:
        api.call("PutSecretValue" if how == "put" else "UpdateSecret", SecretId=made["Name"], SecretString="by hand")
    labels = stages(api, made)
    assert "AWSPENDING" not in labels.get(token, {"AWSCURRENT"}) or "AWSCURRENT" in labels[token]
    again = new_token()
    rotate(api, made, RotationLambdaARN=function("good"), ClientRequestToken=again)
    rotated(target, api, made, again)


@rule("3.14.1.15")
@provokes("CancelRotateSecret", IR)
def test_cancel_without_a_configuration(api, secrets):
    made = secrets.make("v")
    api.refused("CancelRotateSecret", IR, ANY, SecretId=made["Name"])


@rule("3.14.1.13", "3.14.1.4")
def test_cancel_and_rotate_again(target, api, secrets, good):
    made, token = secrets.make("v"), new_token()
    rotate(api, made, RotationLambdaARN=good, RotationRules=DAYS, ClientRequestToken=token)
    before = rotated(target, api, made, token)["LastRotatedDate"]
    assert api.call("CancelRotateSecret", SecretId=made["Name"]).keys() - {"VersionId"} == {"ARN", "Name"}
    described = describe(api, made)
    assert described["RotationEnabled"] is False and described["LastRotatedDate"] == before and "NextRotationDate" not in described
    token = new_token()
    time.sleep(0.01)
    rotate(api, made, ClientRequestToken=token)
    assert rotated(target, api, made, token, before)["RotationEnabled"] is True


@rule("3.14.1.9", "2.4.2")
@provokes("RotateSecret", IP)
def test_no_token(api, secrets):
    api.refused_as("RotateSecret", NO_ROTATION_TOKEN, SecretId=secrets.make("v")["Name"], ClientRequestToken=None)


@rule("3.14.1.7", "3.14.5.3", "9.1")
@provokes("RotateSecret", IP)
def test_days_and_schedule(api, secrets, good):
    made = secrets.make("v")
    api.refused_as("RotateSecret", DAYS_AND_SCHEDULE, SecretId=made["Name"], RotationLambdaARN=good,
                   RotationRules={**DAYS, "ScheduleExpression": "rate(10 days)"})
    assert "RotationEnabled" not in describe(api, made)


@rule("3.14.1.12", "3.14.4.1", "3.14.4.2", "9.1")
def test_without_rotating_now(target, api, secrets, function, own):
    made, token = secrets.make("kept"), new_token()
    answer = rotate(api, made, RotationLambdaARN=function("good"), RotationRules=DAYS, RotateImmediately=False, ClientRequestToken=token)
    assert answer.keys() - {"VersionId"} == {"ARN", "Name"}
    (_, _, tested), = eventually(lambda: target.functions.notes(made["ARN"], "tested"), target.patience, "the test")
    assert tested["SecretString"] == "kept" and tested["VersionStages"] == ["AWSPENDING"] and tested["VersionId"] != made["VersionId"]
    described = eventually(lambda: stages(api, made) == {made["VersionId"]: {"AWSCURRENT"}} and describe(api, made), target.patience,
                           "the end of the test")
    assert described["RotationEnabled"] is True and described["NextRotationDate"] > time.time()
    assert "LastRotatedDate" not in described
    assert [what for what, _, _ in target.functions.notes(made["ARN"]) if what.endswith("Secret")] == ["testSecret"]
    assert api.call("GetSecretValue", SecretId=made["Name"])["VersionId"] == made["VersionId"]


# -- 3.14.5 --

EXPRESSIONS = ["rate(10 days)", "rate(1 day)", "rate(4 hours)", "rate(999 days)", "cron(0 10 * * ? *)", "cron(0 18 ? * SAT *)",
               "cron(0 8 1 * ? *)", "cron(0 17 L * ? *)", "cron(0 8 ? * MON-FRI *)", "cron(0 16 1,15 * ? *)", "cron(0 0 ? * SUN#1 *)",
               "cron(0 1 ? 1/3 SUN#1 *)", "cron(0 /8 * * ? *)", "cron(0 2/10 * * ? *)", "cron(0 10 ? FEB,MAY,AUG,NOV TUE#2 *)"]


@rule("3.14.5.2", "3.14.5.4", "3.7.4", "3.14.5.6", "9.1", "9.4")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions(api, secrets, good, expression):
    made = secrets.make("v")
    rotate(api, made, RotationLambdaARN=good, RotationRules={"ScheduleExpression": expression}, RotateImmediately=False)
    described = describe(api, made)
    rules = described["RotationRules"]
    assert rules["ScheduleExpression"] == expression and "Duration" not in rules
    assert rules.keys() <= {"ScheduleExpression", "AutomaticallyAfterDays"}
    assert described["NextRotationDate"] > time.time()


@rule("3.14.5.3", "9.1", "9.7")
def test_days_then_an_expression_then_days(api, secrets, good):
    made = secrets.make("v")
    rotate(api, made, RotationLambdaARN=good, RotationRules={"AutomaticallyAfterDays": 30, "Duration": "3h"}, RotateImmediately=False)
    assert describe(api, made)["RotationRules"] == {"AutomaticallyAfterDays": 30, "Duration": "3h"}
    rotate_again = {"RotateImmediately": False}
    retry(api, made, RotationRules={"ScheduleExpression": "cron(0 8 1 * ? *)", "Duration": "2h"}, **rotate_again)
    rules = describe(api, made)["RotationRules"]
    assert rules["ScheduleExpression"] == "cron(0 8 1 * ? *)" and rules["Duration"] == "2h"
    retry(api, made, RotationRules={"AutomaticallyAfterDays": 7}, **rotate_again)
    assert describe(api, made)["RotationRules"] == {"AutomaticallyAfterDays": 7}


def retry(api, made, **params):
    """RotateSecret, again while the test run of the call before is not over."""
    def call():
        try:
            return rotate(api, made, **params)
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
def test_bad_expressions(api, secrets, good, expression):
    made = secrets.make("v")
    api.refused("RotateSecret", IP, ANY, SecretId=made["Name"], RotationLambdaARN=good, RotationRules={"ScheduleExpression": expression})
    assert "RotationEnabled" not in describe(api, made)


@rule("3.14.5.8")
@provokes("RotateSecret", IP)
@pytest.mark.parametrize("rules", [{"ScheduleExpression": "cron(0 22 * * ? *)", "Duration": "3h"},
                                   {"ScheduleExpression": "rate(4 hours)", "Duration": "5h"}, {"AutomaticallyAfterDays": 1, "Duration": "25h"},
                                   {"ScheduleExpression": "rate(10 days)", "Duration": "0h"}])
def test_bad_durations(api, secrets, good, rules):
    made = secrets.make("v")
    api.refused("RotateSecret", IP, ANY, SecretId=made["Name"], RotationLambdaARN=good, RotationRules=rules)


# -- members of managed external secrets (9) --

@rule("9.11", "2.6.1")
def test_type_is_shown(api, secrets):
    made = secrets.make("v", Type="a partner")
    assert describe(api, made)["Type"] == "a partner"
    api.call("UpdateSecret", SecretId=made["Name"], Type="another")
    assert describe(api, made)["Type"] == "another"
