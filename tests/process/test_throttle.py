"""Request rates (AWS_BEHAVIOUR 6, 1.6): clients are told ThrottlingException, and their own retries get them through."""
import time

import botocore.exceptions
import pytest

from cluster import Cluster

EAST, WEST = "us-east-1", "eu-west-1"
RATE = 2  # 4 percent of CreateSecret's 50 a second


@pytest.fixture(scope="module")
def slow():
    with Cluster(regions=(EAST, WEST), options=("--throttle", "4")) as cluster:
        yield cluster.start()


def refused(client, prefix, n):
    """How many of `n` secrets made at once are refused, each for this reason."""
    count = 0
    for i in range(n):
        try:
            client.create_secret(Name=f"{prefix}-{i}", SecretString="v")
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
            count += 1
    return count


def test_more_than_the_rate_is_refused(slow):
    east, west = slow.client(EAST), slow.client(WEST)
    began = time.monotonic()
    n = refused(east, "a", 40)
    seconds = time.monotonic() - began
    assert 40 - n <= RATE + seconds * RATE + 1
    assert n > 0, f"40 calls took {seconds} s"
    # Other operations and other regions have rates of their own.
    assert east.get_secret_value(SecretId="a-0")["SecretString"] == "v"
    west.create_secret(Name="there", SecretString="v")
    # Through another region's endpoint it is the same region's rate.
    refused(east, "b", 20)
    assert refused(slow.client(EAST, via=WEST), "c", 20) > 0


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_a_client_that_retries_gets_through(slow, mode):
    client = slow.client(EAST, retries={"mode": mode, "max_attempts": 10})
    retries = 0
    for i in range(4 * RATE):
        answer = client.create_secret(Name=f"{mode}-{i}", SecretString="v")
        retries += answer["ResponseMetadata"]["RetryAttempts"]
    assert mode == "adaptive" or retries > 0
