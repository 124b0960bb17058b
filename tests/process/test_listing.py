"""Lists over real HTTP: pages while several writers work, in every order; filters; many values at once; paginators of boto3.

The installed botocore knows neither SortBy nor BatchGetSecretValue, so these are signed by hand.
"""
import http.client
import itertools
import json
import os
import random
import threading
import time
import uuid

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cluster import Cluster, eventually, wait_in_sync

SEED = int(os.environ.get("REDOUBT_SEED") or random.randrange(2**32))
HOME, AWAY = "us-east-1", "eu-west-1"
ORDERS = list(itertools.product(("created-date", "last-changed-date", "last-accessed-date", "name"), ("asc", "desc")))
STABLE, MOVING, WRITERS = 60, 20, 4


@pytest.fixture(scope="module")
def running():
    with Cluster([HOME, AWAY]) as cluster:
        yield cluster.start()


class Caller:
    """One connection; one thread."""

    def __init__(self, cluster, region=HOME, via=None):
        self.cluster, self.region = cluster, region
        self.url = cluster.endpoint(via or region)
        self.connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)

    def call(self, operation, **members):
        body = json.dumps(members)
        request = AWSRequest("POST", self.url + "/", data=body, headers={
            "X-Amz-Target": f"secretsmanager.{operation}", "Content-Type": "application/x-amz-json-1.1"})
        SigV4Auth(Credentials(self.cluster.access_key, self.cluster.secret_key), "secretsmanager", self.region).add_auth(request)
        self.connection.request("POST", "/", body, dict(request.headers.items()))
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")

    def ok(self, operation, **members):
        if operation in ("CreateSecret", "PutSecretValue"):
            members.setdefault("ClientRequestToken", str(uuid.uuid4()))
        status, answer = self.call(operation, **members)
        assert status == 200, (operation, members, answer)
        return answer

    def pages(self, operation, **members):
        token = {}
        while True:
            answer = self.ok(operation, **members, **token)
            yield answer
            if "NextToken" not in answer:
                return
            token = {"NextToken": answer["NextToken"]}

    def entries(self, operation, member, **members):
        return [entry for page in self.pages(operation, **members) for entry in page[member]]


def names(entries):
    return [entry["Name"] for entry in entries]


class Writers:
    """Threads that create, change, read and delete; none of them comes near the names that begin with "stable"."""

    def __init__(self, cluster):
        self.stop = threading.Event()
        self.failures = []
        self.rounds = 0
        self.run_id = uuid.uuid4().hex[:8]
        self.threads = [threading.Thread(target=self.run, args=(Caller(cluster), random.Random(SEED + i), i)) for i in range(WRITERS)]

    def run(self, caller, rng, number):
        mine = []
        try:
            for count in itertools.count():
                if self.stop.is_set():
                    break
                kind = rng.randrange(6)
                if kind < 2:
                    mine.append(f"passing/{self.run_id}/{number}/{count}")
                    caller.ok("CreateSecret", Name=mine[-1], SecretString="v", Description="stable words, passing secret")
                elif kind < 3 and mine:
                    caller.ok("DeleteSecret", SecretId=mine.pop(rng.randrange(len(mine))), ForceDeleteWithoutRecovery=True)
                elif kind < 5:
                    caller.ok("PutSecretValue", SecretId=f"moving/{rng.randrange(MOVING):02d}", SecretString="v")
                else:
                    caller.ok("GetSecretValue", SecretId=f"moving/{rng.randrange(MOVING):02d}")
                self.rounds += 1
            for name in mine:
                caller.ok("DeleteSecret", SecretId=name, ForceDeleteWithoutRecovery=True)
        except Exception as failure:  # told by __exit__
            self.failures.append(failure)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures


