"""Presigned URLs as botocore and the JavaScript SDK's signer really make them (AWS_BEHAVIOUR 1.10).

botocore moves the parameters into the query and signs an X-Amz-Target that is not in the URL: who uses the URL sends it. The signer of the
JavaScript SDK moves X-Amz-Target itself into the query and leaves the parameters in the body.
"""
import datetime
import json
import subprocess
import sys
import types
import urllib.request
import uuid

import pytest

from cluster import ACCOUNT, Cluster
from test_js import installed_client
from wire import FORM_TYPE, JSON_TYPE, NO_FORM, Signer, send

SESSION = "FwoGZXIvYXdzEXAMPLE/token+with=signs=="
BAD_TOKEN = "The security token included in the request is invalid."


@pytest.fixture(scope="module")
def running():
    with Cluster(["us-east-1"]) as cluster:
        with open(cluster.data / "credentials", "a", encoding="ascii") as file:
            file.write(f"ASIAVALID temporary {ACCOUNT} {SESSION}\n")
        yield cluster.start()


@pytest.fixture
def client(running):
    return running.client("us-east-1")


def use(running, url, operation, method="POST", body=b"", headers=None):
    """What the user of the URL does: the signed headers, with the same values."""
    assert url.startswith(running.endpoint("us-east-1"))
    target = url[len(running.endpoint("us-east-1")):]
    return send(running, method, target, {"Content-Type": JSON_TYPE, "X-Amz-Target": f"secretsmanager.{operation}", **(headers or {})}, body)


def presign(client, operation, method=None, expires=None, **parameters):
    return client.generate_presigned_url(operation, Params=parameters, **({"HttpMethod": method} if method else {}),
                                         **({"ExpiresIn": expires} if expires is not None else {}))


