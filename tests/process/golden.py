"""The data folder that a release leaves to those after it: two regions of three nodes with one of everything, killed at a busy moment.

`python3 tests/process/golden.py LEVEL` makes tests/golden/level_LEVEL/dev.tar.xz with the present binary, once a release; the file is never
made anew. Every later release opens it (test_golden.py). The nodes know each other by address, so they get one that nobody else has.
"""
import fcntl
import json
import pathlib
import sys
import tarfile
import tempfile
import time

from cluster import BINARY, Cluster, eventually, wait_in_sync

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
EAST, WEST = "us-east-1", "us-west-2"
HOST, PORT = "127.82.66.3", 17080
FUNCTION = f"arn:aws:lambda:{EAST}:123456789012:function:rotate"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                                                  "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}
TAGS = [{"Key": "team", "Value": "golden"}, {"Key": "empty", "Value": ""}]
WINDOW_DAYS = 30
LEFT_OUT = ("LOG", "OPTIONS", "LOCK")  # of RocksDB: they name the machine, or are made anew


class Folder(Cluster):
    """The regions of an archive, or of one to be made."""

    def __init__(self, archive=None, nodes=3):
        self.archive = archive
        # One at a time on a machine: the addresses are the folder's own.
        self.turn = open(pathlib.Path(tempfile.gettempdir()) / f"redoubt-golden-{PORT}.lock", "w")
        fcntl.flock(self.turn, fcntl.LOCK_EX)
        super().__init__(regions=(EAST, WEST), nodes=nodes, options=("--bind", HOST, "--lambda-endpoint", "http://127.0.0.1:9"))

    def prepare(self, *options):
        self.port = PORT
        if self.archive:
            with tarfile.open(self.archive) as archive:
                archive.extractall(self.folder)
            self.data.chmod(0o700)
            for path in self.data.rglob("node.*"):
                path.unlink()  # certificates last two years: made anew
        super().prepare(*options)

    def host(self, name):
        return HOST

    def close(self):
        super().close()
        self.turn.close()


def fill(folder):
    """One of everything. Nothing that is compared later depends on the clock, but for the window of a deletion."""
    east, west = folder.client(EAST), folder.client(WEST)
    east.create_secret(Name="golden/plain", SecretString="one", Description="of three versions", Tags=TAGS)
    two = east.put_secret_value(SecretId="golden/plain", SecretString="two", VersionStages=["AWSCURRENT", "KEPT"])["VersionId"]
    east.put_secret_value(SecretId="golden/plain", SecretString="three")
    east.update_secret(SecretId="golden/plain", Description="of three versions, described anew", KmsKeyId="alias/aws/secretsmanager")
    east.tag_resource(SecretId="golden/plain", Tags=[{"Key": "gone", "Value": "soon"}])
    east.untag_resource(SecretId="golden/plain", TagKeys=["gone"])
    assert sorted(east.describe_secret(SecretId="golden/plain")["VersionIdsToStages"][two]) == ["AWSPREVIOUS", "KEPT"]
    east.create_secret(Name="golden/binary", SecretBinary=bytes(range(256)))
    east.create_secret(Name="golden/empty")  # no version
    east.create_secret(Name="golden/policy", SecretString="guarded")
    east.put_resource_policy(SecretId="golden/policy", ResourcePolicy=json.dumps(POLICY))
    east.create_secret(Name="golden/large", SecretString="x" * 65536)
    east.create_secret(Name="golden/rotated", SecretString="before")
    east.rotate_secret(SecretId="golden/rotated", RotationLambdaARN=FUNCTION, RotationRules={"AutomaticallyAfterDays": 100})
    for name in ("golden/replicated", "golden/promoted", "golden/late", "golden/gone"):
        east.create_secret(Name=name, SecretString="first", Tags=TAGS, AddReplicaRegions=[{"Region": WEST}])
        wait_in_sync(east, name, [WEST])
    east.put_secret_value(SecretId="golden/replicated", SecretString="second")
    wait_in_sync(east, "golden/replicated", [WEST])
    west.stop_replication_to_replica(SecretId="golden/promoted")
    west.put_secret_value(SecretId="golden/promoted", SecretString="its own")
    east.remove_regions_from_replication(SecretId="golden/gone", RemoveReplicaRegions=[WEST])
    east.delete_secret(SecretId="golden/gone", ForceDeleteWithoutRecovery=True)
    west.create_secret(Name="golden/west", SecretString="west", AddReplicaRegions=[{"Region": EAST}])
    wait_in_sync(west, "golden/west", [EAST])
    east.create_secret(Name="golden/deleted", SecretString="comes back")
    east.delete_secret(SecretId="golden/deleted", RecoveryWindowInDays=WINDOW_DAYS)


def make(level):
    target = GOLDEN / f"level_{level}"
    assert not (target / "dev.tar.xz").exists(), f"{target} has one already; it is never made anew"
    with Folder() as folder:
        folder.start()
        fill(folder)
        folder.node_command(f"{EAST}/0", "token")
        eventually(lambda: all((folder.node_data(n) / "members").exists() for n in folder.nodes_of()), what="the files of members")
        # Some of it lies in tables then, and there is more than one term.
        folder.stop(EAST)
        folder.start(EAST)
        # One node lags, and the other region does not hear of the last change.
        folder.kill(folder.followers(EAST)[0])
        folder.kill(WEST)
        folder.client(EAST, via=folder.wait_leader(EAST)).put_secret_value(SecretId="golden/late", SecretString="second, not shipped")
        folder.kill(EAST)
        (folder.data / "made").write_text(f"{int(time.time())}\n")
        for path in sorted(folder.data.rglob("*")):
            if path.name.startswith(LEFT_OUT) or path.is_socket() or path.name in ("env", "lock"):
                path.unlink()
        target.mkdir(exist_ok=True)
        with tarfile.open(target / "dev.tar.xz", "w:xz", preset=9) as archive:
            archive.add(folder.data, arcname="data", filter=lambda info: info if info.isfile() or info.isdir() else None)
    print(f"{target / 'dev.tar.xz'}: {(target / 'dev.tar.xz').stat().st_size} bytes, by {BINARY}")


if __name__ == "__main__":
    make(int(sys.argv[1]))
