"""Clients that use a region and record what they saw, misfortunes that befall it meanwhile, and a run of both that ends before the judge
(history.py). test_history*.py are the runs.

REDOUBT_SEED replays a run's choices (not its timing), REDOUBT_HISTORY_SECONDS makes it longer.
"""
import os
import random
import signal
import subprocess
import threading
import time
import uuid

import botocore.exceptions
import pytest

from cluster import BINARY, eventually
from history import OK, REFUSED, UNKNOWN, NO_SECRET, Operation, Violation, check_register
from worker import Worker

SEED = int(os.environ.get("REDOUBT_SEED") or random.randrange(2**32))
REGION = "us-east-1"
CLIENTS, FIXED = 7, 3  # so many of them stay each at one node, whatever happens to it, the others go anywhere
HOT_SECRETS = 3  # in use at a time, so that clients meet
WRITES_PER_SECRET = 60
STUCK_SECONDS = 3.0  # a client's patience: shorter than some pauses, so that outcomes stay unknown
ELECTION_SECONDS = 1.5  # well above the election timeout of a node
CONTENT_SECONDS = 400  # more than its time, for a nemesis on a busy machine to do all that it must
LEAST_WRITES = 100  # acknowledged, and as many reads: in any build, also on a busy machine
NO_ANSWER = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectionClosedError, botocore.exceptions.HTTPClientError)
NOT_SENT = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectTimeoutError)


def seconds(default):
    """How long a run takes."""
    return float(os.environ.get("REDOUBT_HISTORY_SECONDS", default))


# -- clients --

class Secrets:
    """Those in use, shared by the clients; one is retired when it has had its writes."""

    def __init__(self):
        self.lock = threading.Lock()
        self.hot = []  # [name, writes, acknowledged versions]
        self.names = []

    def pick(self, rng):
        """(name, True) for one to create, else (name, False)."""
        with self.lock:
            self.hot = [s for s in self.hot if s[1] < WRITES_PER_SECRET]
            if len(self.hot) < HOT_SECRETS:
                self.names.append(f"history/{len(self.names):04d}")
                self.hot.append([self.names[-1], 1, []])
                return self.names[-1], True
            return rng.choice(self.hot)[0], False

    def wrote(self, name):
        with self.lock:
            for s in self.hot:
                s[1] += s[0] == name

    def drop(self, name):
        """It was not created: another one is."""
        with self.lock:
            self.hot = [s for s in self.hot if s[0] != name]

    def acknowledged(self, name, version=None):
        with self.lock:
            for s in self.hot:
                if s[0] == name:
                    s[2] += [version] if version else []
                    return list(s[2])
            return []


