"""The front end's constraint check (AWS_BEHAVIOUR 2.1 layer A, 2.3), driven by the table of operations itself: every constrained member of
every operation is broken in every way that the table knows, over HTTP, and the whole message is compared. A new operation or member is
tested without a line here; only a pattern that is new asks for an example of what fits it.

The sentences are worded here once more, from the reference, not from the program.
"""
import base64
import json
import re
import subprocess

import pytest

from cluster import BINARY, Cluster
from wire import FORM_TYPE, Signer, call, form, send

TABLE = json.loads(subprocess.run([BINARY, "operations", "--json"], check=True, stdout=subprocess.PIPE).stdout)["operations"]
OPERATIONS = {operation["name"]: operation for operation in TABLE}
LIST_MAX = 1024  # the house's own bound where the API has none
ECHO = 512  # bytes of a value that a message repeats
MARK = "S3NS1T1VE"

# A pattern, and how to make a text of n characters that fits it.
FITTING = {
    r"^([a-z]+-)+\d+$": lambda n: "a" * (n - 2) + "-1",
    r"^[a-zA-Z0-9\-]+$": lambda n: "a" * n,
    r"[0-9]+h": lambda n: "1" * (n - 1) + "h",
    r"[0-9A-Za-z\(\)#\?\*\-\/, ]+": lambda n: "a" * n,
    r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$": lambda n: "a" * n,
    r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-]*$": lambda n: "a" * n,
}
NOT_FITTING = "{}[]~|<>`^$\u00e9"  # characters that no pattern has


@pytest.fixture(scope="module")
def running():
    with Cluster(["us-east-1"]) as cluster:
        yield cluster.start()


# --- what AWS says: 2.1 ---

def lower(name):
    return name[0].lower() + name[1:]


def cut(text, room=ECHO):
    data = text.encode()
    return text if len(data) <= room else data[:room].decode(errors="ignore") + "..."


def shown(member, value):
    if member["sensitive"]:
        return ""
    if isinstance(value, list):
        return shown_list(value) if all(isinstance(v, str) for v in value) else ""
    return f" '{cut(str(value))}'"


def shown_list(values):
    """Cut like a single value, behind the element in which it gets too long."""
    text = " '["
    for i, value in enumerate(values):
        if len(text.encode()) >= ECHO:
            text += ", ..."
            break
        text += ", " if i else ""
        text += cut(value, ECHO - min(ECHO, len(text.encode())))
    return text + "]'"


def bounds(rule, number, what):
    if number > rule.get("max", number):
        return [f"Member must have {what} less than or equal to {rule['max']}"]
    if number < rule.get("min", number):
        return [f"Member must have {what} greater than or equal to {rule['min']}"]
    return []


def fits(pattern, text):
    return re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is not None


def broken_rules(member, value):
    """Of one member, in the order of the sentences."""
    if member["kind"] == "integer":
        return bounds(member, value, "value")
    if member["kind"] == "blob":
        return bounds(member, len(base64.b64decode(value)), "length")
    if isinstance(value, list):
        rules = bounds({"max": LIST_MAX, **member}, len(value), "length")
        element = member.get("element", {})
        if any(broken_rules({"kind": "string", **element}, v) for v in value if isinstance(v, str)):
            every = [f"Member must have length less than or equal to {element['max']}"] if "max" in element else []
            every.append(f"Member must have length greater than or equal to {element.get('min', 0)}")
            every += [f"Member must satisfy regular expression pattern: {element['pattern']}"] if "pattern" in element else []
            every += ["Member must satisfy enum value set: [" + ", ".join(element["enum"]) + "]"] if "enum" in element else []
            rules.append("Member must satisfy constraint: [" + ", ".join(every) + "]")
        return rules
    rules = bounds(member, len(value), "length")
    if "pattern" in member and not fits(member["pattern"], value):
        rules.append(f"Member must satisfy regular expression pattern: {member['pattern']}")
    if "enum" in member and value not in member["enum"]:
        rules.append("Member must satisfy enum value set: [" + ", ".join(member["enum"]) + "]")
    return rules


def sentences(member, path, value):
    return [f"Value{shown(member, value)} at '{path}' failed to satisfy constraint: {rule}" for rule in broken_rules(member, value)]


def message(violations):
    return f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected: " + "; ".join(violations)


# --- values ---

