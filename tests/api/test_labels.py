"""Staging labels: the recorded transitions, UpdateSecretVersionStage's parameters, and the limits (3.4, 3.5)."""
import pytest

from marks import case, provokes, rule
from raw import ANY, ApiError, new_token
from texts import CURRENT_REMOVED, IP, LE, remove_from_needed

C, P, N = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"


class Versions:
    """A secret whose versions are called v1, v2, ... and whose value is that name."""

    def __init__(self, api, secrets):
        self.api = api
        self.ids = {1: new_token()}
        made = secrets.make("v1", ClientRequestToken=self.ids[1])
        self.arn, self.name = made["ARN"], made["Name"]

    def put(self, n, *labels, operation="PutSecretValue"):
        self.ids[n] = new_token()
        params = {"VersionStages": list(labels)} if labels else {}
        answer = self.api.call(operation, SecretId=self.name, SecretString=f"v{n}", ClientRequestToken=self.ids[n], **params)
        if operation == "PutSecretValue":
            assert set(answer["VersionStages"]) == set(labels or [C])
        return answer

    def move(self, label, start=None, end=None):
        params = {k: self.ids[n] for k, n in (("RemoveFromVersionId", start), ("MoveToVersionId", end)) if n}
        answer = self.api.call("UpdateSecretVersionStage", SecretId=self.name, VersionStage=label, **params)
        assert answer == {"ARN": self.arn, "Name": self.name}

    def labels(self):
        """{n: labels}, held against what Describe, ListSecretVersionIds and GetSecretValue say."""
        names = {version: n for n, version in self.ids.items()}
        described = self.api.call("DescribeSecret", SecretId=self.arn)["VersionIdsToStages"]
        found = {names[version]: set(labels) for version, labels in described.items()}
        listed = self.api.call("ListSecretVersionIds", SecretId=self.arn)["Versions"]
        assert {names[entry["VersionId"]]: set(entry["VersionStages"]) for entry in listed} == found
        every = self.api.call("ListSecretVersionIds", SecretId=self.arn, IncludeDeprecated=True)["Versions"]
        assert {names[entry["VersionId"]] for entry in every} == set(self.ids)
        flat = [label for labels in found.values() for label in labels]
        assert len(flat) == len(set(flat)) and C in flat
        for n, labels in found.items():
            for label in labels:
                answer = self.api.call("GetSecretValue", SecretId=self.arn, VersionStage=label)
                assert answer["SecretString"] == f"v{n}" and set(answer["VersionStages"]) == labels
        return found


def walk(versions, steps):
    """Steps: ("put", n, labels...), ("update", n), ("move", label, from, to), and {n: labels} that must be so."""
    for step in steps:
        if isinstance(step, dict):
            assert versions.labels() == {n: set(labels) for n, labels in step.items()}, step
        elif step[0] == "put":
            versions.put(*step[1:])
        elif step[0] == "update":
            versions.put(*step[1:], operation="UpdateSecret")
        else:
            versions.move(*step[1:])


