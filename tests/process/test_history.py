"""A region of three nodes under a nemesis, judged by its history (history.py): what clients saw is what one copy of each secret would
have answered, whatever was killed, stopped or deposed. First the judge itself, on histories made by hand and at random.

REDOUBT_SEED replays a run's choices (not its timing), REDOUBT_HISTORY_SECONDS makes it longer.
"""
import itertools
import os
import random
import subprocess
import threading
import time
import uuid

import botocore.exceptions
import pytest

from cluster import BINARY, Cluster, eventually
from history import OK, REFUSED, UNKNOWN, NO_SECRET, History, Operation, Undecided, Violation, check_register, check_versions
from netns import Network, NetworkCluster

SEED = int(os.environ.get("REDOUBT_SEED") or random.randrange(2**32))
SECONDS = float(os.environ.get("REDOUBT_HISTORY_SECONDS", "20"))
REGION = "us-east-1"
CLIENTS = 7  # the first of them stay each at one node, whatever happens to it, the others go anywhere
HOT_SECRETS = 3  # in use at a time, so that clients meet
WRITES_PER_SECRET = 60
STUCK_SECONDS = 3.0  # a client's patience: shorter than some pauses, so that outcomes stay unknown
ELECTION_SECONDS = 1.5  # well above the election timeout of a node
LEAST_WRITES = 100  # acknowledged, and as many reads: in any build, also on a busy machine
NO_ANSWER = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectionClosedError, botocore.exceptions.HTTPClientError)
NOT_SENT = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectTimeoutError)


# -- the judge --

def operation(kind, start, end, outcome=OK, version=None, source=None, versions=()):
    return Operation(kind, "s", start, end, outcome, version, source, versions)


CREATED = operation("create", 0, 1, version="a")
LINEARIZABLE = {
    "in order": [operation("put", 2, 3, version="b"), operation("read", 4, 5, version="b")],
    "before the creation": [operation("read", 0, 0.5, version=NO_SECRET)],
    "overlapping, the old value": [operation("put", 2, 9, version="b"), operation("read", 3, 4, version="a")],
    "overlapping, the new value": [operation("put", 2, 9, version="b"), operation("read", 3, 4, version="b")],
    "writes that overlap in either order": [operation("put", 2, 9, version="b"), operation("put", 3, 8, version="c"),
                                            operation("read", 10, 11, version="b")],
    "an unknown write seen much later": [operation("put", 2, outcome=UNKNOWN, end=float("inf"), version="b"), operation("read", 4, 5, version="a"),
                                         operation("put", 6, 7, version="c"), operation("read", 8, 9, version="b")],
    "an unknown write never seen": [operation("put", 2, outcome=UNKNOWN, end=float("inf"), version="b"), operation("read", 4, 5, version="a")],
    "an unknown write seen as the previous": [operation("put", 2, outcome=UNKNOWN, end=float("inf"), version="b"),
                                              operation("put", 3, 4, version="c"), operation("describe", 5, 6, version="c", source="b")],
    "a move back": [operation("put", 2, 3, version="b"), operation("move", 4, 5, version="a", source="b"),
                    operation("describe", 6, 7, version="a", source="b")],
    "a move refused because of an unknown write": [operation("put", 2, outcome=UNKNOWN, end=float("inf"), version="b"),
                                                   operation("move", 3, 4, REFUSED, version="z", source="a")],
    "a refused write": [operation("put", 2, 3, REFUSED, version="b"), operation("read", 4, 5, version="a")],
}
NOT_LINEARIZABLE = {
    "a stale read": [operation("put", 2, 3, version="b"), operation("read", 4, 5, version="a")],
    "a stale read after a new one": [operation("put", 2, 9, version="b"), operation("read", 3, 4, version="b"), operation("read", 5, 6, version="a")],
    "a lost write": [operation("put", 2, 3, version="b"), operation("put", 4, 5, version="c"), operation("describe", 6, 7, version="c", source="a")],
    "a lost creation": [operation("read", 2, 3, version=NO_SECRET)],
    "a value never written": [operation("read", 2, 3, version="x")],
    "a value before its write": [operation("read", 2, 3, version="b"), operation("put", 4, 5, version="b")],
    "a refused write that was done": [operation("put", 2, 3, REFUSED, version="b"), operation("read", 4, 5, version="b")],
    "a write done twice": [operation("put", 2, 3, version="b"), operation("put", 4, 5, version="c"), operation("read", 6, 7, version="b")],
    "an unknown write done twice": [operation("put", 2, outcome=UNKNOWN, end=float("inf"), version="b"), operation("read", 3, 4, version="b"),
                                    operation("put", 5, 6, version="c"), operation("read", 7, 8, version="c"), operation("read", 9, 10, version="b")],
    "an unknown write seen, then not": [operation("put", 2, outcome=UNKNOWN, end=float("inf"), version="b"), operation("read", 3, 4, version="b"),
                                        operation("read", 5, 6, version="a")],
    "a move done against its condition": [operation("put", 2, 3, version="b"), operation("move", 4, 5, version="a", source="a")],
    "a move refused without a reason": [operation("move", 2, 3, REFUSED, version="z", source="a")],
}


