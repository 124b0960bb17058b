#!/usr/bin/python3
"""Compare the table of operations with the service's published model, as botocore carries it.

usage: operations_vs_botocore.py REDOUBT

Runs `REDOUBT operations --json` and holds every operation in it against secretsmanager/2017-10-17: the members of requests
and replies, what is required, bounds, patterns, enumerations, which members are sensitive, and the errors; and every
operation of the model must be in the table. The installed model may be older than the service; what we know better, or do
not do yet, stands below, one line each with its reason. A line there that speaks of something our table does not have is an
error too, so that the list cannot rot. tests/process/test_model.py holds the table, and these lists, against the newest SDK.
"""
import gzip
import json
import os
import subprocess
import sys

import botocore

# Operations that newer models have and the installed one may not.
NEWER_OPERATIONS = {
    "BatchGetSecretValue",  # November 2023
}

# Members that newer models have and the installed one may not. (operation, side, member)
NEWER_MEMBERS = {
    ("ListSecrets", "input", "IncludePlannedDeletion"),  # 2023
    ("ListSecrets", "input", "SortBy"),  # 2026
    ("PutSecretValue", "input", "RotationToken"),  # 2024
    ("CreateSecret", "input", "Type"),  # 2025
    ("UpdateSecret", "input", "Type"),  # 2025
    ("RotateSecret", "input", "ExternalSecretRotationMetadata"),  # 2025
    ("RotateSecret", "input", "ExternalSecretRotationRoleArn"),  # 2025
} | {
    (operation, "output", prefix + member)  # 2023; 2025
    for operation, prefix in (("DescribeSecret", ""), ("ListSecrets", "SecretList."))
    for member in ("NextRotationDate", "Type", "ExternalSecretRotationMetadata", "ExternalSecretRotationRoleArn")
}

# Members of a model, this one or a newer one, that this release does not have. (operation, side, member)
NOT_YET = set()

# Errors that newer models list. (operation, error)
NEWER_ERRORS = {
    ("ListSecrets", "InvalidRequestException"),
}

# What a newer model says about a member that the installed one has. (member, property): (installed, ours)
NEWER_RULES = {
    ("SecretString", "min"): (None, 1),  # an empty value is refused today
    ("SecretBinary", "min"): (None, 1),
    ("RotationRules.Duration", "pattern"): ("[0-9h]+", "[0-9]+h"),
    ("Filters.Values[]", "pattern"): (
        r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-]*$",
        r"^\!?[a-zA-Z0-9 :_@\/\+\=\.\-\!]*$",  # '!' inside, too
    ),
    ("Filters.Key", "enum"): (  # the service prints its own order; sets are compared
        ("all", "description", "name", "primary-region", "tag-key", "tag-value"),
        ("all", "description", "name", "owning-service", "primary-region", "tag-key", "tag-value"),
    ),
}

KINDS = {
    "string": "string",
    "blob": "blob",
    "boolean": "boolean",
    "integer": ("integer", "long"),
    "timestamp": "timestamp",
    "strings": "list",
    "structure": "structure",
    "structures": "list",
    "stages": "map",
}