class Client(Worker):
    """Does one thing after another at random nodes and records it. A write with a ClientRequestToken is sometimes sent again, to any node, when
    its outcome is unknown: with all its sendings it is one operation, to be done at most once."""

    refusals = {"EndpointConnectionError", "ConnectTimeoutError"}  # of which we know that nothing happened, and that tell nothing

    def __init__(self, number, clients, history, secrets):
        super().__init__(f"c{number}")
        self.clients, self.history, self.secrets = clients, history, secrets
        self.random = random.Random(SEED * 1000 + number)
        self.codes = {}  # of what went wrong: how often

    def call(self, operation, **arguments):
        """(outcome, answer or error code, node)."""
        node = self.random.choice(list(self.clients))
        try:
            answer = self.send(node, operation, arguments)
            headers = answer["ResponseMetadata"]["HTTPHeaders"]
            assert "x-redoubt-applied-index" not in headers, f"a stale answer that nobody asked for: {headers}"
            return OK, answer, node
        except NO_ANSWER as error:
            outcome, code = REFUSED if isinstance(error, NOT_SENT) else UNKNOWN, type(error).__name__
        except botocore.exceptions.ClientError as error:
            status, code = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
            outcome = REFUSED if 400 <= status < 500 else UNKNOWN
        self.codes[code] = self.codes.get(code, 0) + 1
        return outcome, code, node

    def send(self, node, operation, arguments):
        return getattr(self.clients[node], operation)(**arguments)

    def record(self, kind, name, start, outcome, node, **seen):
        end = self.history.clock() if outcome != UNKNOWN else float("inf")
        self.history.add(Operation(kind, name, start, end, outcome, who=self.name, where=node, **seen))

    def once(self):
        name, fresh = self.secrets.pick(self.random)
        if fresh:
            return self.write("create", name)
        kind = self.random.choices(("put", "move", "read", "describe", "list"), (35, 8, 40, 12, 5))[0]
        getattr(self, kind)(name)
        time.sleep(self.random.uniform(0, 0.01))

    def put(self, name):
        self.write("put", name)

    def write(self, kind, name):
        token = str(uuid.uuid4())
        if kind == "create":
            send = "create_secret", {"Name": name, "SecretString": token, "ClientRequestToken": token}
        else:
            send = "put_secret_value", {"SecretId": name, "SecretString": token, "ClientRequestToken": token}
        self.secrets.wrote(name)
        start = self.history.clock()
        outcome, answer, node = self.call(send[0], **send[1])
        in_doubt = outcome == UNKNOWN
        while outcome != OK and (in_doubt or kind == "create") and self.random.random() < 0.8 and not self.stopping.is_set():
            time.sleep(self.random.uniform(0, 0.3))
            outcome, answer, node = self.call(send[0], **send[1])
            in_doubt |= outcome == UNKNOWN
        if outcome == REFUSED and kind == "create" and in_doubt and answer == "ResourceExistsException":
            outcome = OK  # nobody else creates it
        elif outcome == REFUSED and kind == "put" and answer == "ResourceNotFoundException" and not in_doubt:
            self.record("read", name, start, OK, node, version=NO_SECRET)
        elif outcome == REFUSED:
            assert answer in self.refusals | {"ResourceNotFoundException"}, f"{kind} {name}: {answer}"
        if outcome == REFUSED and in_doubt:
            outcome = UNKNOWN
        if outcome == REFUSED and kind == "create":
            self.secrets.drop(name)
        if outcome == OK:
            assert isinstance(answer, str) or answer["VersionId"] == token, answer
            self.secrets.acknowledged(name, token)
        self.record(kind, name, start, outcome, node, version=token)

    def move(self, name):
        known = self.secrets.acknowledged(name)
        if len(known) < 2:
            return
        source, version = self.random.sample(known[-3:], 2)
        self.secrets.wrote(name)
        start = self.history.clock()
        outcome, answer, node = self.call("update_secret_version_stage", SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=version,
                                          RemoveFromVersionId=source)
        if outcome == REFUSED and answer != "InvalidParameterException":
            assert answer in self.refusals, answer
            return
        self.record("move", name, start, outcome, node, version=version, source=source)

    def look(self, operation, name, **arguments):
        """(start, what it saw or None, node); records that there is no secret."""
        start = self.history.clock()
        outcome, answer, node = self.call(operation, SecretId=name, **arguments)
        if outcome == REFUSED and answer == "ResourceNotFoundException":
            self.record("read", name, start, OK, node, version=NO_SECRET)
        elif outcome == REFUSED:
            assert answer in self.refusals, f"{operation} {name}: {answer}"
        return start, answer if outcome == OK else None, node

    def read(self, name):
        start, answer, node = self.look("get_secret_value", name)
        if answer:
            assert answer["SecretString"] == answer["VersionId"], "a version with the value of another"
            self.record("read", name, start, OK, node, version=answer["VersionId"])

    def describe(self, name):
        start, answer, node = self.look("describe_secret", name)
        if answer:
            labels = {label: version for version, labels in answer["VersionIdsToStages"].items() for label in labels}
            self.record("describe", name, start, OK, node, version=labels["AWSCURRENT"], source=labels.get("AWSPREVIOUS"))

    def list(self, name):
        start, answer, node = self.look("list_secret_version_ids", name, IncludeDeprecated=True, MaxResults=100)
        if answer:
            assert "NextToken" not in answer
            self.record("list", name, start, OK, node, versions=[v["VersionId"] for v in answer["Versions"]])


# -- the nemesis --

