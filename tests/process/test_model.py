"""The table of operations against the newest published model: the SDK for JavaScript from npm (its schemas and types).

The older model of the installed botocore knows bounds and patterns, which no SDK for JavaScript has: tests/lint/operations_vs_botocore.py.
What is known and deliberate stands there, in NOT_YET, and here, in OURS; a line that speaks of nothing is an error in both.
"""
import importlib.util
import json
import pathlib
import re
import subprocess

import pytest

from cluster import BINARY
from test_js import installed_client

LINT = pathlib.Path(__file__).resolve().parents[1] / "lint" / "operations_vs_botocore.py"
TABLE = {operation["name"]: operation for operation in json.loads(
    subprocess.run([BINARY, "operations", "--json"], check=True, stdout=subprocess.PIPE).stdout)["operations"]}
KINDS = {"string": "string", "blob": "blob", "boolean": "boolean", "integer": "number", "timestamp": "timestamp", "strings": "list",
         "structures": "list", "structure": "structure", "stages": "map"}

# What the table has and the newest model has not: (operation, side, member) or (operation, error).
OURS = set()


def load_lint():
    spec = importlib.util.spec_from_file_location("operations_vs_botocore", LINT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Sdk:
    """Schemas by running the client, the rest from its types."""

    def __init__(self):
        folder, node = installed_client()
        done = subprocess.run([node, "model.mjs"], cwd=folder, check=True, capture_output=True, text=True, timeout=120)
        model = json.loads(done.stdout)
        package = folder / "node_modules" / "@aws-sdk" / "client-secrets-manager"
        self.version = json.loads((package / "package.json").read_text())["version"]
        self.operations, self.enums = model["operations"], model["enums"]
        assert {f"{name}Command" for name in self.operations} == set(model["commands"])  # the schemas are all there
        types = (package / "dist-types" / "models" / "models_0.d.ts").read_text()
        types = re.sub(r"/\*.*?\*/", "", types, flags=re.S)
        # {shape: {member: (is required, the name of its type)}}
        self.types = {name: {m: (not optional, kind) for m, optional, kind in re.findall(r"^    (\w+)(\??): (.*?);$", body, flags=re.M)}
                      for name, body in re.findall(r"export interface (\w+) \{(.*?)^\}", types, flags=re.S | re.M)}
        self.errors = {name: set(re.findall(r"@throws \{@link (\w+)\} \(", (package / "dist-types" / "commands" /
                                                                             f"{name}Command.d.ts").read_text()))
                       for name in self.operations}

    def enum_of(self, shape, member):
        """The values of a member's enumeration; None: it has none."""
        words = re.findall(r"\w+", self.types[shape][member][1])
        return next((set(self.enums[word]) for word in words if word in self.enums), None)


@pytest.fixture(scope="module")
def sdk():
    return Sdk()


def compare(sdk, operation, side, prefix, theirs, members):
    """Yields (key, problem)."""
    ours = {member["name"]: member for member in members}
    for name in theirs["members"].keys() - ours.keys():
        yield (operation, side, prefix + name), "is missing"
    for name, member in ours.items():
        key = (operation, side, prefix + name)
        if name not in theirs["members"]:
            yield key, "is not in the model"
            continue
        their = theirs["members"][name]
        if KINDS[member["kind"]] != their["kind"]:
            yield key, f"is {member['kind']}, the model says {their['kind']}"
            continue
        for flag in ("sensitive", "idempotency_token"):
            if member.get(flag, False) != their[flag]:
                yield key, f"{flag} is {member.get(flag, False)}, the model says {their[flag]}"
        if side == "input":
            required = sdk.types[theirs["shape"]][name][0]
            if member["required"] != required:
                yield key, f"required is {member['required']}, the model says {required}"
            enum = sdk.enum_of(theirs["shape"], name)
            if (set(member["enum"]) if "enum" in member else None) != enum:
                yield key, f"the enumeration is {member.get('enum')}, the model says {enum}"
        if "members" in member:
            inner = their if their["kind"] == "structure" else their["element"]
            yield from compare(sdk, operation, side, prefix + name + ".", inner, member["members"])
        elif member["kind"] == "strings" and their["element"]["kind"] != "string":
            yield key, f"its elements are {their['element']['kind']}"


def all_keys(operation, side, prefix, shape):
    """Every member below a shape."""
    for name, member in shape["members"].items():
        yield (operation, side, prefix + name)
        inner = member.get("element", member)
        if "members" in inner:
            yield from all_keys(operation, side, prefix + name + ".", inner)


def test_types_are_understood(sdk):
    """The test of the test: what is read from the SDK's text is there."""
    print(f"SDK {sdk.version}")
    assert sdk.types["CreateSecretRequest"]["Name"] == (True, "string | undefined")
    assert sdk.types["CreateSecretRequest"]["Description"] == (False, "string | undefined")
    assert "name" in sdk.enum_of("Filter", "Key") and sdk.enum_of("Filter", "Values") is None
    assert {"ResourceNotFoundException", "InternalServiceError"} <= sdk.errors["GetSecretValue"]
    assert all(sdk.errors.values())


def test_all_operations(sdk):
    assert TABLE.keys() - sdk.operations.keys() == set()
    assert load_lint().missing_operations(sdk.operations, TABLE) == []


def test_members_and_errors(sdk):
    lint = load_lint()
    found = []
    for name, ours in TABLE.items():
        for side in ("input", "output"):
            theirs = sdk.operations[name][side] or {"members": {}}
            found += compare(sdk, name, side, "", theirs, ours[side])
        for error in sdk.errors[name] ^ set(ours["errors"]):
            found.append(((name, error), "is missing" if error in sdk.errors[name] else "is not in the model"))
    excused = lint.NOT_YET | OURS
    problems = [f"{' '.join(key)}: {problem}" for key, problem in found if key not in excused]
    assert not problems, f"SDK {sdk.version}:\n" + "\n".join(sorted(problems))
    assert excused <= {key for key, _ in found}, "an excuse for what is no difference: " + str(excused - {key for key, _ in found})


def test_what_the_older_model_lacks_is_in_the_newest(sdk):
    """The lists of the other comparison say what is newer than its model: here it must be."""
    lint = load_lint()
    everything = {key for name, sides in sdk.operations.items() for side, shape in sides.items() if shape
                  for key in all_keys(name, side, "", shape)}
    assert lint.NEWER_OPERATIONS <= sdk.operations.keys()
    assert lint.NEWER_MEMBERS <= everything
    assert all(error in sdk.errors[name] for name, error in lint.NEWER_ERRORS)
    assert set(lint.NEWER_RULES["Filters.Key", "enum"][1]) == set(sdk.enums["FilterNameStringType"])