def text_of_length(rule, n):
    if "pattern" in rule:
        assert rule["pattern"] in FITTING, f"say in FITTING what fits {rule['pattern']}"
        return FITTING[rule["pattern"]](n) if n > 1 else "a" * n
    return (MARK * (n // len(MARK) + 1))[:n]


def at_the_bounds(member):
    """Values that are just right."""
    kind = member["kind"]
    if kind == "integer":
        return [member[b] for b in ("min", "max") if b in member] or [1]
    if kind == "blob":
        return [base64.b64encode(b"S" * member[b]).decode() for b in ("min", "max") if b in member]
    if kind == "string":
        if "enum" in member:
            return member["enum"]
        sizes = {member.get("min", 0), member.get("max", 100)}
        return [text for text in (text_of_length(member, n) for n in sorted(sizes)) if not broken_rules(member, text)]
    if kind == "strings":
        element = member.get("element", {})
        sizes = {member.get("min", 0), member.get("max", 3)}
        return [[text_of_length(element, max(element.get("min", 0), 8))] * n for n in sizes]
    return [True] if kind == "boolean" else []


def outside(rule, most=None):
    """One beyond each bound; `most` where the rule has no upper one."""
    upper = rule.get("max", most)
    return ([upper + 1] if upper is not None else []) + ([rule["min"] - 1] if "min" in rule else [])


def wrong_values(member):
    """Values that break one rule each, at least."""
    kind = member["kind"]
    if kind == "integer":
        return outside(member)
    if kind == "blob":
        return [base64.b64encode(b"S" * n).decode() for n in outside(member)]
    if kind == "string":
        size = max(member.get("min", 0), min(8, member.get("max", 8)))
        return [text_of_length(member, n) for n in outside(member)] + [(NOT_FITTING * size)[:size]] * ("pattern" in member) + \
            ["invalid"] * ("enum" in member)
    if kind == "strings":
        element = member.get("element", {})
        good = text_of_length(element, max(element.get("min", 0), 8))
        return [[good] * n for n in outside(member, LIST_MAX)] + \
            [[good, wrong] for wrong in wrong_values({"kind": "string", "sensitive": False, **element})]
    return [[{}] * n for n in outside(member, LIST_MAX)] if kind == "structures" else []


def leaves(members, path=(), text=""):
    """Every member, with the way to it in a request and in a sentence."""
    for member in members:
        here, name = path + (member["name"],), text + lower(member["name"])
        yield member, here, name
        if member["kind"] == "structures":
            yield from leaves(member["members"], here + (0,), f"{name}.1.member.")
        elif member["kind"] == "structure":
            yield from leaves(member["members"], here, f"{name}.")


def put(body, path, value):
    """`body` with the value at the path; lists on the way get one element."""
    at = body
    for step, after in zip(path, path[1:]):
        if isinstance(step, int):
            at = at[0]
        else:
            at = at.setdefault(step, [{}] if isinstance(after, int) else {})
    at[path[-1]] = value
    return body


def required(operation):
    return {m["name"]: [{}] if m["kind"] == "structures" else (at_the_bounds(m) or [None])[0]
            for m in operation["input"] if m["required"]}


def check(running, name, body, violations):
    answer = call(running, name, body)
    wanted = message(violations)
    assert (answer.status, answer.json) == (400, {"__type": "ValidationException", "message": wanted}), f"{name} {str(body)[:300]}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_rule(running, name):
    operation, tried = OPERATIONS[name], 0
    for member, path, text in leaves(operation["input"]):
        for value in wrong_values(member):
            check(running, name, put(required(operation), path, value), sentences(member, text, value))
            tried += 1
    assert tried > 0, "an operation without any bound?"


@pytest.mark.parametrize("name", OPERATIONS)
def test_required_members(running, name):
    operation = OPERATIONS[name]
    null = "Value null at '%s' failed to satisfy constraint: Member must not be null"
    names = [m["name"] for m in operation["input"] if m["required"]]
    for missing in names:
        for body in ({k: v for k, v in required(operation).items() if k != missing}, {**required(operation), missing: None}):
            check(running, name, body, [null % lower(missing)])
    if names:
        check(running, name, {}, [null % lower(m["name"]) for m in operation["input"] if m["required"]])


@pytest.mark.parametrize("name", OPERATIONS)
def test_all_rules_at_once(running, name):
    """In the order of the members, joined with '; '."""
    body, violations = {}, []
    for member, path, text in leaves(OPERATIONS[name]["input"]):
        short = [v for v in wrong_values(member) if len(str(v)) < 100]
        if short and member["kind"] != "structures":
            put(body, path, short[-1])
            violations += sentences(member, text, short[-1])
    check(running, name, body, violations)


@pytest.mark.parametrize("name", OPERATIONS)
def test_bounds_are_inside(running, name):
    """What is just right is not complained of, beside one thing that is wrong so that nothing happens."""
    operation = OPERATIONS[name]
    for member, path, text in leaves(operation["input"]):
        for value in at_the_bounds(member):
            for other in operation["input"]:
                wrong = [v for v in wrong_values(other) if len(str(v)) < 100]
                if other["name"] != path[0] and wrong:
                    body = put({**required(operation), other["name"]: wrong[-1]}, path, value)
                    check(running, name, body, sentences(other, lower(other["name"]), wrong[-1]))
                    break


@pytest.mark.parametrize("name", OPERATIONS)
def test_wrong_types(running, name):
    """1.6: a JSON type mismatch is a SerializationException, and nothing of the value is repeated."""
    operation = OPERATIONS[name]
    told = {"string": (7, "NUMBER_VALUE cannot be converted to String"), "blob": (True, "TRUE_VALUE cannot be converted to Blob"),
            "boolean": (MARK, "STRING_VALUE cannot be converted to Boolean"), "integer": (MARK, "STRING_VALUE cannot be converted to Integer"),
            "strings": (MARK, "Expected list or null"), "structures": (MARK, "Expected list or null"),
            "structure": (MARK, "Expected structure or null")}
    for member, path, _ in leaves(operation["input"]):
        value, text = told[member["kind"]]
        answer = call(running, name, put(required(operation), path, value))
        assert (answer.status, answer.json) == (400, {"__type": "SerializationException", "message": text}), path
        for group in ([], {}):
            if isinstance(group, list) != (member["kind"] in ("strings", "structures")) and \
                    isinstance(group, dict) != (member["kind"] == "structure"):
                answer = call(running, name, put(required(operation), path, group))
                assert answer.code == "SerializationException" and "found where not expected." in answer.text, path


def as_members(value, name=""):
    """The parameters of the Query form (1.11)."""
    if isinstance(value, dict) and (value or not name):
        return [pair for key, v in value.items() for pair in as_members(v, f"{name}.{key}" if name else key)]
    if isinstance(value, list) and value:
        return [pair for i, v in enumerate(value) for pair in as_members(v, f"{name}.member.{i + 1}")]
    return [(name, "" if value in ([], {}) else str(value).lower() if isinstance(value, bool) else value)]


def as_presigned(body):
    """What botocore makes of them in a URL (1.10)."""
    return [(name, v) for name, value in body.items() for v in ((value or [""]) if isinstance(value, list) else [value])]


@pytest.mark.parametrize("write", [as_members, as_presigned])
@pytest.mark.parametrize("name", OPERATIONS)
def test_other_forms_say_the_same(running, name, write):
    """Every member reaches the same check in the Query form, and as a presigned URL has it."""
    operation, bodies = OPERATIONS[name], []
    for member, path, text in leaves(operation["input"]):
        bodies += [(put(required(operation), path, v), sentences(member, text, v)) for v in wrong_values(member) if v != [""]]
        bodies += [(put(required(operation), path, v), None) for v in at_the_bounds(member) if not member["sensitive"]]
    for body, violations in bodies:
        data = form([("Action", name), ("Version", "2017-10-17"), *write(body)]).encode()
        answer = send(running, headers=Signer(running).sign(headers={"Content-Type": FORM_TYPE}, body=data), body=data)
        if len(write(body)) > 1000:
            assert answer.text == "The request has more than 1024 parameters"
        elif violations is not None:
            assert answer.json == {"__type": "ValidationException", "message": message(violations)}, data[:300]
        else:
            assert answer.code not in ("SerializationException", "ValidationException") or "Invalid name. " in answer.text, (data[:300], answer)


def takes_a_name(operation):
    return next((m["name"] for m in operation["input"] if m["name"] in ("SecretId", "Name")), None)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if takes_a_name(OPERATIONS[name])])
