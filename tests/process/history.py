"""Histories of what clients did to secrets, and a judge of them.

A recorded operation has an interval of time (its first sending to its answer) and an outcome. The judge looks, for each secret alone,
for an order of its operations that keeps to those intervals and in which one copy of the secret would have given every answer: Wing and
Gong's search with Lowe's memory of configurations seen. A write whose outcome is unknown may stand anywhere after its start, or nowhere.

A version's value is its id's (values are unique), so a register holds version ids: (current, previous), or None before the creation.
"""
import itertools
import math
import threading
import time

OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"
WRITES = ("create", "put", "move")
NO_SECRET = None  # what a read saw where there is no secret yet
MAX_STEPS = 2_000_000


class Operation:
    """`kind` and what it means, with `version` and `source`:
    create, put   made `version` the current one;
    move          moved AWSCURRENT from `source` to `version`; when refused, it saw that `source` was not the current one;
    read          saw `version` as the current one, or NO_SECRET;
    describe      saw `version` as the current one and `source` as the previous one;
    list          saw `versions`, all that the secret has, in this order."""

    def __init__(self, kind, secret, start, end=math.inf, outcome=OK, version=None, source=None, versions=(), who="", where=""):
        self.kind, self.secret, self.start, self.end, self.outcome = kind, secret, start, end, outcome
        self.version, self.source, self.versions, self.who, self.where = version, source, tuple(versions), who, where

    def __repr__(self):
        seen = f"{len(self.versions)} versions" if self.kind == "list" else f"{short(self.version)} {short(self.source)}"
        return f"[{self.start:9.4f} {self.end:9.4f}] {self.who:>4} {self.where:12} {self.kind:8} {self.outcome:7} {seen}"

    @property
    def optional(self):
        return self.outcome == UNKNOWN

    @property
    def changes(self):
        return self.kind in WRITES and self.outcome != REFUSED

    def apply(self, state):
        """(possible here, the state after it)."""
        if self.kind == "create":
            return state is None, (self.version, None)
        if self.kind == "read":
            return (state and state[0]) == self.version, state
        if state is None:
            return False, state
        if self.kind == "put":
            return True, (self.version, state[0])
        if self.kind == "describe":
            return state == (self.version, self.source), state
        if self.outcome == REFUSED:
            return state[0] != self.source, state
        return state[0] == self.source, (self.version, state[0])


def short(version):
    return version[:8] if version else "-"


class Violation(AssertionError):
    """Says what cannot be."""


class Undecided(AssertionError):
    """The search was given up: the history is too large or too tangled. Not a proof of anything."""


class History:
    """Operations of many threads; `clock` starts at 0."""

    def __init__(self):
        self.lock = threading.Lock()
        self.operations = []
        self.begin = time.monotonic()

    def clock(self):
        return time.monotonic() - self.begin

    def add(self, operation):
        with self.lock:
            self.operations.append(operation)

    def by_secret(self):
        secrets = {}
        for operation in self.operations:
            secrets.setdefault(operation.secret, []).append(operation)
        return secrets

    def count(self, outcome, *kinds):
        return sum(1 for o in self.operations if o.outcome == outcome and (not kinds or o.kind in kinds))

    def pace(self):
        """Acknowledged operations in each second."""
        ends = [int(o.end) for o in self.operations if o.outcome == OK]
        return [ends.count(second) for second in range(max(ends, default=-1) + 1)]

    def check(self):
        for operations in self.by_secret().values():
            check_register(operations)
            check_versions(operations)


def judged(operations):
    """Those that say something about the register, by their start. Of refused ones only a move saw something; of unknown ones only a
    write that somebody saw, or that may be why a move was refused, can matter (leaving the others out changes no other answer)."""
    operations = [o for o in operations if o.kind != "list"]
    seen = {v for o in operations if not (o.outcome == UNKNOWN and o.kind in ("create", "put")) for v in (o.version, o.source)}
    refusals = any(o.kind == "move" and o.outcome == REFUSED for o in operations)
    kept = []
    for o in operations:
        if o.outcome == OK or o.outcome == REFUSED and o.kind == "move":
            kept.append(o)
        elif o.outcome == UNKNOWN and (o.kind in ("create", "move") or o.kind == "put" and (refusals or o.version in seen)):
            kept.append(o)
    return sorted(kept, key=lambda o: (o.start, o.end))