WALKS = [
    case([("put", 2), {1: [P], 2: [C]}], rules=("3.5.move.1", "3.4.put.1", "3.5.label.3"), id="default"),
    case([("put", 2), ("put", 3), {2: [P], 3: [C]}], rules=("3.5.move.2", "3.5.stage.12"), id="default twice"),
    case([("update", 2), ("update", 3), {2: [P], 3: [C]}], rules=("3.4.update.3", "3.5.label.3"), id="update twice"),
    case([("put", 2, N), {1: [C], 2: [N]}], rules=("3.5.move.3", "3.4.put.2", "3.5.label.4"), id="pending"),
    case([("put", 2, N), ("move", C, 1, 2), {1: [P], 2: [C, N]}],
         rules=("3.5.move.4", "3.5.stage.2", "3.5.stage.10", "3.5.label.3"), id="pending becomes current"),
    case([("put", 2, N), ("move", C, 1, 2), ("put", 3), {2: [P], 3: [C]}], rules=("3.5.move.5", "3.4.put.7"),
         id="default while current has pending"),
    case([("put", 2, N), ("move", C, 1, 2), ("update", 3), {2: [P], 3: [C]}], rules=("3.4.put.7",),
         id="update while current has pending"),
    case([("put", 2, N), ("move", C, 1, 2), ("put", 3, N), {1: [P], 2: [C], 3: [N]}], rules=("3.5.move.6", "3.4.put.4"),
         id="the next pending"),
    case([("put", 2, N), ("move", C, 1, 2), ("put", 3, N), ("move", C, 2, 3), {2: [P], 3: [C, N]}],
         rules=("3.5.move.7", "3.5.stage.12"), id="the next pending becomes current"),
    case([("put", 2, N, "AWSSOMETHING", "PUT1"), {1: [C], 2: [N, "AWSSOMETHING", "PUT1"]},
          ("move", C, 1, 2), {1: [P], 2: [C, N, "AWSSOMETHING", "PUT1"]},
          ("put", 3, N, "PUT2"), {1: [P], 2: [C, "AWSSOMETHING", "PUT1"], 3: [N, "PUT2"]},
          ("move", C, 2, 3), {2: [P, "AWSSOMETHING", "PUT1"], 3: [C, N, "PUT2"]}],
         rules=("3.5.move.8", "3.5.move.9", "3.5.move.10", "3.5.move.11", "3.5.label.5", "3.4.put.2", "3.4.put.9"), id="custom labels"),
    case([("put", 2, C, "PUT0"), {1: [P], 2: [C, "PUT0"]}], rules=("3.5.move.12", "3.4.put.3"), id="current and a custom label"),
    case([("put", 2, C, "PUT0"), ("put", 3, C, "PUT1"), ("put", 4, N, "PUT2"), {2: [P, "PUT0"], 3: [C, "PUT1"], 4: [N, "PUT2"]},
          ("move", C, 3, 4), {2: ["PUT0"], 3: [P, "PUT1"], 4: [C, N, "PUT2"]}],
         rules=("3.5.move.13", "3.4.put.9", "3.5.label.3"), id="previous moves, custom labels stay"),
    case([("put", 2, "one", "two", "three"), ("put", 3, "one", "two", "three", "four"), {1: [C], 3: ["one", "two", "three", "four"]}],
         rules=("3.5.move.14", "3.4.put.4", "3.5.label.1", "3.5.stage.12"), id="all labels move"),
    case([("put", 2, "one", "two", "three"), ("put", 3, "one", "two", "four"), {1: [C], 2: ["three"], 3: ["one", "two", "four"]}],
         rules=("3.5.move.15", "3.4.put.4", "3.5.label.1"), id="some labels move"),
    case([("put", 2, "x"), ("put", 3), {1: [P], 2: ["x"], 3: [C]}], rules="3.4.put.9", id="default beside a custom label"),
    case([("move", "mine", None, 1), ("put", 2), {1: [P, "mine"], 2: [C]}], rules=("3.4.put.9", "3.5.stage.1"),
         id="custom labels stay on the old current version"),
    case([("put", 2, N), ("put", 3), {1: [P], 3: [C]}], rules=("3.4.put.8", "3.14.1.16"), id="default while another has pending"),
    case([("put", 2, N), ("update", 3), {1: [P], 3: [C]}], rules=("3.4.put.8", "3.14.1.16"), id="update while another has pending"),
    # UpdateSecretVersionStage's parameters
    case([("put", 2, "x"), ("move", "new", None, 1), {1: [C, "new"], 2: ["x"]}], rules="3.5.stage.1", id="attach"),
    case([("put", 2, "x"), ("move", "x", 2, 1), {1: [C, "x"]}], rules=("3.5.stage.2", "3.5.stage.12"), id="move"),
    case([("put", 2, "x", "y"), ("move", "x", 2, None), {1: [C], 2: ["y"]}], rules=("3.5.stage.5", "3.5.stage.11"), id="remove"),
    case([("put", 2), ("move", "x", None, 2), ("move", "x", 2, None), {1: [P], 2: [C]}], rules=("3.5.stage.5", "3.5.stage.11"),
         id="remove a custom label"),
    case([("put", 2, "x"), ("move", "x", None, 2), {1: [C], 2: ["x"]}], rules="3.5.stage.8", id="to where it is"),
    case([("put", 2), ("move", P, 1, 2), {2: [C, P]}], rules="3.5.label.3", id="previous by hand"),
    case([("put", 2), ("move", C, 2, 1), {1: [C], 2: [P]}], rules=("3.5.label.3", "3.5.stage.10"), id="back"),
    case([("put", 2, N), ("move", N, 2, None), {1: [C]}], rules=("3.5.stage.5", "3.14.1.16"), id="pending removed"),
]


@pytest.mark.parametrize("steps", WALKS)
def test_transitions(api, secrets, steps):
    walk(Versions(api, secrets), [{1: [C]}, *steps])


@rule("3.5.stage.9")
def test_the_answer(api, secrets):
    versions = Versions(api, secrets)
    versions.move("mine", None, 1)  # compares the answer


