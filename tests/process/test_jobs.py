"""What happens when its time has come, on real servers whose clock the test moves: the end of a recovery window (AWS_BEHAVIOUR 3.8)
and the pruning of old versions (3.5), with libfaketime between the server and the system's clock."""
import botocore.exceptions
import pytest

from clock import Clock
from cluster import Cluster, eventually, wait_in_sync

EAST, WEST = "us-east-1", "eu-west-1"
HOUR, DAY = 3600, 24 * 3600
VERSIONS, KEPT = 120, 100
NOT_FOUND = "Secrets Manager can't find the specified secret."


@pytest.fixture
def regions():
    with Cluster(regions=(EAST, WEST)) as cluster:
        clock = Clock(cluster.folder)
        for region in cluster.regions:
            config = cluster.data / region / "redoubt.conf"
            config.write_text(config.read_text().replace("log_level = warn", "log_level = debug") + "\n[jobs]\ninterval = 1\n")
        cluster.start(env=clock.environment())
        with clock.signing():
            yield cluster, clock


def error_of(call, **arguments):
    """(code, message) of a refused call, None where it succeeds."""
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return None


def looks(cluster):
    """How often the jobs of EAST have looked."""
    return cluster.log_path(EAST).read_text().count("event=jobs.look ")


def gone(client, name, version=None):
    error = error_of(client.get_secret_value, SecretId=name, **({"VersionId": version} if version else {}))
    assert error is None or error[0] == "ResourceNotFoundException", error
    return error is not None


def test_a_window_ends_and_old_versions_go(regions):
    cluster, clock = regions
    east, west = cluster.client(EAST), cluster.client(WEST)
    doomed = east.create_secret(Name="doomed", SecretString="v")["ARN"]
    east.create_secret(Name="restored", SecretString="v")
    end = east.delete_secret(SecretId="doomed")["DeletionDate"]
    east.delete_secret(SecretId="restored")
    east.create_secret(Name="many", SecretString="0", AddReplicaRegions=[{"Region": WEST}])
    ids = [east.put_secret_value(SecretId="many", SecretString=str(i))["VersionId"] for i in range(VERSIONS)]
    wait_in_sync(east, "many", [WEST])

    # 3.5: above 100 the oldest without labels go, but none younger than 24 hours.
    clock.move(DAY - HOUR)
    seen = looks(cluster)
    eventually(lambda: looks(cluster) >= seen + 3, what="looks of the jobs")  # the first one does not believe the clock yet
    assert not gone(east, "many", ids[0])
    clock.move(DAY + HOUR)
    # The first of 121 has no id here: it went first.
    eventually(lambda: gone(east, "many", ids[VERSIONS - KEPT - 1]), what="the pruning")
    assert all(gone(east, "many", i) for i in ids[:VERSIONS - KEPT])
    assert not any(gone(east, "many", i) for i in ids[VERSIONS - KEPT:])
    wait_in_sync(east, "many", [WEST])
    assert all(gone(west, "many", i) for i in ids[:VERSIONS - KEPT])
    assert not any(gone(west, "many", i) for i in ids[VERSIONS - KEPT:])
    assert west.get_secret_value(SecretId="many")["SecretString"] == str(VERSIONS - 1)

    # 3.8: the name is blocked until the window's end, and free behind it.
    clock.move(30 * DAY - HOUR)
    assert east.describe_secret(SecretId="doomed")["DeletedDate"] == end
    east.restore_secret(SecretId="restored")
    assert error_of(east.create_secret, Name="doomed", SecretString="w") == (
        "InvalidRequestException",
        "You can't create this secret because a secret with this name is already scheduled for deletion.")
    clock.move(31 * DAY)
    eventually(lambda: error_of(east.describe_secret, SecretId="doomed") == ("ResourceNotFoundException", NOT_FOUND),
               what="the end of the window")
    again = east.create_secret(Name="doomed", SecretString="w")
    assert again["ARN"] != doomed
    assert error_of(east.get_secret_value, SecretId=doomed) == ("ResourceNotFoundException", NOT_FOUND)
    assert east.get_secret_value(SecretId="doomed")["SecretString"] == "w"
    assert east.get_secret_value(SecretId="restored")["SecretString"] == "v"
    assert "DeletedDate" not in east.describe_secret(SecretId="restored")

    # A clock that goes back does no harm.
    east.delete_secret(SecretId="doomed", RecoveryWindowInDays=7)
    clock.move(0)
    assert "DeletedDate" in east.describe_secret(SecretId="doomed")
    east.put_secret_value(SecretId="many", SecretString="last")
    wait_in_sync(east, "many", [WEST])
