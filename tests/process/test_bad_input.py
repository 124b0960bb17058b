"""Whatever arrives, the answer is AWS's error or a closed connection: never a crash, a hang, growth, or a leak."""
import json
import os
import pathlib
import random
import socket
import time
import uuid

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cluster import Cluster, eventually
from wire import FORM_TYPE, Signer, send

SEED = int(os.environ.get("REDOUBT_SEED") or random.randrange(2**32))
TOKEN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def running():
    with Cluster(["us-east-1"]) as cluster:
        yield cluster.start(env={"ASAN_OPTIONS": "quarantine_size_mb=8"})


def address(cluster):
    host, port = cluster.endpoint("us-east-1").removeprefix("http://").split(":")
    return host, int(port)


def signed(cluster, operation, body, region="us-east-1", service="secretsmanager", headers=None, secret_key=None, access_key=None):
    request = AWSRequest("POST", cluster.endpoint("us-east-1") + "/", data=body, headers={
        "X-Amz-Target": f"secretsmanager.{operation}", "Content-Type": "application/x-amz-json-1.1", **(headers or {})})
    SigV4Auth(Credentials(access_key or cluster.access_key, secret_key or cluster.secret_key), service, region).add_auth(request)
    return dict(request.prepare().headers)


def send_raw(cluster, data, timeout=15):
    """The whole answer; the connection is closed by the server or by our Connection: close."""
    with socket.create_connection(address(cluster), timeout=timeout) as s:
        s.sendall(data)
        answer = b""
        while True:
            try:
                piece = s.recv(65536)
            except ConnectionResetError:
                return answer
            if not piece:
                return answer
            answer += piece


def post(cluster, headers, body):
    head = "POST / HTTP/1.1\r\nHost: %s:%d\r\nConnection: close\r\n" % address(cluster)
    lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items() if k.lower() not in ("host", "content-length"))
    answer = send_raw(cluster, (head + lines + f"Content-Length: {len(body)}\r\n\r\n").encode("latin-1") + body)
    status, payload = int(answer.split(b" ", 2)[1]), answer.split(b"\r\n\r\n", 1)[1]
    return status, (json.loads(payload) if payload else {}), answer.split(b"\r\n\r\n", 1)[0].decode("latin-1").lower()


def call(cluster, operation, body, **kwargs):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return post(cluster, signed(cluster, operation, body, **kwargs), body)


def code_of(answer):
    return answer.get("Output", answer).get("__type", "").split("#")[-1]


def text_of(answer):
    return answer.get("message", answer.get("Message"))


BAD_HTTP = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 garbage\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: x\n\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunked": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "huge length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "folded header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "nul in header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    "bad chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "huge chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "long head": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"H%d: x\r\n" % i for i in range(500)) + b"\r\n",
    "long target": b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "smuggled second request": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("what", BAD_HTTP)
def test_malformed_http_is_refused(running, what):
    answer = send_raw(running, BAD_HTTP[what])
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.0 4")), answer[:200]
    assert answer.count(b"HTTP/1.") <= 1, "one bad request, one answer"


JSON_CASES = {
    "not json": (b"hello", "SerializationException"),
    "array": (b"[]", "SerializationException"),
    "string": (b'"x"', "SerializationException"),
    "cut": (b'{"SecretId": "a', "SerializationException"),
    "trailing": (b'{"SecretId": "a"} x', "SerializationException"),
    "duplicate keys": (b'{"SecretId": "a", "SecretId": "b"}', "SerializationException"),
    "bad utf-8": (b'{"SecretId": "\xff\xfe"}', "SerializationException"),
    "lone surrogate": (b'{"SecretId": "\\ud800"}', "SerializationException"),
    "nul": (b'{"SecretId": "a\\u0000b"}', "SerializationException"),
    "too deep": (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "SerializationException"),
    "number for string": (b'{"SecretId": 5}', "SerializationException"),
    "object for string": (b'{"SecretId": {}}', "SerializationException"),
    "null": (b'{"SecretId": null}', "ValidationException"),
    "missing": (b"{}", "ValidationException"),
    "empty": (b"", "ValidationException"),
    "empty name": (b'{"SecretId": ""}', "ValidationException"),
    "long name": (b'{"SecretId": "' + b"a" * 2049 + b'"}', "ValidationException"),
    "space": (b'{"SecretId": "Inv Name"}', "ValidationException"),
    "star": (b'{"SecretId": " Inv*Name? "}', "ValidationException"),
    "short version": (b'{"SecretId": "a", "VersionId": "short"}', "ValidationException"),
    "unknown secret": (b'{"SecretId": "nothing-here"}', "ResourceNotFoundException"),
    "arn of nothing": (b'{"SecretId": "arn:aws:secretsmanager:us-east-1:123456789012:secret:x-AbCdEf"}', "ResourceNotFoundException"),
    "arn of another region": (b'{"SecretId": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf"}', "ResourceNotFoundException"),
    "arn of another account": (b'{"SecretId": "arn:aws:secretsmanager:us-east-1:999999999999:secret:x-AbCdEf"}', "AccessDeniedException"),
    "unknown members": (b'{"SecretId": "nothing-here", "Foo": [1, {"x": null}]}', "ResourceNotFoundException"),
}