class Nemesis:
    """One misfortune after the other, at most one node away at a time."""

    def __init__(self, cluster, history):
        self.cluster, self.history, self.random, self.done = cluster, history, random.Random(SEED), []

    def note(self, what):
        self.done.append(f"{self.history.clock():9.4f} {what}")

    def begin(self):
        """The clients work."""

    def is_content(self):
        """It did what it must have done, so that the run may end when its time is up."""
        return True

    def end(self):
        """No more of it, the clients still work; whatever it took away comes back."""

    def members(self):
        """The nodes that are to have everything in the end."""
        return self.cluster.nodes_of(REGION)

    def once(self):
        node = f"{REGION}/{self.random.randrange(self.cluster.n_nodes)}"
        what = self.random.choice((self.kill, self.kill, self.pause, self.pause, self.transfer, self.restart))
        at_leader = self.random.random() < 0.6
        what((at_leader and self.cluster.leader(REGION)) or node)
        time.sleep(self.random.uniform(0.3, 1.2))

    def kill(self, node):
        self.note(f"kill -9 {node}")
        self.cluster.kill(node)
        time.sleep(self.random.uniform(0.05, 1.5))
        self.note(f"start {node}")
        self.cluster.start(node, wait=False)

    def pause(self, node):
        """Longer than an election takes, or a moment only; a leader wakes up deposed, with requests that wait at it."""
        seconds = self.random.choice((self.random.uniform(0.05, 0.5), self.random.uniform(1, 2.5) * ELECTION_SECONDS))
        self.note(f"pause {node} for {seconds:.2f} s")
        self.cluster.pause(node)
        time.sleep(seconds)
        self.cluster.resume(node)
        self.note(f"resumed {node}")

    def restart(self, node):
        self.note(f"restart {node}")
        code = self.cluster.kill(node, signal.SIGTERM)
        # One that has only just been started ends as any process does; a sanitizer's complaint is a failure.
        assert code in (0, -signal.SIGTERM), f"{node} stopped with {code}:\n{self.cluster.tail(node)}"
        self.cluster.start(node, wait=False)

    def transfer(self, node):
        """The leader gives its place to another; it may have none to give it to, or be no leader any more."""
        leader = self.cluster.leader(REGION)
        if leader:
            answer = subprocess.run([BINARY, "node", "transfer", "--config", str(self.cluster.config(leader))], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, timeout=30)
            self.note(f"transfer from {leader}: {answer.returncode} {answer.stdout.strip()}")


def same_everywhere(cluster, nodes, names):
    """What the nodes say of these secrets, equal at all of them; {name: (current, versions)}."""
    def said(client, name):
        try:
            answer = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True, MaxResults=100)
            value = client.get_secret_value(SecretId=name)["SecretString"]
        except client.exceptions.ResourceNotFoundException:
            return NO_SECRET
        return value, sorted((v["VersionId"], sorted(v.get("VersionStages", []))) for v in answer["Versions"])
    answers = {}
    for node in nodes:
        client = cluster.client(REGION, via=node, retries=5)
        for name in names:
            answer = said(client, name)
            assert answers.setdefault(name, answer) == answer, f"{name} at {node}"
    return answers


def final_looks(cluster, nodes, history, names):
    """Reads and lists of everything at every node, after all else, as part of the history."""
    for number, node in enumerate(nodes):
        last = Client(100 + number, {node: cluster.client(REGION, via=node, retries=5)}, history, Secrets())
        for name in names:
            last.read(name)
            last.list(name)
        assert not last.codes.keys() - {"ResourceNotFoundException"}, last.codes


def enough(history):
    return history.count(OK, "create", "put", "move") >= LEAST_WRITES <= history.count(OK, "read", "describe")


def run(cluster, nemesis, history, seconds, kind=Client):
    """Clients against the nemesis, at every node there ever is; then heals, looks at everything, and judges."""
    print(f"REDOUBT_SEED={SEED}")
    secrets = Secrets()
    nodes = cluster.nodes_of(REGION)
    clients = [kind(i, {node: cluster.client(REGION, via=node, read_timeout=STUCK_SECONDS) for node in (nodes[i:i + 1] if i < FIXED else nodes)},
                    history, secrets) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        nemesis.begin()
        while history.clock() < seconds or not nemesis.is_content() or not enough(history):
            assert history.clock() < seconds + CONTENT_SECONDS, "the nemesis could not do its work"
            nemesis.once()
    finally:
        try:
            nemesis.end()
        finally:
            for client in clients:
                client.stopping.set()
            print("\n".join(nemesis.done), "\nanswers in each second:", history.pace())
    for client in clients:
        client.end()
    cluster.wait_ready(REGION)
    eventually(lambda: cluster.leader(REGION), what="a leader")
    final_looks(cluster, nemesis.members(), history, secrets.names)
    same_everywhere(cluster, nemesis.members(), secrets.names)
    print({(kind, outcome): history.count(outcome, kind) for kind in ("create", "put", "move", "read", "describe", "list")
           for outcome in (OK, REFUSED, UNKNOWN)}, "\n", *[client.codes for client in clients])
    began = time.monotonic()
    history.check()
    print(f"{len(history.operations)} operations of {len(secrets.names)} secrets judged in {time.monotonic() - began:.2f} s")
    judge_is_awake(history)


def judge_is_awake(history):
    """One stale read more, and the same history is not to be believed any more."""
    def written(operations):
        return [o.version for o in operations if o.kind == "put" and o.outcome == OK]
    name, operations = max(history.by_secret().items(), key=lambda item: len(written(item[1])))
    last = max((o for o in operations if o.kind == "read"), key=lambda o: o.end)
    stale = next(version for version in written(operations) if version != last.version)
    now = history.clock()
    with pytest.raises(Violation, match="not linearizable"):
        check_register(operations + [Operation("read", name, now, now + 1, version=stale)])