def candidates(operations, done):
    """Indexes of those that may come next: not done, and begun before every other that is not done had ended."""
    first = ((~done) & (done + 1)).bit_length() - 1
    horizon = math.inf
    found = []
    for i in range(first, len(operations)):
        if done >> i & 1:
            continue
        o = operations[i]
        if o.start > horizon:
            break
        found.append(i)
        if not o.optional:
            horizon = min(horizon, o.end)
    return found


def take_observations(operations, done, state):
    """Does at once whatever changes nothing and is right here: that never hurts. Returns what is done and what may come next."""
    while True:
        next_ones = candidates(operations, done)
        taken = done
        for i in next_ones:
            if not operations[i].changes and operations[i].apply(state)[0]:
                taken |= 1 << i
        if taken == done:
            return done, next_ones
        done = taken


def check_register(operations, max_steps=MAX_STEPS):
    """Raises Violation when no order explains these operations of one secret."""
    operations = judged(operations)
    required = sum(1 << i for i, o in enumerate(operations) if not o.optional)
    stack, seen = [(0, None)], set()
    best = (-1, 0, None)
    for _ in range(max_steps):
        if not stack:
            raise Violation(complaint(operations, best[1], best[2]))
        done, state = stack.pop()
        done, next_ones = take_observations(operations, done, state)
        if done & required == required:
            return
        if (done, state) in seen:
            continue
        seen.add((done, state))
        best = max(best, ((done & required).bit_count(), done, state), key=lambda b: b[0])
        # The last pushed is tried first: what has an end before what may never have happened.
        for i in sorted(next_ones, key=lambda i: operations[i].end, reverse=True):
            possible, after = operations[i].apply(state) if operations[i].changes else (False, None)
            if possible:
                stack.append((done | 1 << i, after))
    raise Undecided(f"no order found in {max_steps} steps for {len(operations)} operations of {operations[0].secret}")


def complaint(operations, done, state):
    next_ones = candidates(operations, done)
    stuck = min((operations[i] for i in next_ones if not operations[i].optional), key=lambda o: o.end)
    around = [f"{'  done' if done >> i & 1 else ' ' * 6} {o}" for i, o in enumerate(operations)
              if o.end >= stuck.start - 1 and o.start <= stuck.end + 0.2 or o.optional]
    current = "no secret" if state is None else f"current {short(state[0])}, previous {short(state[1])}"
    return (f"{stuck.secret} is not linearizable: after {done.bit_count()} of {len(operations)} operations the register holds {current}, "
            f"and nothing explains\n       {stuck}\n  around it:\n" + "\n".join(around))


def check_versions(operations):
    """Lists of versions: each acknowledged one is in every list that began after it, once; none that nobody wrote or that was written
    only later; what one list had, every later list has."""
    written = {o.version: o for o in operations if o.kind in ("create", "put") and o.outcome != REFUSED}
    lists = sorted((o for o in operations if o.kind == "list" and o.outcome == OK), key=lambda o: o.end)
    for seen in lists:
        held = set(seen.versions)
        if len(held) != len(seen.versions):
            raise Violation(f"{seen.secret}: a version twice in {seen}: {sorted(seen.versions)}")
        for version in held:
            if version not in written or written[version].start > seen.end:
                raise Violation(f"{seen.secret}: {seen} has {version}, which nobody had written")
        for version, write in written.items():
            if write.outcome == OK and write.end < seen.start and version not in held:
                raise Violation(f"{seen.secret}: {seen} lacks {version}, acknowledged before:\n  {write}")
    for earlier, later in itertools.permutations(lists, 2):
        if earlier.end < later.start and not set(earlier.versions) <= set(later.versions):
            lost = set(earlier.versions) - set(later.versions)
            raise Violation(f"{later.secret}: {later} lacks {sorted(lost)}, which was in {earlier}")