@pytest.mark.parametrize("what", JSON_CASES)
def test_json_shapes(running, what):
    body, expected = JSON_CASES[what]
    status, answer, head = call(running, "GetSecretValue", body)
    assert (status, code_of(answer)) == (400, expected), answer
    assert "x-amzn-requestid: " in head and "application/x-amz-json-1.1" in head and "\r\ndate: " in head


def test_texts_of_validation(running):
    _, answer, _ = call(running, "GetSecretValue", {})
    assert text_of(answer) == "1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null"
    _, answer, _ = call(running, "GetSecretValue", {"SecretId": "Inv Name"})
    assert text_of(answer) == "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
    _, answer, _ = call(running, "CreateSecret", {"Name": "x", "SecretString": "v"})
    assert (code_of(answer), answer["Message"]) == \
        ("InvalidRequestException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
    _, answer, _ = call(running, "CreateSecret", {"Name": "x", "SecretString": "", "Description": "d" * 2049, "ClientRequestToken": TOKEN})
    assert text_of(answer).startswith("2 validation errors detected: ") and "; " in text_of(answer)
    assert "Value at 'secretString' failed to satisfy constraint: Member must have length greater than or equal to 1" in text_of(answer)
    canary = "never-echo-" + uuid.uuid4().hex
    for operation, body in (("CreateSecret", {"Name": "x y", "SecretString": canary * 3000, "ClientRequestToken": TOKEN}),
                            ("PutSecretValue", {"SecretId": "none", "SecretBinary": canary + "!", "ClientRequestToken": TOKEN})):
        status, answer, _ = call(running, operation, body)
        assert status == 400 and canary not in json.dumps(answer)


def test_authentication(running):
    body = b'{"SecretId": "x"}'
    good = signed(running, "GetSecretValue", body)
    cases = [
        ({k: v for k, v in good.items() if k != "Authorization"}, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        (signed(running, "GetSecretValue", body, access_key="AKIAUNKNOWN0000000000"), "UnrecognizedClientException",
         "The security token included in the request is invalid."),
        (signed(running, "GetSecretValue", body, secret_key="wrong"), "InvalidSignatureException",
         "The request signature we calculated does not match the signature you provided."),
        ({**good, "X-Amz-Target": "secretsmanager.DescribeSecret"}, "InvalidSignatureException", "The request signature we calculated"),
        (signed(running, "GetSecretValue", body, service="s3"), "InvalidSignatureException",
         "Credential should be scoped to correct service: 'secretsmanager'."),
        (signed(running, "GetSecretValue", body, region="nowhere-1"), "InvalidSignatureException",
         "Credential should be scoped to a valid Region, not 'nowhere-1'."),
        ({**good, "Authorization": "AWS4-HMAC-SHA256 Credential=x"}, "IncompleteSignatureException",
         "Authorization header requires 'Signature' parameter."),
        ({**good, "Authorization": "Basic eDp5"}, "IncompleteSignatureException", ""),
        ({**good, "X-Amz-Date": "20200101T000000Z"}, "InvalidSignatureException", ""),
        ({**good, "X-Amz-Target": "secretsmanager.NoSuch"}, "UnknownOperationException", None),
        ({k: v for k, v in good.items() if k != "X-Amz-Target"}, "UnknownOperationException", None),
    ]
    for headers, code, text in cases:
        status, answer, _ = post(running, headers, body)
        assert (status, code_of(answer)) == (400, code), answer
        assert text is None or text_of(answer).startswith(text), answer
    assert post(running, good, body)[1]["__type"] == "ResourceNotFoundException"


def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        kind, at = rng.randrange(4), rng.randrange(len(data))
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:at + rng.randint(1, 20)]
        elif kind == 2:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 20)))
        else:
            data[at:at] = data[at:at + rng.randint(1, 50)]
        if not data:
            return b"x"
    return bytes(data)


