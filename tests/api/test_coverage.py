"""Nothing is left out: every rule and every declared error has a test or a reason, and every mark names one of them."""
import gzip
import json
import pathlib

import botocore
import pytest

import proofs
from members import ERRORS, MEMBERS, MODELLED, OPERATIONS, REQUIRED, RESPONSES


@pytest.fixture(scope="module")
def marks():
    return proofs.collect()


def test_rules(marks):
    tests, _ = marks
    rows = proofs.table("rules.tsv", 4)
    ids = [row[0] for row in rows]
    assert len(ids) == len(set(ids)) and len(ids) > 400
    problems = [f"{rule}: {problem}" for rule, _, _, proof in rows if (problem := proofs.unproven(tests.get(rule), proof))]
    problems += [f"{rule}: in no line of rules.tsv, but named by {sorted(tests[rule])}" for rule in sorted(tests.keys() - set(ids))]
    problems += [f"{rule}: says {proof!r}, but {sorted(tests[rule])} proves it" for rule, _, _, proof in rows
                 if proof.startswith("not: ") and tests.get(rule)]
    assert not problems, "\n".join(problems)


def test_errors(marks):
    _, tests = marks
    reasons = {(operation, error): proof for operation, error, proof in proofs.table("errors.tsv", 3)}
    pairs = {(operation, error) for operation, errors in ERRORS.items() for error in errors}
    problems = [f"{pair}: {problem}" for pair in sorted(pairs) if (problem := proofs.unproven(tests.get(pair), reasons.get(pair, "")))]
    problems += [f"{pair}: provoked, but the operation does not declare it" for pair in sorted(tests.keys() - pairs) if pair[1] in MODELLED]
    idle = sorted(reasons.keys() - (pairs - tests.keys()))
    problems += [f"{pair}: in errors.tsv, but not declared, or a test provokes it" for pair in idle]
    assert not problems, "\n".join(problems)


def test_the_table_of_errors_is_current(marks):
    assert (proofs.HERE / "ERRORS.md").read_text(encoding="utf-8") == "\n".join(proofs.errors_report()) + "\n", \
        "run tests/api/proofs.py write"


def test_members_are_those_of_the_installed_model():
    """members.py against botocore's model: all that the model has is there; what is more came later."""
    folder = pathlib.Path(botocore.__file__).parent / "data" / "secretsmanager" / "2017-10-17"
    plain = folder / "service-2.json"
    model = json.loads(plain.read_text() if plain.exists() else gzip.open(f"{plain}.gz", "rt").read())
    for name, operation in model["operations"].items():
        assert name in OPERATIONS
        shape = model["shapes"][operation["input"]["shape"]]
        assert set(shape.get("required", [])) == set(REQUIRED[name])
        assert shape["members"].keys() <= set(MEMBERS[name])
        assert {error["shape"] for error in operation["errors"]} <= set(ERRORS[name])
        if "output" in operation:
            assert model["shapes"][operation["output"]["shape"]]["members"].keys() <= RESPONSES[name].keys()