def test_characters_of_names(running, name):
    """2.2 [rec]: one text for every operation that takes a name or a SecretId."""
    member = takes_a_name(OPERATIONS[name])
    token = {m["name"]: "0" * 32 for m in OPERATIONS[name]["input"] if m.get("idempotency_token")}
    for bad in ("Inv Name", " Inv Name", " Inv*Name? ", " Inv *?!]Name\\-", "a:b", "\u00e9", "a\n"):
        answer = call(running, name, {**required(OPERATIONS[name]), **token, member: bad})
        assert (answer.status, answer.json) == (400, {
            "__type": "ValidationException",
            "message": "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"}), bad
    for good in ("Valid/_+=.@-Name", "Valid/_+=.@-Name-a1b2", "Valid/_+=.@-Name-a1b2c3-", "Valid/_+=.@-Name-a1b2c3"):
        answer = call(running, name, {**required(OPERATIONS[name]), **token, member: good})
        assert answer.code != "ValidationException", (good, answer)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if any(m.get("idempotency_token") for m in OPERATIONS[name]["input"])])
def test_missing_token(running, name):
    """2.4 [rec]: the same text, but for Rotate another code; and before anything is said of a secret that is not there (1.6)."""
    answer = call(running, name, required(OPERATIONS[name]))
    assert (answer.status, answer.json) == (400, {
        "__type": "InvalidParameterException" if name == "RotateSecret" else "InvalidRequestException",
        "Message": "You must provide a ClientRequestToken value. We recommend a UUID-type value."})