def at(monkeypatch, seconds):
    """botocore signs as if it were so many seconds later."""
    class Shifted(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return datetime.datetime.utcnow() + datetime.timedelta(seconds=seconds)
    shifted = types.SimpleNamespace(datetime=Shifted, timezone=datetime.timezone)
    for module in ("botocore.auth", "botocore.crt.auth"):  # the second where the CRT is installed, and then instead
        if module in sys.modules:
            monkeypatch.setattr(sys.modules[module], "datetime", shifted)


def test_what_the_url_is(client):
    url = presign(client, "get_secret_value", SecretId="a/b")
    assert "SecretId=a%2Fb&" in url and "Action=" not in url and "X-Amz-Expires=3600" in url
    assert "X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-target" in url


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_operations(running, client, method):
    name, token = f"presigned/{method}", str(uuid.uuid4())
    tags = [{"Key": "k 1", "Value": "a+b=c/d: e@f"}, {"Key": "k2", "Value": "\u00e9\u4e2d"}]
    if method == "POST":
        tags.append({"Key": "empty", "Value": ""})
    url = presign(client, "create_secret", method, Name=name, SecretString="a + b&c=d \u00e9", Tags=tags, Description="{'x': 1}",
                  ClientRequestToken=token, ForceOverwriteReplicaSecret=True)
    answer = use(running, url, "CreateSecret", method)
    assert answer.status == 200 and answer.json["VersionId"] == token, answer
    assert use(running, url, "CreateSecret", method).json == answer.json  # the token makes it idempotent, as in any other call
    described = use(running, presign(client, "describe_secret", method, SecretId=answer.json["ARN"]), "DescribeSecret", method).json
    assert described["Tags"] == tags and described["Description"] == "{'x': 1}"
    read = use(running, presign(client, "get_secret_value", method, SecretId=name), "GetSecretValue", method)
    assert read.json["SecretString"] == "a + b&c=d \u00e9"
    put = use(running, presign(client, "put_secret_value", method, SecretId=name, SecretBinary=b"\x00\xff\xfb",
                               VersionStages=["one", "two"]), "PutSecretValue", method)  # the token is filled in
    assert put.status == 200 and set(put.json["VersionStages"]) == {"one", "two"}, put
    assert client.get_secret_value(SecretId=name, VersionStage="two")["SecretBinary"] == b"\x00\xff\xfb"
    tagged = presign(client, "tag_resource", method, SecretId=name, Tags=[{"Key": "k2", "Value": "new"}, {"Key": "k3", "Value": ""}])
    assert use(running, tagged, "TagResource", method).status == 200
    assert use(running, presign(client, "untag_resource", method, SecretId=name, TagKeys=["k 1", "k3", "empty"]), "UntagResource",
               method).status == 200
    assert client.describe_secret(SecretId=name)["Tags"] == [{"Key": "k2", "Value": "new"}]
    listed = use(running, presign(client, "list_secrets", method, MaxResults=5, SortOrder="asc", Filters=[
        {"Key": "name", "Values": [name]}, {"Key": "tag-value", "Values": ["new", "other"]}]), "ListSecrets", method).json
    assert [row["Name"] for row in listed["SecretList"]] == [name]
    rules = {"AutomaticallyAfterDays": 7, "Duration": "0h!"}
    answer = use(running, presign(client, "rotate_secret", method, SecretId=name, RotationRules=rules), "RotateSecret", method)
    assert answer.text == ("1 validation error detected: Value '0h!' at 'rotationRules.duration' failed to satisfy constraint: Member must "
                           "satisfy regular expression pattern: [0-9]+h")
    deleted = use(running, presign(client, "delete_secret", method, SecretId=name, RecoveryWindowInDays=7), "DeleteSecret", method)
    assert deleted.status == 200 and "DeletionDate" in deleted.json
    assert use(running, presign(client, "get_secret_value", method, SecretId=name), "GetSecretValue", method).code == \
        "InvalidRequestException"
    forced = presign(client, "delete_secret", method, SecretId=f"{name}/x", ForceDeleteWithoutRecovery=True)
    assert use(running, forced, "DeleteSecret", method).status == 200


def test_constraints_in_a_url(running, client):
    url = presign(client, "list_secrets", MaxResults=101)
    assert use(running, url, "ListSecrets").text.startswith("1 validation error detected: Value '101' at 'maxResults' ")
    url = presign(client, "replicate_secret_to_regions", SecretId="x", AddReplicaRegions=[{"Region": "Nowhere"}])
    assert "at 'addReplicaRegions.1.member.region' failed" in use(running, url, "ReplicateSecretToRegions").text
    url = presign(client, "remove_regions_from_replication", SecretId="none", RemoveReplicaRegions=["us-west-2", "eu-west-1"])
    assert use(running, url, "RemoveRegionsFromReplication").code == "ResourceNotFoundException"


def test_the_url_is_for_one_request(running, client):
    url = presign(client, "get_secret_value", SecretId="presigned/none")
    assert use(running, url, "GetSecretValue").code == "ResourceNotFoundException"
    assert use(running, url, "DescribeSecret").code == "InvalidSignatureException"  # another operation
    assert use(running, url, "GetSecretValue", "GET").code == "InvalidSignatureException"
    assert use(running, url.replace("presigned%2Fnone", "other"), "GetSecretValue").code == "InvalidSignatureException"
    assert use(running, url + "&VersionStage=x", "GetSecretValue").code == "InvalidSignatureException"
    assert use(running, url, "GetSecretValue", body=b'{"SecretId": "other"}').code == "InvalidSignatureException"
    assert use(running, url.replace("Expires=3600", "Expires=3601"), "GetSecretValue").code == "InvalidSignatureException"
    # Without the header that it was signed with, nothing says what it is for.
    assert send(running, "POST", url[len(running.endpoint("us-east-1")):], {"Content-Type": JSON_TYPE}).json == NO_FORM
    wrong = running.client("us-east-1", secret_key="wrong")
    assert use(running, presign(wrong, "list_secrets"), "ListSecrets").code == "InvalidSignatureException"


def test_expiry(running, client, monkeypatch):
    # date + expires >= now; the client's default is 3600
    at(monkeypatch, -3590)
    assert use(running, presign(client, "list_secrets"), "ListSecrets").status == 200
    at(monkeypatch, -3605)
    answer = use(running, presign(client, "list_secrets"), "ListSecrets")
    assert answer.code == "InvalidSignatureException"
    assert answer.text.startswith("Signature expired: 2") and answer.text.endswith(" - 60 min.)") and " is now earlier than " in answer.text
    at(monkeypatch, -604790)  # the most is a week
    assert use(running, presign(client, "list_secrets", expires=604800), "ListSecrets").status == 200
    at(monkeypatch, 16 * 60)
    answer = use(running, presign(client, "list_secrets"), "ListSecrets")
    assert answer.code == "InvalidSignatureException" and answer.text.startswith("Signature not yet current: ")
    for expires, text in ((604801, "X-Amz-Expires must be between 1 and 604800 seconds"),
                          (0, "X-Amz-Expires must be between 1 and 604800 seconds"),
                          (-5, "X-Amz-Expires should be a number")):
        answer = send(running, "GET", Signer(running).presign("GET", {"Action": "ListSecrets"}, expires=expires))
        assert (answer.code, answer.text) == ("IncompleteSignatureException", text)


def test_without_expires(running):
    # The guide's common parameters know no X-Amz-Expires: the clock's 15 minutes then, as in header form.
    query = {"Action": "ListSecrets"}
    for shift, status in ((-890, 200), (-910, 400)):
        timestamp = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=shift)).strftime("%Y%m%dT%H%M%SZ")
        assert send(running, "GET", Signer(running, timestamp=timestamp).presign("GET", query, expires=None)).status == status