@rule("3.5.stage.3")
@provokes("UpdateSecretVersionStage", IP)
@pytest.mark.parametrize("label", [C, P, "mine"])
def test_remove_from_is_needed(api, secrets, label):
    versions = Versions(api, secrets)
    versions.put(2)
    versions.put(3, "mine")
    at = {C: 2, P: 1, "mine": 3}[label]
    for end in {1, 2, 3} - {at}:
        api.refused_as("UpdateSecretVersionStage", remove_from_needed(label, versions.ids[at]), SecretId=versions.name,
                       VersionStage=label, MoveToVersionId=versions.ids[end])
    assert versions.labels() == {1: {P}, 2: {C}, 3: {"mine"}}


@rule("3.5.stage.4")
@provokes("UpdateSecretVersionStage", IP)
@pytest.mark.parametrize("label", [C, P, "mine"])
def test_remove_from_another_version(api, secrets, label):
    versions = Versions(api, secrets)
    versions.put(2)
    versions.put(3, "mine")
    before = versions.labels()
    at = {C: 2, P: 1, "mine": 3}[label]
    for other in {1, 2, 3} - {at}:
        for end in (None, 1, 2, 3):
            params = {"MoveToVersionId": versions.ids[end]} if end else {}
            if label == C and end is None:
                continue  # which of its two mistakes is told first is not recorded
            api.refused("UpdateSecretVersionStage", IP, ANY, SecretId=versions.name, VersionStage=label,
                        RemoveFromVersionId=versions.ids[other], **params)
    assert versions.labels() == before


@rule("3.5.stage.6", "3.5.label.2", "2.4.8")
@provokes("UpdateSecretVersionStage", IP)
def test_current_cannot_be_removed(api, secrets):
    versions = Versions(api, secrets)
    versions.put(2)
    api.refused_as("UpdateSecretVersionStage", CURRENT_REMOVED, SecretId=versions.name, VersionStage=C,
                   RemoveFromVersionId=versions.ids[2])
    assert versions.labels() == {1: {P}, 2: {C}}


@rule("3.5.stage.7")
@pytest.mark.parametrize("which", ["MoveToVersionId", "RemoveFromVersionId"])
def test_an_unknown_version(api, secrets, which):
    versions = Versions(api, secrets)
    versions.put(2, "mine")
    with pytest.raises(ApiError) as caught:
        api.call("UpdateSecretVersionStage", SecretId=versions.name, VersionStage="new" if which == "MoveToVersionId" else "mine",
                 **{which: new_token()})
    assert caught.value.code in (IP, "ResourceNotFoundException")
    assert versions.labels() == {1: {C}, 2: {"mine"}}


@rule("3.5.stage.7")
def test_neither_version(api, secrets):
    """Nothing to do: success or InvalidParameterException is not recorded."""
    versions = Versions(api, secrets)
    try:
        api.call("UpdateSecretVersionStage", SecretId=versions.name, VersionStage="new")
    except ApiError as error:
        assert error.code in (IP, "InvalidRequestException")
    assert versions.labels() == {1: {C}}


@rule("3.5.label.5", "2.3.6")
def test_what_a_label_may_be(api, secrets):
    versions = Versions(api, secrets)
    labels = ["x" * 256, "with blanks and: = signs", "é\U0001f512", "awscurrent", "AWS"]
    versions.put(2, *labels)
    assert versions.labels() == {1: {C}, 2: set(labels)}


@rule("3.5.label.6", "1.5.5")
@provokes("PutSecretValue", LE)
def test_twenty_labels_by_put(api, secrets):
    versions = Versions(api, secrets)
    versions.put(2, *(f"l{i}" for i in range(18)))
    versions.put(3, "l18")  # with AWSCURRENT: 20
    api.refused("PutSecretValue", LE, ANY, SecretId=versions.name, SecretString="x", VersionStages=["one more"])
    versions.ids[4] = new_token()
    api.call("PutSecretValue", SecretId=versions.name, SecretString="v4", ClientRequestToken=versions.ids[4], VersionStages=["l18"])
    assert versions.labels() == {1: {C}, 2: {f"l{i}" for i in range(18)}, 4: {"l18"}}


@rule("3.5.label.6")
@provokes("UpdateSecretVersionStage", LE)
def test_twenty_labels_by_hand(api, secrets):
    versions = Versions(api, secrets)
    versions.put(2, *(f"l{i}" for i in range(19)))
    api.refused("UpdateSecretVersionStage", LE, ANY, SecretId=versions.name, VersionStage="one more", MoveToVersionId=versions.ids[1])
    versions.move("l0", 2, 1)
    versions.move("l1", 2, None)
    versions.move("one more", None, 1)
    assert versions.labels() == {1: {C, "l0", "one more"}, 2: {f"l{i}" for i in range(2, 19)}}
