"""A region of three nodes under a nemesis, judged by its history (history.py): what clients saw is what one copy of each secret would
have answered, whatever was killed, stopped or deposed. First the judge itself, on histories made by hand and at random.

REDOUBT_SEED replays a run's choices (not its timing), REDOUBT_HISTORY_SECONDS makes it longer.
"""
import itertools
import random
import time

import pytest

from cluster import Cluster
from history import OK, REFUSED, UNKNOWN, NO_SECRET, History, Operation, Undecided, Violation, check_register, check_versions
from nemesis import REGION, SEED, Nemesis, run, seconds
from netns import Network, NetworkCluster

SECONDS = seconds(20)


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


# -- the runs --

class Partition(Nemesis):
    """One partition after the other, each kind at least once; clients reach every node all the time. Between them all is well for a while,
    and there must be a leader soon."""

    def __init__(self, cluster, history):
        super().__init__(cluster, history)
        self.kinds = [self.leader_alone, self.leader_is_mute, self.leader_is_deaf, self.one_link, self.follower_alone]
        self.random.shuffle(self.kinds)

    def is_content(self):
        return len(self.done) >= 2 * len(self.kinds)

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


def test_kill_pause_transfer():
    with Cluster(regions=[REGION], nodes=3) as cluster:
        cluster.start()
        history = History()
        nemesis = Nemesis(cluster, history)
        run(cluster, nemesis, history, SECONDS)
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
        run(cluster, nemesis, history, SECONDS)