def test_mutations_neither_crash_nor_grow(running):
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    pid = running.processes["us-east-1"].pid

    def resident_mb():
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 >> 20

    bodies = [("CreateSecret", json.dumps({"Name": "mut/x", "SecretString": "v", "ClientRequestToken": TOKEN,
                                           "Tags": [{"Key": "k", "Value": "v"}], "AddReplicaRegions": [{"Region": "us-west-2"}]})),
              ("PutSecretValue", json.dumps({"SecretId": "mut/x", "SecretString": "v", "ClientRequestToken": TOKEN,
                                             "VersionStages": ["AWSCURRENT"]})),
              ("ListSecrets", json.dumps({"MaxResults": 5, "NextToken": "abc", "Filters": [{"Key": "name", "Values": ["a"]}]})),
              ("DeleteSecret", json.dumps({"SecretId": "mut/y", "RecoveryWindowInDays": 7}))]
    forms = [b"Action=CreateSecret&Name=mut%2Fq&SecretString=a+b&ClientRequestToken=" + TOKEN.encode() +
             b"&Tags.member.1.Key=k&Tags.member.1.Value=v&AddReplicaRegions.member.1.Region=us-west-2",
             b"Action=PutSecretValue&SecretId=mut%2Fq&SecretBinary=AAAA&VersionStages=a&VersionStages=b&ClientRequestToken=" + TOKEN.encode(),
             b"Action=CreateSecret&Name=mut%2Fr&ClientRequestToken=" + TOKEN.encode() + b"&Tags=%7B%27Key%27%3A%20%27k%27%7D"]
    growth_from = None
    for round_number in range(600):
        operation, text = rng.choice(bodies)
        body = mutate(rng, text.encode())
        status, answer, _ = call(running, operation, body)
        assert status in (200, 400), (body, answer)
        assert status == 200 or code_of(answer), (body, answer)
        if round_number % 3 == 0:  # the whole request, its signature left as it was
            headers = signed(running, operation, text.encode())
            raw = ("POST / HTTP/1.1\r\nConnection: close\r\nHost: %s:%d\r\n" % address(running) + "".join(
                f"{k}: {v}\r\n" for k, v in headers.items() if k.lower() not in ("host", "content-length"))
                + f"Content-Length: {len(text)}\r\n\r\n").encode("latin-1") + text.encode()
            with socket.create_connection(address(running), timeout=15) as s:
                s.sendall(mutate(rng, raw))
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
        if round_number % 3 == 1:  # parameters of the Query form
            body = mutate(rng, rng.choice(forms))
            headers = Signer(running).sign(headers={"Content-Type": FORM_TYPE}, body=body)
            answer = send(running, headers=headers, body=body)
            assert answer.status in (200, 400) and (answer.status == 200 or answer.code), (body, answer)
        if round_number == 150:
            growth_from = resident_mb()
    assert resident_mb() - growth_from < 64, f"grew from {growth_from} MB to {resident_mb()} MB"


def test_a_slow_client_is_cut(running):
    with socket.create_connection(address(running), timeout=40) as s:
        s.sendall(b"GET /health HTTP/1.1\r\n")
        began = time.monotonic()
        try:
            while True:
                s.sendall(b"A")
                time.sleep(0.5)
                if time.monotonic() - began > 25:
                    pytest.fail("a head that trickles for 25 s was accepted")
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert eventually(lambda: post(running, {}, b"")[0] == 400)


def test_still_serving(running):
    client = running.client("us-east-1")
    client.create_secret(Name="after/all", SecretString="fine")
    assert client.get_secret_value(SecretId="after/all")["SecretString"] == "fine"