@pytest.mark.parametrize("name", LINEARIZABLE)
def test_judge_accepts(name):
    check_register([CREATED] + LINEARIZABLE[name])


@pytest.mark.parametrize("name", NOT_LINEARIZABLE)
def test_judge_rejects(name):
    with pytest.raises(Violation):
        check_register([CREATED] + NOT_LINEARIZABLE[name])


def explained(operations):
    """The definition, by trying all orders of all sets."""
    certain = [o for o in operations if not o.optional]
    unknown = [o for o in operations if o.optional]
    for n in range(len(unknown) + 1):
        for extra in itertools.combinations(unknown, n):
            for order in itertools.permutations(certain + list(extra)):
                if any(later.end < earlier.start for earlier, later in itertools.combinations(order, 2)):
                    continue
                state, right = None, True
                for o in order:
                    right, state = o.apply(state)
                    if not right:
                        break
                if right:
                    return True
    return False


def any_operation(rng, versions):
    kind = rng.choice(("put", "put", "read", "read", "describe", "move"))
    start = rng.uniform(0, 10)
    end = start + rng.uniform(0.1, 5)
    if kind == "put":
        versions.append(f"v{len(versions)}")
        outcome = rng.choice((OK, OK, UNKNOWN))
        return operation(kind, start, end if outcome == OK else float("inf"), outcome, versions[-1])
    if kind == "read":
        return operation(kind, start, end, OK, rng.choice(versions + [NO_SECRET]))
    outcome = rng.choice((OK, REFUSED, UNKNOWN)) if kind == "move" else OK
    return operation(kind, start, float("inf") if outcome == UNKNOWN else end, outcome, rng.choice(versions), rng.choice(versions))


def test_judge_is_the_definition():
    """On small histories at random the search says what trying everything says."""
    print(f"REDOUBT_SEED={SEED}")
    rng = random.Random(SEED)
    said = {True: 0, False: 0}
    for _ in range(3000):
        versions = ["a"]
        operations = [operation("create", 0, rng.uniform(0.1, 6), version="a")]
        operations += [any_operation(rng, versions) for _ in range(rng.randrange(1, 5))]
        expected = explained(operations)
        said[expected] += 1
        try:
            check_register(operations)
            assert expected, operations
        except Violation as error:
            assert not expected, error
    assert min(said.values()) > 100, said


def test_judge_gives_up_within_bounds():
    with pytest.raises(Undecided):
        check_register([operation("create", 0, 1, version="a")] + [operation("put", 2, 9, version=str(i)) for i in range(40)] +
                       [operation("read", 10, 11, version="a")], max_steps=2000)