def test_sensitive_values_are_never_repeated(running):
    tried = set()
    for name, operation in OPERATIONS.items():
        for member, path, _ in leaves(operation["input"]):
            if not member["sensitive"]:
                continue
            tried.add(member["name"])
            values = [MARK * 20000, MARK + "!{}", MARK + "\0", [MARK], {MARK: MARK}]
            for value in values:
                answer = call(running, name, put(required(operation), path, value))
                assert answer.status == 400 and MARK.encode() not in answer.body, (name, path)
    assert {"SecretString", "SecretBinary", "RotationToken"} <= tried  # 2.1: never echo them


def test_lengths_are_characters(running):
    member = next(m for m in OPERATIONS["CreateSecret"]["input"] if m["name"] == "Description")
    check(running, "CreateSecret", {"Name": "", "Description": "\U0001f512" * 2048},
          ["Value '' at 'name' failed to satisfy constraint: Member must have length greater than or equal to 1"])
    check(running, "CreateSecret", {"Name": "x", "Description": "\U0001f512" * 2049},
          sentences(member, "description", "\U0001f512" * 2049))


# 2.3, as it stands in the reference: so that the table cannot drift together with the test above.
REFERENCE = {
    "SecretId": (1, 2048), "Name": (1, 512), "ClientRequestToken": (32, 64), "VersionId": (32, 64), "MoveToVersionId": (32, 64),
    "RemoveFromVersionId": (32, 64), "VersionStage": (1, 256), "VersionStages": (1, 20), "Description": (None, 2048),
    "KmsKeyId": (None, 2048), "SecretString": (1, 65536), "SecretBinary": (1, 65536), "Tags": (None, None), "TagKeys": (None, None),
    "AddReplicaRegions": (1, None), "Region": (1, 128), "RemoveReplicaRegions": (1, None), "RecoveryWindowInDays": (None, None),
    "PasswordLength": (1, 4096), "ExcludeCharacters": (None, 4096), "NextToken": (1, 4096), "Filters": (None, 10), "Values": (1, 10),
    "ResourcePolicy": (1, 20480), "RotationLambdaARN": (None, 2048), "RotationRules": (None, None), "AutomaticallyAfterDays": (1, 1000),
    "Duration": (2, 3), "ScheduleExpression": (1, 256), "SecretIdList": (1, 20), "RotationToken": (36, 256), "Type": (None, 256),
    "ExternalSecretRotationRoleArn": (20, 2048), "ExternalSecretRotationMetadata": (None, None),
    "MaxResults": (1, 100), "BatchGetSecretValue MaxResults": (1, 20),
    "Tags.Key": (1, 128), "Tags.Value": (None, 256), "Filters.Key": (None, None),
    "ExternalSecretRotationMetadata.Key": (1, 256), "ExternalSecretRotationMetadata.Value": (1, 2048),
    "SortOrder": (None, None), "SortBy": (None, None),
}
ELEMENTS = {"VersionStages": (1, 256), "TagKeys": (1, 128), "RemoveReplicaRegions": (1, 128), "Values": (None, 512),
            "SecretIdList": (1, 2048)}


@pytest.mark.parametrize("name", OPERATIONS)
def test_bounds_are_those_of_the_reference(name):
    for member, path, _ in leaves(OPERATIONS[name]["input"]):
        if member["kind"] == "boolean":
            continue
        names = [step for step in path if isinstance(step, str)]
        keys = (f"{name} {names[-1]}", ".".join(names), names[-1])
        key = next((key for key in keys if key in REFERENCE), None)
        assert key, f"{path} is not in the reference's table"
        assert (member.get("min"), member.get("max")) == REFERENCE[key], path
        if member["kind"] == "strings":
            assert (member["element"].get("min"), member["element"].get("max")) == ELEMENTS[names[-1]], path
