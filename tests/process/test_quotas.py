"""Quotas that an operator raised (AWS_BEHAVIOUR 6) on real servers: what is larger than the service allows is kept, shipped and read
back, and a replica's region takes it whatever its own quotas are."""
import subprocess

import botocore.exceptions
import pytest

from cluster import BINARY, Cluster, wait_in_sync
from test_listing import Caller

EAST, WEST = "us-east-1", "eu-west-1"
VALUE, MOST = 65536, 131072
TAGS = 60


def configure(cluster, region, text):
    with open(cluster.data / region / "redoubt.conf", "a") as config:
        config.write(f"\n{text}\n")


@pytest.fixture(scope="module")
def raised():
    with Cluster(regions=(EAST, WEST)) as cluster:
        configure(cluster, EAST, f"[quotas]\nvalue_bytes = {MOST}\ntags = {TAGS}")
        yield cluster.start()


def error_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def too_long(member, most):
    return ("ValidationException", f"1 validation error detected: Value at '{member}' failed to satisfy constraint: "
                                   f"Member must have length less than or equal to {most}")


def test_values_up_to_the_quota(raised):
    east, west = raised.client(EAST), raised.client(WEST)
    # Each character is six bytes on the wire.
    east.create_secret(Name="escapes", SecretString="\x01" * MOST, AddReplicaRegions=[{"Region": WEST}])
    east.create_secret(Name="bytes", SecretBinary=bytes(i % 256 for i in range(MOST)), AddReplicaRegions=[{"Region": WEST}])
    for name in ("escapes", "bytes"):
        wait_in_sync(east, name, [WEST])
    assert west.get_secret_value(SecretId="escapes")["SecretString"] == "\x01" * MOST
    assert west.get_secret_value(SecretId="bytes")["SecretBinary"] == bytes(i % 256 for i in range(MOST))
    assert error_of(east.put_secret_value, SecretId="escapes", SecretString="x" * (MOST + 1)) == too_long("secretString", MOST)
    assert error_of(east.put_secret_value, SecretId="bytes", SecretBinary=b"x" * (MOST + 1)) == too_long("secretBinary", MOST)
    # The other region has the service's own quotas.
    assert error_of(west.create_secret, Name="mine", SecretString="x" * (VALUE + 1)) == too_long("secretString", VALUE)
    west.create_secret(Name="mine", SecretString="x" * VALUE)


def test_twenty_of_the_largest_values_in_one_answer(raised):
    caller, listed = Caller(raised, EAST), [f"large/{i:02d}" for i in range(20)]
    for name in listed:
        caller.ok("CreateSecret", Name=name, SecretString="\x01" * MOST)
    for door in (caller, Caller(raised, EAST, via=WEST)):
        read = door.ok("BatchGetSecretValue", SecretIdList=listed)["SecretValues"]
        assert [entry["Name"] for entry in read] == listed and {entry["SecretString"] for entry in read} == {"\x01" * MOST}


def test_tags_up_to_the_quota(raised):
    east, west = raised.client(EAST), raised.client(WEST)
    tags = [{"Key": f"k{i}", "Value": "v"} for i in range(TAGS)]
    east.create_secret(Name="tagged", Tags=tags, AddReplicaRegions=[{"Region": WEST}])
    wait_in_sync(east, "tagged", [WEST])
    assert west.describe_secret(SecretId="tagged")["Tags"] == tags
    assert error_of(east.create_secret, Name="more", Tags=tags + [{"Key": "one", "Value": "v"}])[0] == "InvalidParameterException"
    assert error_of(west.create_secret, Name="more", Tags=tags)[0] == "InvalidParameterException"


def test_quotas_out_of_their_bounds_are_refused():
    with Cluster(regions=(EAST,)) as cluster:
        path = cluster.data / EAST / "redoubt.conf"
        lines = len(path.read_text().splitlines())
        configure(cluster, EAST, "[quotas]\nlabels = 19")
        done = subprocess.run([BINARY, "server", "--config", str(path)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr == f"redoubt: {path}:{lines + 3}: [quotas] labels: must be a number from 20 to 100\n"