@pytest.fixture(scope="module")
def filled(running):
    """Secrets that stay as they are, in an order of reading and changing that is not that of their names, and some that move."""
    caller = Caller(running)
    rng = random.Random(SEED)
    print(f"seed {SEED}")
    stable = [f"stable/{i:03d}" for i in range(STABLE)]
    for name in rng.sample(stable, STABLE):
        caller.ok("CreateSecret", Name=name, SecretString="v", Description="of the stable kind",
                  Tags=[{"Key": "kind", "Value": "stable"}, {"Key": "parity", "Value": "even" if int(name[-1]) % 2 == 0 else "odd"}])
    for i in range(MOVING):
        caller.ok("CreateSecret", Name=f"moving/{i:02d}", SecretString="v")
    for name in rng.sample(stable, STABLE // 2):
        caller.ok("PutSecretValue", SecretId=name, SecretString="w")
    for name in rng.sample(stable, STABLE // 3):
        caller.ok("GetSecretValue", SecretId=name)
    eventually(lambda: sum("LastAccessedDate" in e for e in caller.entries("ListSecrets", "SecretList")) >= STABLE // 3)
    return running


def unchanged(entries):
    return [name for name in names(entries) if name.startswith("stable/")]


def in_order(listed, sort_by, direction):
    """By the members that the entries show; ties in order of creation, which they do not show. Of secrets that one caller created
    one after the other: two that are created at once may get their dates in one order and their places in the other."""
    member = {"created-date": "CreatedDate", "last-changed-date": "LastChangedDate", "last-accessed-date": "LastAccessedDate",
              "name": "Name"}[sort_by]
    keys = [entry["Name"].encode() if member == "Name" else entry.get(member, -1) for entry in listed]
    return keys == sorted(keys, reverse=direction == "desc")


@pytest.mark.parametrize("sort_by,direction", ORDERS)
def test_pages_under_writers(filled, sort_by, direction):
    """What does not change is there once, in its place; under an order that cannot change, so is all that existed throughout."""
    caller = Caller(filled)
    query = {"SortBy": sort_by, "SortOrder": direction}
    quiet = unchanged(caller.entries("ListSecrets", "SecretList", **query))
    assert len(quiet) == STABLE
    rng = random.Random(SEED)
    with Writers(filled) as writers:
        began = time.monotonic()
        while time.monotonic() - began < 2.0 or writers.rounds <= 100:
            before = {e["ARN"] for e in caller.entries("ListSecrets", "SecretList", MaxResults=100)}
            listed = caller.entries("ListSecrets", "SecretList", MaxResults=rng.randint(1, 25), **query)
            after = {e["ARN"] for e in caller.entries("ListSecrets", "SecretList", MaxResults=100)}
            assert unchanged(listed) == quiet
            arns = [entry["ARN"] for entry in listed]
            if sort_by in ("created-date", "name"):
                assert len(set(arns)) == len(arns), "shown twice"
                assert before & after <= set(arns), "skipped"
            assert not writers.failures, writers.failures
    assert in_order(caller.entries("ListSecrets", "SecretList", MaxResults=7, **query), sort_by, direction)


def test_filtered_pages_under_writers(filled):
    """The writers' secrets have the words of the description, not the tag."""
    caller = Caller(filled)
    filters = [{"Key": "all", "Values": ["stab", "none"]}, {"Key": "tag-value", "Values": ["odd"]}, {"Key": "name", "Values": ["!moving"]}]
    expected = sorted(f"stable/{i:03d}" for i in range(STABLE) if i % 2)
    with Writers(filled) as writers:
        began = time.monotonic()
        while time.monotonic() - began < 2.0 or writers.rounds <= 100:
            listed = caller.entries("ListSecrets", "SecretList", MaxResults=4, Filters=filters, SortBy="name")
            assert names(listed) == expected
            read = caller.entries("BatchGetSecretValue", "SecretValues", MaxResults=4, Filters=filters)
            assert sorted(names(read)) == expected and {e["SecretString"] for e in read} <= {"v", "w"}
            assert not writers.failures, writers.failures


def test_versions_under_a_writer(running):
    caller, writer = Caller(running), Caller(running)
    first = caller.ok("CreateSecret", Name="versions", SecretString="0")["VersionId"]
    known = [first]
    for i in range(30):
        known.append(caller.ok("PutSecretValue", SecretId="versions", SecretString=str(i))["VersionId"])
    stop, failures = threading.Event(), []

    def write():
        try:
            for i in range(40):
                writer.ok("PutSecretValue", SecretId="versions", SecretString=f"more {i}")
        except Exception as failure:
            failures.append(failure)
        finally:
            stop.set()

    thread = threading.Thread(target=write)
    thread.start()
    while True:
        last_turn = stop.is_set()
        listed = caller.entries("ListSecretVersionIds", "Versions", SecretId="versions", IncludeDeprecated=True, MaxResults=3)
        ids = [entry["VersionId"] for entry in listed]
        assert ids[:len(known)] == known and len(set(ids)) == len(ids)
        if last_turn:
            break
    thread.join()
    assert not failures and len(ids) == 71
    labelled = caller.entries("ListSecretVersionIds", "Versions", SecretId="versions", MaxResults=1)
    assert [entry["VersionStages"] for entry in labelled] == [["AWSPREVIOUS"], ["AWSCURRENT"]]
    assert {tuple(entry["KmsKeyIds"]) for entry in labelled} == {("DefaultEncryptionKey",)}


def test_boto3(filled):
    """An unmodified client: paginator, filters, versions, errors."""
    client = filled.client(HOME)
    pages = list(client.get_paginator("list_secrets").paginate(
        Filters=[{"Key": "tag-key", "Values": ["kind"]}], SortOrder="desc", PaginationConfig={"PageSize": 7}))
    listed = [row["Name"] for page in pages for row in page["SecretList"]]
    assert len(pages) == -(-STABLE // 7) and len(listed) == len(set(listed)) == STABLE
    found = client.list_secrets(Filters=[{"Key": "name", "Values": ["stable/00"]}, {"Key": "tag-value", "Values": ["even"]}])
    assert sorted(names(found["SecretList"])) == [f"stable/00{i}" for i in (0, 2, 4, 6, 8)] and "NextToken" not in found
    with pytest.raises(client.exceptions.InvalidNextTokenException) as caught:
        client.list_secrets(NextToken="bm90IG91cnM=")
    assert caught.value.response["Error"]["Message"] == "The NextToken value is invalid."
    with pytest.raises(client.exceptions.InvalidParameterException, match="Invalid filter values for key: name"):
        client.list_secrets(Filters=[{"Key": "name"}])
    versions = client.list_secret_version_ids(SecretId="stable/000", IncludeDeprecated=True)
    assert versions["Name"] == "stable/000" and versions["Versions"][0]["KmsKeyIds"] == ["DefaultEncryptionKey"]


def test_regions(running):
    """What PrimaryRegion shows is what the filter finds; a replica's versions and values are listed where it lives."""
    client = running.client(HOME)
    client.create_secret(Name="both/sides", SecretString="s", AddReplicaRegions=[{"Region": AWAY}])
    wait_in_sync(client, "both/sides", [AWAY])
    running.client(AWAY).create_secret(Name="only/away", SecretString="t")
    home, away = Caller(running), Caller(running, AWAY, via=HOME)  # through the other region's door

    def found(caller, *values):
        return names(caller.entries("ListSecrets", "SecretList", Filters=[{"Key": "primary-region", "Values": list(values)}]))

    assert found(home, HOME) == found(home, "us") == ["both/sides"] and found(home, AWAY) == []
    assert found(away, HOME) == ["both/sides"] and found(away, AWAY) == []
    assert found(away, "!" + HOME) == ["only/away"]
    entry = away.entries("ListSecrets", "SecretList", Filters=[{"Key": "all", "Values": ["sides"]}])[0]
    assert entry["PrimaryRegion"] == HOME and AWAY in entry["ARN"]
    assert away.ok("ListSecretVersionIds", SecretId="both/sides")["Versions"][0]["VersionStages"] == ["AWSCURRENT"]
    read = away.ok("BatchGetSecretValue", SecretIdList=["only/away", "nothing", "both/sides"])
    assert [(e["Name"], e["SecretString"]) for e in read["SecretValues"]] == [("only/away", "t"), ("both/sides", "s")]
    assert read["Errors"] == [{"SecretId": "nothing", "ErrorCode": "ResourceNotFoundException",
                               "Message": "Secrets Manager can't find the specified secret."}]


def test_many_values_at_once(running):
    """Twenty of the largest values that are all escapes: some 8 MB of answer; each read is noted."""
    caller = Caller(running)
    value = "\x01" * 65536
    listed = [f"large/{i:02d}" for i in range(20)]
    for name in listed:
        caller.ok("CreateSecret", Name=name, SecretString=value)
    read = caller.ok("BatchGetSecretValue", SecretIdList=listed)
    assert names(read["SecretValues"]) == listed and {e["SecretString"] for e in read["SecretValues"]} == {value}
    assert names(Caller(running, HOME, via=AWAY).ok("BatchGetSecretValue", SecretIdList=listed)["SecretValues"]) == listed

    def noted():
        entries = caller.entries("ListSecrets", "SecretList", Filters=[{"Key": "name", "Values": ["large/"]}])
        return all("LastAccessedDate" in entry for entry in entries)
    eventually(noted, what="the day of the reads")
    caller.ok("DeleteSecret", SecretId="large/00")
    status, answer = caller.call("BatchGetSecretValue", SecretIdList=["large/00"], MaxResults=5)
    assert (status, answer["__type"]) == (400, "InvalidParameterException")
    assert answer["Message"] == "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided."
    read = caller.ok("BatchGetSecretValue", SecretIdList=["large/00"])
    assert read["SecretValues"] == [] and read["Errors"][0]["ErrorCode"] == "InvalidRequestException"
    assert "was marked for deletion" in read["Errors"][0]["Message"]