def test_parts_of_the_query(running):
    target = Signer(running).presign("GET", {"Action": "ListSecrets"})
    for part, text in (("X-Amz-Algorithm", "AWS query-string parameters must include 'X-Amz-Algorithm'. Re-examine the query-string "
                                           "parameters."),
                       ("X-Amz-Date", "AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters.")):
        without = "&".join(p for p in target[2:].split("&") if not p.startswith(part + "="))
        answer = send(running, "GET", "/?" + without)
        assert (answer.status, answer.json) == (400, {"__type": "IncompleteSignatureException", "message": text})
    twice = send(running, "GET", target + "&X-Amz-Expires=5")
    assert twice.text == "AWS query-string parameter 'X-Amz-Expires' is repeated."


def test_session_token_in_the_url(running):
    temporary = running.client("us-east-1", access_key="ASIAVALID", secret_key="temporary", session_token=SESSION)
    url = presign(temporary, "list_secrets")
    assert "X-Amz-Security-Token=FwoGZXIvYXdzEXAMPLE%2Ftoken%2Bwith%3Dsigns%3D%3D" in url
    assert use(running, url, "ListSecrets").status == 200
    for token in ("wrong", None):
        other = running.client("us-east-1", access_key="ASIAVALID", secret_key="temporary", session_token=token)
        answer = use(running, presign(other, "list_secrets"), "ListSecrets")
        assert (answer.code, answer.text) == ("UnrecognizedClientException", BAD_TOKEN)


def test_body_or_query(running):
    # Parameters come from the body when it is not empty, else from the query.
    body = b'{"SecretId": "from/body"}'
    headers = {"Content-Type": JSON_TYPE, "X-Amz-Target": "secretsmanager.CreateSecret"}
    create = json.dumps({"Name": "from/body", "SecretString": "v", "ClientRequestToken": str(uuid.uuid4())}).encode()
    assert send(running, "POST", Signer(running).presign("POST", {}, headers, create), headers, create).json["Name"] == "from/body"
    headers["X-Amz-Target"] = "secretsmanager.DescribeSecret"
    signer = Signer(running)
    target = signer.presign("POST", {"SecretId": "from/query"}, headers, body)
    assert send(running, "POST", target, headers, body).json["Name"] == "from/body"
    target = signer.presign("POST", {"SecretId": "from/query"}, headers)
    assert send(running, "POST", target, headers).code == "ResourceNotFoundException"
    # UNSIGNED-PAYLOAD: in the header, or where the presigner found it
    signer = Signer(running, payload="UNSIGNED-PAYLOAD")
    target = signer.presign("POST", {}, {**headers, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert send(running, "POST", target, {**headers, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, body).json["Name"] == "from/body"
    assert send(running, "POST", target, headers, body).code == "InvalidSignatureException"
    target = signer.presign("POST", {"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD"}, headers)
    assert send(running, "POST", target, headers, body).json["Name"] == "from/body"
    # the target in the query, of any case
    for name in ("X-Amz-Target", "x-amz-target"):
        target = Signer(running).presign("POST", {name: "secretsmanager.DescribeSecret"}, {}, body)
        assert send(running, "POST", target, {"Content-Type": JSON_TYPE}, body).json["Name"] == "from/body"
    # a form body with a signature in the query
    form_body = b"SecretId=from%2Fbody"
    target = Signer(running).presign("POST", {"Action": "DescribeSecret"}, {}, form_body)
    assert send(running, "POST", target, {"Content-Type": FORM_TYPE}, form_body).json["Name"] == "from/body"


def test_a_plain_http_client(running, client):
    client.create_secret(Name="plain", SecretString="v")
    request = urllib.request.Request(presign(client, "get_secret_value", "GET", SecretId="plain"),
                                     headers={"Content-Type": JSON_TYPE, "X-Amz-Target": "secretsmanager.GetSecretValue"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["SecretString"] == "v"
    query = Signer(running).presign("GET", {"Action": "GetSecretValue", "Version": "2017-10-17", "SecretId": "plain"})
    with urllib.request.urlopen(running.endpoint("us-east-1") + query, timeout=30) as answer:
        assert json.load(answer)["SecretString"] == "v"


def test_javascript_presigner(running):
    folder, node = installed_client()
    done = subprocess.run([node, "presign.mjs", running.endpoint("us-east-1")], cwd=folder,
                          env={**running.environment(), "SESSION_TOKEN": SESSION}, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0 and done.stdout.strip() == "ok", done.stdout + done.stderr
