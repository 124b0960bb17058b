"""How long writes stop when a region's leader is killed, and when leadership is handed over: a region of three real nodes, one writer a
node, each with one write under way at a time. The gap of an event is the longest time around it without an acknowledged write at any node.

    bench/failover.py [KILLS, default 50]
"""
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "process"))
from cluster import BINARY, Cluster  # noqa: E402

REGION = "us-east-1"


class Writers:
    """A thread a node; `acked` holds the end of every acknowledged write, `failed` of every other one."""

    def __init__(self, cluster):
        self.cluster, self.acked, self.failed, self.stopping = cluster, [], [], False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(node,)) for node in range(3)]
        for thread in self.threads:
            thread.start()

    def run(self, node):
        client = self.cluster.client(REGION, via=f"{REGION}/{node}")
        number = 0
        while not self.stopping:
            number += 1
            try:
                client.create_secret(Name=f"bench-{node}-{number}", SecretString="x")
                kind = self.acked
            except Exception:  # noqa: BLE001 a dead node, or one whose leader is gone
                kind = self.failed
            with self.lock:
                kind.append(time.monotonic())
            if kind is self.failed:
                time.sleep(0.005)

    def gap(self, start, end):
        """The longest pause between acknowledgements that overlaps start..end."""
        with self.lock:
            times = sorted(t for t in self.acked if start - 1 < t < end)
        return max((b - a for a, b in zip(times, times[1:]) if b > start), default=end - start)

    def failures(self, start, end):
        with self.lock:
            return sum(start <= t <= end for t in self.failed)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def show(what, gaps):
    gaps = sorted(gaps)
    print(f"{what}: writes stop for median {statistics.median(gaps) * 1000:.0f} ms, worst {gaps[-1] * 1000:.0f} ms of {len(gaps)}", flush=True)


def main():
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with Cluster(regions=[REGION], nodes=3) as cluster:
        cluster.start()
        writers = Writers(cluster)
        try:
            time.sleep(1)
            gaps, failures = [], 0
            for _ in range(kills):
                leader = cluster.wait_leader(REGION)
                config = cluster.config(leader)
                start = time.monotonic()
                subprocess.run([BINARY, "node", "transfer", "--config", str(config)], check=True, capture_output=True, timeout=30)
                time.sleep(0.7)
                gaps.append(writers.gap(start, time.monotonic()))
                failures += writers.failures(start, time.monotonic())
            show("leadership handed over", gaps)
            print(f"    failed requests meanwhile: {failures}", flush=True)
            gaps = []
            for _ in range(kills):
                leader = cluster.wait_leader(REGION)
                start = time.monotonic()
                cluster.kill(leader)
                time.sleep(2.5)
                gaps.append(writers.gap(start, time.monotonic()))
                cluster.start(leader)
            show("leader killed", gaps)
        finally:
            writers.stop()


main()
