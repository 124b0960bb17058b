"""A value that was stored, replicated, read, refused and deleted is found nowhere afterwards: not in the data folders, the logs, or the
memory of the processes, in any of the forms it might have taken."""
import base64
import pathlib
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cluster import eventually, wait_in_sync
from wire import FORM_TYPE, Signer, form, send

REPLICAS = ["us-west-2", "eu-west-1"]


def forms(text):
    raw = text.encode()
    escaped = "".join(f"\\u{ord(c):04x}" for c in text).encode()
    found = {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(), "escaped": escaped,
             "utf-16": text.encode("utf-16-le"), "url": urllib.parse.quote(text, safe="").encode()}
    # Base64 of the value inside a longer text starts at any of three offsets: search the part that does not depend on the ends.
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw)
        found[f"base64+{offset}"] = encoded[(4 if offset else 0):-4]
    return found


def memory_of(pid):
    """Everything a core dump would hold, and more: all readable mappings."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if not match or "[vvar" in line or "[vsyscall]" in line:
                continue
            start, end = (int(x, 16) for x in match.groups())
            if end - start > 8 << 30:
                continue  # a sanitizer's shadow: bits about memory, never its content
            for at in range(start, end, 1 << 24):
                size = min((1 << 24) + 512, end - at)  # overlap: a value across two pieces is found
                try:
                    memory.seek(at)
                    yield memory.read(size)
                except (OSError, ValueError, OverflowError):
                    continue


def hits(chunks, needles):
    return {kind for chunk in chunks for kind, needle in needles.items() if needle in chunk}


def files_below(folder):
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def test_the_search_finds_what_is_there(tmp_path):
    """The test of the test: a canary that does lie around is found in every form."""
    canary = "canary-" + uuid.uuid4().hex
    for kind, needle in forms(canary).items():
        (tmp_path / "file").write_bytes(b"xx" + needle + b"yy")
        assert kind in hits((data for _, data in files_below(tmp_path)), forms(canary))
    own = canary.encode()  # noqa: F841  keeps it in this process's memory
    import os
    assert "raw" in hits(memory_of(os.getpid()), {"raw": canary.encode()})


@pytest.mark.parametrize("build", ["any"])
def test_no_trace(fresh, build):
    fresh.start()
    canary = "canary-" + uuid.uuid4().hex + "-value"
    east = fresh.client("us-east-1")
    east.create_secret(Name="canary/string", SecretString=canary, AddReplicaRegions=[{"Region": r} for r in REPLICAS])
    east.create_secret(Name="canary/binary", SecretBinary=canary.encode(), AddReplicaRegions=[{"Region": r} for r in REPLICAS])
    east.create_secret(Name="canary/json", SecretString='{"password":"' + canary + '"}')
    for name in ("canary/string", "canary/binary"):
        wait_in_sync(east, name, REPLICAS)
    east.put_secret_value(SecretId="canary/string", SecretString="é" + canary)
    wait_in_sync(east, "canary/string", REPLICAS)
    for region in fresh.regions:
        for via in {region, "us-east-1"}:
            assert canary in fresh.client(region, via=via).get_secret_value(SecretId="canary/string")["SecretString"]
            fresh.client(region, via=via).get_secret_value(SecretId="canary/binary")
    # Refusals of every kind with the value in the request.
    with pytest.raises(east.exceptions.ResourceExistsException):
        east.create_secret(Name="canary/string", SecretString=canary)
    with pytest.raises(east.exceptions.InvalidParameterException):
        east.put_secret_value(SecretId="canary/string", SecretString=canary, SecretBinary=canary.encode())
    with pytest.raises(east.exceptions.ClientError):
        east.put_secret_value(SecretId="canary/string", SecretString=canary * 2000)
    with pytest.raises(east.exceptions.ClientError):
        fresh.client("us-east-1", secret_key="wrong").create_secret(Name="canary/no", SecretString=canary)
    with pytest.raises(fresh.client("eu-west-1").exceptions.InvalidParameterException):
        fresh.client("eu-west-1").put_secret_value(SecretId="canary/string", SecretString=canary)
    east.delete_secret(SecretId="canary/json", ForceDeleteWithoutRecovery=True)

    # Connections close, and with them goes what the last request left in their buffers.
    needles = forms(canary)
    for region, process in fresh.processes.items():
        remains = eventually(lambda: [hits(memory_of(process.pid), needles)], what="memory")[0]
        deadline = time.monotonic() + 10
        while remains and time.monotonic() < deadline:
            time.sleep(0.5)
            remains = hits(memory_of(process.pid), needles)
        assert not remains, f"memory of {region} holds the canary as {sorted(remains)}"
    for region in list(fresh.processes):
        fresh.stop(region)
    for path, data in list(files_below(fresh.data)) + [(fresh.log_path(r), fresh.log_path(r).read_bytes()) for r in fresh.regions]:
        found = hits([data], needles)
        assert not found, f"{path} holds the canary as {sorted(found)}"


def test_no_trace_of_what_is_not_json(fresh):
    """The parser words its complaint with the token it stumbled over, when that is short."""
    fresh.start("us-east-1")
    canary = "cnry" + uuid.uuid4().hex[:12]
    for body in ('{"Name": "x", "SecretString" "%s"}', '{"Name": "x", "SecretString": "y" "%s"}', '{"Name": "x", "SecretString": "%s'):
        body = (body % canary).encode()
        request = AWSRequest("POST", fresh.endpoint("us-east-1") + "/", data=body, headers={
            "X-Amz-Target": "secretsmanager.CreateSecret", "Content-Type": "application/x-amz-json-1.1"})
        SigV4Auth(Credentials(fresh.access_key, fresh.secret_key), "secretsmanager", "us-east-1").add_auth(request)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(request.url, data=body, headers=dict(request.prepare().headers)), timeout=10)
        answer = caught.value.read()
        assert b"SerializationException" in answer and canary.encode() not in answer
        # The answer is on its way before the request is freed.
        pid = fresh.processes["us-east-1"].pid
        eventually(lambda: not hits(memory_of(pid), {"raw": canary.encode()}), 10, every=0.2, what=f"no trace of {body}")


def test_no_trace_of_queries_and_forms(fresh):
    """A value that came as a parameter: in a form body, in a query, in a presigned URL, right and wrong."""
    fresh.start("us-east-1")
    canary = "canary-" + uuid.uuid4().hex + "-value"
    east, signer = fresh.client("us-east-1"), Signer(fresh)
    for i, value in enumerate((canary, "é+ " + canary, canary * 2000)):
        parameters = {"Action": "CreateSecret", "Name": f"canary/{i}", "SecretString": value, "ClientRequestToken": str(uuid.uuid4())}
        body = form(parameters).encode()
        status = 200 if i < 2 else 400
        assert send(fresh, headers=signer.sign(headers={"Content-Type": FORM_TYPE}, body=body), body=body).status == status
        assert send(fresh, headers={"Content-Type": FORM_TYPE}, body=body).status == 400  # nobody signed it
        twice = body + b"&" + form({"SecretString": value}).encode()
        assert send(fresh, headers=signer.sign(headers={"Content-Type": FORM_TYPE}, body=twice), body=twice).status == 400
        if i < 2:
            parameters["Name"] += "/get"
            assert send(fresh, "GET", signer.presign("GET", parameters)).status == 200
            assert send(fresh, "GET", "/?" + form(parameters)).status == 400
            # A value where it does not belong: unreadable as what it should be.
            wrong = form({**parameters, "Tags": "{'" + value + "'", "ClientRequestToken": str(uuid.uuid4())})
            assert send(fresh, "GET", "/?" + wrong, signer.sign("GET", wrong)).code == "SerializationException"
    assert canary in east.get_secret_value(SecretId="canary/1/get")["SecretString"]
    needles, pid = forms(canary), fresh.processes["us-east-1"].pid
    eventually(lambda: not hits(memory_of(pid), needles), 10, every=0.5, what="no trace in memory")
    fresh.stop("us-east-1")
    for path, data in [*files_below(fresh.data), (fresh.log_path("us-east-1"), fresh.log_path("us-east-1").read_bytes())]:
        assert not hits([data], needles), path


def test_no_keys_of_connections(fresh):
    """A variable that is meant for debugging does not make the process write down the keys of its connections."""
    path = fresh.folder / "tls-keys"
    fresh.start(env={"SSLKEYLOGFILE": str(path)})
    east = fresh.client("us-east-1")
    east.create_secret(Name="keylog", SecretString="v", AddReplicaRegions=[{"Region": r} for r in REPLICAS])
    wait_in_sync(east, "keylog", REPLICAS)
    assert not path.exists()


def test_core_files_are_off(fresh):
    fresh.start("us-east-1")
    pid = fresh.processes["us-east-1"].pid
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0\s", limits)
    assert pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1] == b"server"