def test_judge_of_version_lists():
    put = operation("put", 2, 3, version="b")
    maybe = operation("put", 2, float("inf"), UNKNOWN, "c")
    for versions in ("ab", "abc"):
        check_versions([CREATED, put, maybe, operation("list", 4, 5, versions=versions)])
    for versions in ("a", "abb", "abx", "ac"):
        with pytest.raises(Violation):
            check_versions([CREATED, put, maybe, operation("list", 4, 5, versions=versions)])
    with pytest.raises(Violation, match="was in"):
        check_versions([CREATED, put, maybe, operation("list", 4, 5, versions="abc"), operation("list", 6, 7, versions="ab")])
    with pytest.raises(Violation, match="nobody"):
        check_versions([CREATED, operation("list", 1, 1.5, versions="ab"), put])


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

    def acknowledged(self, name, version=None):
        with self.lock:
            for s in self.hot:
                if s[0] == name:
                    s[2] += [version] if version else []
                    return list(s[2])
            return []


class Client(threading.Thread):
    """Does one thing after another at random nodes and records it. A write with a ClientRequestToken is sometimes sent again, to any node, when
    its outcome is unknown: with all its sendings it is one operation, to be done at most once."""

    def __init__(self, number, clients, history, secrets):
        super().__init__(name=f"c{number}")
        self.clients, self.history, self.secrets = clients, history, secrets
        self.random = random.Random(SEED * 1000 + number)
        self.stopping = threading.Event()
        self.error = None
        self.codes = {}  # of what went wrong: how often

    def run(self):
        try:
            while not self.stopping.is_set():
                self.once()
        except BaseException as error:
            self.error = error

    def call(self, operation, **arguments):
        """(outcome, answer or error code, node)."""
        node = self.random.choice(list(self.clients))
        try:
            answer = getattr(self.clients[node], operation)(**arguments)
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
            assert answer in ("EndpointConnectionError", "ConnectTimeoutError", "ResourceNotFoundException"), f"{kind} {name}: {answer}"
        if outcome == REFUSED and in_doubt:
            outcome = UNKNOWN
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
            assert answer in ("EndpointConnectionError", "ConnectTimeoutError"), answer
            return
        self.record("move", name, start, outcome, node, version=version, source=source)

    def look(self, operation, name, **arguments):
        """(start, what it saw or None, node); records that there is no secret."""
        start = self.history.clock()
        outcome, answer, node = self.call(operation, SecretId=name, **arguments)
        if outcome == REFUSED and answer == "ResourceNotFoundException":
            self.record("read", name, start, OK, node, version=NO_SECRET)
        elif outcome == REFUSED:
            assert answer in ("EndpointConnectionError", "ConnectTimeoutError"), f"{operation} {name}: {answer}"
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

    def end(self):
        self.stopping.set()
        self.join(timeout=60)
        assert not self.is_alive(), f"{self.name} hangs"
        if self.error:
            raise self.error


# -- the nemesis --

class Nemesis:
    """One misfortune after the other, at most one node away at a time."""

    def __init__(self, cluster, history):
        self.cluster, self.history, self.random, self.done = cluster, history, random.Random(SEED), []

    def note(self, what):
        self.done.append(f"{self.history.clock():9.4f} {what}")

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
        self.cluster.stop(node)
        self.cluster.start(node, wait=False)

    def transfer(self, node):
        """The leader gives its place to another; it may have none to give it to, or be no leader any more."""
        leader = self.cluster.leader(REGION)
        if leader:
            answer = subprocess.run([BINARY, "node", "transfer", "--config", str(self.cluster.config(leader))], capture_output=True, timeout=30)
            self.note(f"transfer from {leader}: {answer.returncode}")