class Comparison:
    def __init__(self, model):
        self.shapes = model["shapes"]
        self.operations = model["operations"]
        self.problems = []
        self.seen = set()  # what our table has, in the words of the lists above

    def problem(self, where, text):
        self.problems.append(f"{where}: {text}")

    def rule(self, where, path, name, installed, ours):
        if (path, name) in NEWER_RULES and NEWER_RULES[path, name][1] == ours:
            self.seen.add((path, name))
        if installed != ours and NEWER_RULES.get((path, name)) != (installed, ours):
            self.problem(where, f"{name} is {ours!r}, the model says {installed!r}")

    def bounds(self, where, path, installed, ours):
        # A minimum of zero says nothing; the table does not carry it.
        self.rule(where, path, "min", installed.get("min") or None, ours.get("min"))
        self.rule(where, path, "max", installed.get("max"), ours.get("max"))
        self.rule(where, path, "pattern", installed.get("pattern"), ours.get("pattern"))
        values = [tuple(sorted(side["enum"])) if "enum" in side else None for side in (installed, ours)]
        self.rule(where, path, "enum", *values)

    def member(self, operation, side, path, installed, ours):
        where = f"{operation} {side} {path}"
        shape = self.shapes[installed["shape"]]
        kinds = KINDS[ours["kind"]]
        if shape["type"] not in (kinds if isinstance(kinds, tuple) else (kinds,)):
            self.problem(where, f"is {ours['kind']}, the model says {shape['type']}")
            return
        self.rule(where, path, "sensitive", shape.get("sensitive", False), ours["sensitive"])
        token = bool(installed.get("idempotencyToken"))
        self.rule(where, path, "idempotency_token", token, ours.get("idempotency_token", False))
        if side == "input":  # the bounds of replies are the service's promise, not a check
            self.bounds(where, path, shape, ours)
        if ours["kind"] == "strings" and side == "input":
            self.bounds(where, path + "[]", self.shapes[shape["member"]["shape"]], ours["element"])
        if ours["kind"] == "structures":
            self.members(operation, side, path + ".", self.shapes[shape["member"]["shape"]], ours["members"])
        if ours["kind"] == "structure":
            self.members(operation, side, path + ".", shape, ours["members"])

    def members(self, operation, side, prefix, shape, members):
        installed = shape["members"]
        required = set(shape.get("required", []))
        ours = {member["name"]: member for member in members}
        for name in installed.keys() - ours.keys():
            if (operation, side, prefix + name) not in NOT_YET:
                self.problem(f"{operation} {side}", f"{prefix}{name} is missing")
        for name, member in ours.items():
            path = prefix + name
            self.seen.add((operation, side, path))
            if name not in installed:
                if (operation, side, path) not in NEWER_MEMBERS:
                    self.problem(f"{operation} {side}", f"{path} is not in the model")
                continue
            if member["required"] != (name in required):
                self.problem(f"{operation} {side} {path}", f"required is {member['required']}")
            self.member(operation, side, path, installed[name], member)

    def operation(self, ours):
        name = ours["name"]
        installed = self.operations.get(name)
        if ours["action"] != f"secretsmanager:{name}":
            self.problem(name, f"its action is {ours['action']}")
        if installed is None:
            if name not in NEWER_OPERATIONS:
                self.problem(name, "is not an operation of the service")
            self.seen |= {key for key in NEWER_MEMBERS | NEWER_ERRORS if key[0] == name}  # for the newest SDK to judge
            return
        theirs = {error["shape"] for error in installed["errors"]}
        self.seen |= {(name, error) for error in ours["errors"]}
        for error in sorted(theirs ^ set(ours["errors"])):
            if (name, error) not in NEWER_ERRORS:
                self.problem(name, f"error {error} is {'missing' if error in theirs else 'not in the model'}")
        for side in ("input", "output"):
            shape = self.shapes[installed[side]["shape"]] if side in installed else {"members": {}}
            self.members(name, side, "", shape, ours[side])


def missing_operations(service, table):
    """Problems: the table is the whole service."""
    return [f"{name}: is missing" for name in sorted(set(service) - set(table))]


def model_load():
    """The model inside the installed package; no copy of it lies here."""
    folder = os.path.join(os.path.dirname(botocore.__file__), "data", "secretsmanager", "2017-10-17")
    plain = os.path.join(folder, "service-2.json")
    if os.path.exists(plain):
        with open(plain, encoding="utf-8") as file:
            return json.load(file)
    with gzip.open(plain + ".gz", "rt", encoding="utf-8") as file:
        return json.load(file)


def main():
    output = subprocess.run([sys.argv[1], "operations", "--json"], check=True, stdout=subprocess.PIPE).stdout
    operations = json.loads(output)["operations"]
    comparison = Comparison(model_load())
    names = [operation["name"] for operation in operations]
    if not names or len(set(names)) != len(names):
        comparison.problem("table", "is empty, or an operation stands in it twice")
    comparison.problems += missing_operations(comparison.operations.keys() | NEWER_OPERATIONS, names)
    for operation in operations:
        comparison.operation(operation)
    for key in sorted(NOT_YET & comparison.seen):
        comparison.problem("NOT_YET", f"{key} is in the table: take the line out")
    for key in sorted((NEWER_MEMBERS | NEWER_ERRORS | NEWER_RULES.keys()) - comparison.seen):
        comparison.problem("NEWER", f"{key} is not in the table: take the line out")
    for text in comparison.problems:
        print(text, file=sys.stderr)
    print(f"{len(names)} operations, {len(comparison.problems)} differences")
    return 1 if comparison.problems else 0


if __name__ == "__main__":
    sys.exit(main())
