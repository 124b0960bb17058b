"""Clients that take all connections there are do not take what the node itself needs: files for its store, sockets for its peers."""
import pathlib
import resource
import socket
import subprocess

import pytest

from cluster import BINARY, eventually, wait_in_sync

FILES = 1024  # a common limit; far fewer than connections would be allowed


@pytest.fixture
def many_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 4 * FILES:
        pytest.skip("this shell may not open enough files itself")
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def address(cluster, region):
    host, port = cluster.endpoint(region).removeprefix("http://").split(":")
    return host, int(port)


def test_the_node_lives_on_under_a_crowd(fresh, many_files):
    fresh.start("us-east-1", files=FILES)
    fresh.start("us-west-2", "eu-west-1")
    pid = fresh.processes["us-east-1"].pid
    east = fresh.client("us-east-1")  # keeps its connection
    east.list_secrets()
    crowd = []
    try:
        for _ in range(FILES + 200):
            crowd.append(socket.create_connection(address(fresh, "us-east-1"), timeout=10))
        # Who comes too late is told so at once, and is not left waiting.
        late = socket.create_connection(address(fresh, "us-east-1"), timeout=10)
        crowd.append(late)
        assert late.recv(12) == b"HTTP/1.1 503"
        assert eventually(lambda: len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir())) < FILES - 400, 10, what="room")
        # The store writes new files, and the peers are reached over new connections.
        for i in range(40):
            east.create_secret(Name=f"crowd/{i}", SecretString="x" * 65536, AddReplicaRegions=[{"Region": "us-west-2"}])
        wait_in_sync(east, "crowd/39", ["us-west-2"])
    finally:
        for s in crowd:
            s.close()
    eventually(lambda: fresh.client("us-east-1").get_secret_value(SecretId="crowd/39"), 30, what="room for others again")


def test_what_nobody_signed_does_not_fill_the_log(fresh):
    """Requests for a region that is away, with signatures that nobody can check here."""
    fresh.start("us-east-1")
    before = fresh.log_path("us-east-1").stat().st_size
    request = (b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: secretsmanager.GetSecretValue\r\n"
               b"Content-Type: application/x-amz-json-1.1\r\nX-Amz-Date: 20260115T120000Z\r\n"
               b"Authorization: AWS4-HMAC-SHA256 Credential=AKIANOBODY/20260115/eu-west-1/secretsmanager/aws4_request, "
               b"SignedHeaders=host, Signature=" + b"0" * 64 + b"\r\nContent-Length: 2\r\n\r\n{}")
    with socket.create_connection(address(fresh, "us-east-1"), timeout=30) as s:
        for _ in range(50):
            s.sendall(request)
            answer = s.recv(65536)
            assert answer.startswith(b"HTTP/1.1 503") and b"ServiceUnavailable" in answer
    assert fresh.log_path("us-east-1").stat().st_size - before < 2000, fresh.tail("us-east-1", 1000)


def test_too_few_files_are_told(fresh):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    done = subprocess.run([BINARY, "server", "--config", str(fresh.data / "us-east-1" / "redoubt.conf")], capture_output=True,
                          text=True, timeout=30, preexec_fn=limit)
    assert done.returncode == 1 and "the limit of open files is 256" in done.stderr