class Partition(Nemesis):
    """One partition after the other, each kind at least once; clients reach every node all the time. Between them all is well for a while,
    and there must be a leader soon."""

    def __init__(self, cluster, history):
        super().__init__(cluster, history)
        self.kinds = [self.leader_alone, self.leader_is_mute, self.leader_is_deaf, self.one_link, self.follower_alone]
        self.random.shuffle(self.kinds)

    def once(self):
        leader = int(self.cluster.wait_leader(REGION, 20).partition("/")[2])
        others = [i for i in range(self.cluster.n_nodes) if i != leader]
        self.random.shuffle(others)
        kind = self.kinds[len(self.done) // 2 % len(self.kinds)]
        cuts = kind(leader, others)
        for sender, receiver in cuts:
            self.cluster.network.cut(sender, receiver)
        self.note(f"{kind.__name__} {leader}: " + ", ".join(f"{a} does not reach {b}" for a, b in cuts))
        time.sleep(self.random.uniform(1.5, 3.5))
        self.cluster.network.heal()
        self.note("healed")
        time.sleep(self.random.uniform(0.2, 1.2))

    def leader_alone(self, leader, others):
        return self.leader_is_mute(leader, others) + self.leader_is_deaf(leader, others)

    def leader_is_mute(self, leader, others):
        return [(leader, other) for other in others]

    def leader_is_deaf(self, leader, others):
        return [(other, leader) for other in others]

    def one_link(self, leader, others):
        return [(leader, others[0]), (others[0], leader)]

    def follower_alone(self, _, others):
        lost = others[0]
        return [cut for i in range(self.cluster.n_nodes) if i != lost for cut in ((lost, i), (i, lost))]


def same_everywhere(cluster, names):
    """What the nodes say of these secrets, equal at all of them; {name: (current, versions)}."""
    def said(client, name):
        try:
            answer = client.list_secret_version_ids(SecretId=name, IncludeDeprecated=True, MaxResults=100)
            value = client.get_secret_value(SecretId=name)["SecretString"]
        except client.exceptions.ResourceNotFoundException:
            return NO_SECRET
        return value, sorted((v["VersionId"], sorted(v.get("VersionStages", []))) for v in answer["Versions"])
    answers = {}
    for node in cluster.nodes_of(REGION):
        client = cluster.client(REGION, via=node, retries=5)
        for name in names:
            answer = said(client, name)
            assert answers.setdefault(name, answer) == answer, f"{name} at {node}"
    return answers


def final_looks(cluster, history, names):
    """Reads and lists of everything at every node, after all else, as part of the history."""
    for number, node in enumerate(cluster.nodes_of(REGION)):
        last = Client(100 + number, {node: cluster.client(REGION, via=node, retries=5)}, history, Secrets())
        for name in names:
            last.read(name)
            last.list(name)
        assert not last.codes.keys() - {"ResourceNotFoundException"}, last.codes


def run(cluster, nemesis, history, seconds=SECONDS):
    """Clients against the nemesis; then heals, looks at everything, and judges."""
    print(f"REDOUBT_SEED={SEED}")
    secrets = Secrets()
    nodes = cluster.nodes_of(REGION)
    clients = [Client(i, {node: cluster.client(REGION, via=node, read_timeout=STUCK_SECONDS) for node in (nodes[i:i + 1] or nodes)},
                      history, secrets) for i in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        while history.clock() < seconds:
            nemesis.once()
    finally:
        for client in clients:
            client.stopping.set()
        print("\n".join(nemesis.done), "\nanswers in each second:", history.pace())
    for client in clients:
        client.end()
    cluster.wait_ready(REGION)
    eventually(lambda: cluster.leader(REGION), what="a leader")
    final_looks(cluster, history, secrets.names)
    same_everywhere(cluster, secrets.names)
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


def test_kill_pause_transfer():
    with Cluster(regions=[REGION], nodes=3) as cluster:
        cluster.start()
        history = History()
        nemesis = Nemesis(cluster, history)
        run(cluster, nemesis, history)
        assert history.count(OK, "create", "put", "move") >= LEAST_WRITES
        assert history.count(OK, "read", "describe") >= LEAST_WRITES
        assert len(nemesis.done) >= 5


@pytest.fixture
def network():
    try:
        made = Network(3)
    except OSError as error:
        pytest.skip(f"no network namespaces here: {error}")
    yield made
    made.close()


def test_partitions(network):
    """A leader that is cut off answers no read from old state: its clients reach it all the time, and the judge sees what it said."""
    with NetworkCluster(REGION, network) as cluster:
        cluster.start()
        history = History()
        nemesis = Partition(cluster, history)
        run(cluster, nemesis, history)
        assert history.count(OK, "create", "put", "move") >= LEAST_WRITES
        assert history.count(OK, "read", "describe") >= LEAST_WRITES
        assert len(nemesis.done) >= 2 * len(nemesis.kinds)
