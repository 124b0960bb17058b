"""The wire as AWS's: headers, error bodies, the front end's errors and their order, the Query form, session tokens.

Each test names the section of the behaviour reference that it holds us to.
"""
import datetime
import email.utils
import json
import re
import socket
import time
import uuid

import pytest

from cluster import ACCOUNT, Cluster
from wire import FORM_TYPE, JSON_TYPE, NO_FORM, UNKNOWN, Signer, address, call, form, send, stamp

TOKEN = "11111111-2222-3333-4444-555555555555"
MISMATCH = ("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing "
            "method. Consult the service documentation for details.")
BAD_TOKEN = "The security token included in the request is invalid."
NO_ACTION = "The action or operation requested is invalid. Verify that the action is typed correctly."
FOREIGN = "arn:aws:secretsmanager:us-east-1:999999999999:secret:x-AbCdEf"
SESSION = "FwoGZXIvYXdzEXAMPLE/token+with=signs=="  # what base64 holds, and what a query must encode
NULL_ID = "1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null"


def iso(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def running():
    with Cluster(["us-east-1", "us-west-2"]) as cluster:
        with open(cluster.data / "credentials", "a", encoding="ascii") as file:
            file.write(f"ASIAVALID temporary1 {ACCOUNT} {SESSION} {iso(3600)} # for an hour\n"
                       f"ASIAOPEN temporary2 {ACCOUNT} {SESSION}2\n"
                       f"ASIAOLD temporary3 {ACCOUNT} {SESSION}3 {iso(-1)}\n")
        yield cluster.start()


# --- 1.3: what every answer has ---

def check_headers(answer):
    assert answer.headers["content-type"] == JSON_TYPE  # [rep], on success and on error
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", answer.headers["x-amzn-requestid"])
    assert abs(email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()) < 60
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert answer.headers["connection"] in ("close", "keep-alive")
    assert answer.headers.get("x-amzn-errortype") == (None if answer.status == 200 else answer.code)


def test_headers_of_every_answer(running):
    answers = [call(running, "ListSecrets"), call(running, "GetSecretValue", {"SecretId": "none"}), call(running, "GetSecretValue"),
               call(running, "Nothing"), send(running), send(running, headers={"X-Amz-Target": "secretsmanager.ListSecrets"}),
               call(running, "GetSecretValue", b"{"), send(running, "GET", "/?Action=Nothing")]
    assert [a.status for a in answers] == [200] + [400] * 7
    for answer in answers:
        check_headers(answer)
    assert len({a.headers["x-amzn-requestid"] for a in answers}) == len(answers)


# --- 1.4: bodies, byte by byte ---

def test_error_bodies(running):
    cases = [
        # modelled: the bare name, and Message with a capital [rec]
        (call(running, "GetSecretValue", {"SecretId": "none"}),
         {"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find the specified secret."}),
        (call(running, "CreateSecret", {"Name": "x"}),
         {"__type": "InvalidRequestException",
          "Message": "You must provide a ClientRequestToken value. We recommend a UUID-type value."}),
        # not modelled: message in lower case [rec], [rep]
        (call(running, "GetSecretValue"), {"__type": "ValidationException", "message": NULL_ID}),
        (call(running, "GetSecretValue", {"SecretId": FOREIGN}),
         {"__type": "AccessDeniedException",
          "message": f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: secretsmanager:GetSecretValue on resource: {FOREIGN} "
                     "because no resource-based policy allows the secretsmanager:GetSecretValue action"}),
        (send(running, headers={"Content-Type": JSON_TYPE, "X-Amz-Target": "secretsmanager.ListSecrets"}, body=b"{}"),
         {"__type": "MissingAuthenticationTokenException", "message": "Missing Authentication Token"}),
        (call(running, "GetSecretValue", {"SecretId": 1}),
         {"__type": "SerializationException", "message": "NUMBER_VALUE cannot be converted to String"}),
        # the dispatcher's two forms [rep]
        (call(running, "NoSuchOperation"), UNKNOWN),
        (call(running, "GetSecretValue", {"SecretId": "x"}, headers={"Content-Type": "application/json"}), NO_FORM),
    ]
    for answer, body in cases:
        assert answer.status == 400
        assert answer.body == json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(), answer


# --- 1.6, first rows: what the dispatcher knows ---

TARGET = {"X-Amz-Target": "secretsmanager.ListSecrets"}
JSON = {"Content-Type": JSON_TYPE}
FORM = {"Content-Type": FORM_TYPE}


@pytest.mark.parametrize("what, method, target, headers, body, expected", [
    # 1.4: {"Output": ...} where content type or target are unusable, the short form for an operation that is not there
    ("nothing", "POST", "/", {}, b"", NO_FORM),
    ("get", "GET", "/", {}, b"", NO_FORM),
    ("no target", "POST", "/", JSON, b"{}", NO_FORM),
    ("no type", "POST", "/", TARGET, b"{}", NO_FORM),
    ("other type", "POST", "/", {**TARGET, "Content-Type": "application/json"}, b"{}", NO_FORM),
    ("json 1.0", "POST", "/", {**TARGET, "Content-Type": "application/x-amz-json-1.0"}, b"{}", NO_FORM),
    ("form for a target", "POST", "/", {**TARGET, **FORM}, b"", NO_FORM),
    ("other prefix", "POST", "/", {**JSON, "X-Amz-Target": "TrentService.ListKeys"}, b"{}", NO_FORM),
    ("prefix in capitals", "POST", "/", {**JSON, "X-Amz-Target": "SecretsManager.ListSecrets"}, b"{}", NO_FORM),
    ("put", "PUT", "/", {**JSON, **TARGET}, b"{}", NO_FORM),
    ("path", "POST", "/v1", {**JSON, **TARGET}, b"{}", NO_FORM),
    ("unknown", "POST", "/", {**JSON, "X-Amz-Target": "secretsmanager.NoSuch"}, b"{}", UNKNOWN),
    ("case", "POST", "/", {**JSON, "X-Amz-Target": "secretsmanager.listsecrets"}, b"{}", UNKNOWN),
    ("empty", "POST", "/", {**JSON, "X-Amz-Target": "secretsmanager."}, b"{}", UNKNOWN),
    # Query: InvalidAction [guide]; MissingAction and versions as other Query services have them
    ("unknown action", "GET", "/?Action=NoSuch&Version=2017-10-17", {}, b"", {"__type": "InvalidAction", "message": NO_ACTION}),
    ("unknown action in a form", "POST", "/", FORM, b"Action=NoSuch", {"__type": "InvalidAction", "message": NO_ACTION}),
    ("case of the action", "GET", "/?Action=listSecrets", {}, b"", {"__type": "InvalidAction", "message": NO_ACTION}),
    ("two actions", "GET", "/?Action=ListSecrets&Action=ListSecrets", {}, b"", {"__type": "InvalidAction", "message": NO_ACTION}),
    ("no action", "POST", "/", FORM, b"Version=2017-10-17",
     {"__type": "MissingAction", "message": "The request is missing an action or a required parameter."}),
    ("wrong version", "GET", "/?Action=ListSecrets&Version=2014-01-01", {}, b"",
     {"__type": "InvalidAction", "message": "Could not find operation ListSecrets for version 2014-01-01"}),
])
def test_dispatch_comes_before_authentication(running, what, method, target, headers, body, expected):
    answer = send(running, method, target, headers, body)
    assert (answer.status, answer.json) == (400, expected)
    check_headers(answer)


# --- 1.6: authentication ---

def authorization(running, **changes):
    return Signer(running, **changes).sign(headers={**JSON, **TARGET}, body=b"{}")


def refused(running, headers, code, text, body=b"{}"):
    answer = send(running, headers=headers, body=body)
    assert (answer.status, answer.code) == (400, code), answer
    assert answer.json == {"__type": code, "message": text}, answer


def test_no_credentials(running):
    refused(running, {**JSON, **TARGET}, "MissingAuthenticationTokenException", "Missing Authentication Token")
    refused(running, {**JSON, **TARGET, "Authorization": ""}, "MissingAuthenticationTokenException", "Missing Authentication Token")


def test_unknown_key(running):  # C-25: 400 and this name, not 403 InvalidClientTokenId
    refused(running, authorization(running, access_key="AKIAUNKNOWN"), "UnrecognizedClientException", BAD_TOKEN)


def test_signature_differs(running):
    refused(running, authorization(running, secret_key="wrong"), "InvalidSignatureException", MISMATCH)
    headers = authorization(running)
    refused(running, headers, "InvalidSignatureException", MISMATCH, body=b'{"MaxResults":1}')
    refused(running, {**headers, "X-Amz-Target": "secretsmanager.GetSecretValue"}, "InvalidSignatureException", MISMATCH)
    # 1.2: host, and x-amz-target where it is sent, must be signed
    for missing in ("host", "x-amz-target"):
        names = [n for n in ("content-type", "host", "x-amz-date", "x-amz-target") if n != missing]
        refused(running, Signer(running).sign(headers={**JSON, **TARGET}, body=b"{}", signed=names), "InvalidSignatureException", MISMATCH)


def test_clock(running):  # +-15 minutes [guide]
    for shift, begin, middle in ((-16 * 60, "Signature expired: ", " is now earlier than "),
                                 (16 * 60, "Signature not yet current: ", " is still later than ")):
        old = stamp(shift=shift)
        answer = send(running, headers=authorization(running, timestamp=old), body=b"{}")
        assert answer.code == "InvalidSignatureException"
        sign = "-" if shift < 0 else "+"
        match = re.fullmatch(rf"{begin}{old}{middle}(\d{{8}}T\d{{6}}Z) \((\d{{8}}T\d{{6}}Z) \{sign} 15 min\.\)", answer.text)
        assert match, answer.text
        limit, now = (datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ") for text in match.groups())
        assert abs((now - limit).total_seconds()) == 900
    for shift in (-14 * 60, 14 * 60):
        assert send(running, headers=authorization(running, timestamp=stamp(shift=shift)), body=b"{}").status == 200


def test_scope(running):
    refused(running, authorization(running, region="xx"), "InvalidSignatureException",
            "Credential should be scoped to a valid Region, not 'xx'. ")
    refused(running, authorization(running, service="s3"), "InvalidSignatureException",
            "Credential should be scoped to correct service: 'secretsmanager'. ")
    refused(running, authorization(running, terminator="aws4"), "InvalidSignatureException",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'.")
    now = stamp()
    refused(running, authorization(running, timestamp=now, scope_date="20200101"), "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'20200101' != '{now[:8]}', from '{now}'.")


def test_incomplete_header(running):
    start, date = {**JSON, **TARGET}, {"X-Amz-Date": stamp()}
    credential = f"Credential={running.access_key}/{stamp()[:8]}/us-east-1/secretsmanager/aws4_request"
    need = "Authorization header requires '%s' parameter. "
    for header, text in (
            (f"AWS4-HMAC-SHA256 {credential}", need % "Signature" + need % "SignedHeaders"),
            (f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host", need % "Signature"),
            ("AWS4-HMAC-SHA256 Signature=00", need % "Credential" + need % "SignedHeaders")):
        refused(running, {**start, **date, "Authorization": header}, "IncompleteSignatureException", f"{text}Authorization={header}")
    whole = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature={'0' * 64}"
    refused(running, {**start, "Authorization": whole}, "IncompleteSignatureException",
            f"Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization={whole}")
    answer = send(running, headers={**start, **date, "Authorization": "AWS4-HMAC-SHA256 Credential"}, body=b"{}")
    assert answer.code == "IncompleteSignatureException"
    assert "'Credential': invalid key=value pair (missing equal-sign) in Authorization header" in answer.text
    refused(running, {**start, **date, "Authorization": "AWS4-HMAC-SHA1 x=y"}, "IncompleteSignatureException",
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'.")


# --- 1.6: bodies ---

def test_serialization(running):
    for body, text in ((b'{"SecretId": {}}', "Start of structure or map found where not expected."),
                       (b'{"SecretId": []}', "Start of list found where not expected."),
                       (b'{"SecretId": 1}', "NUMBER_VALUE cannot be converted to String"),
                       (b'{"SecretId": true}', "TRUE_VALUE cannot be converted to String"),
                       (b"[]", "Start of list found where not expected.")):
        answer = call(running, "GetSecretValue", body)
        assert (answer.status, answer.json) == (400, {"__type": "SerializationException", "message": text})
    answer = call(running, "DeleteSecret", b'{"SecretId": "x", "ForceDeleteWithoutRecovery": "true"}')  # 2.3
    assert (answer.code, answer.text) == ("SerializationException", "STRING_VALUE cannot be converted to Boolean")
    assert call(running, "GetSecretValue", b"not json").code == "SerializationException"


# --- 1.6: the order of the checks ---

def test_order_of_checks(running):
    wrong = Signer(running, secret_key="wrong")
    # routing, then authentication
    assert call(running, "NoSuch", signer=wrong).json == UNKNOWN
    # authentication, then everything about the body
    assert call(running, "GetSecretValue", b"not json", signer=wrong).code == "InvalidSignatureException"
    assert call(running, "GetSecretValue", {}, signer=wrong).code == "InvalidSignatureException"
    # constraints, then the characters of names, then the token's presence [rec]
    put = {"SecretId": "no such", "SecretString": "v"}
    answer = call(running, "PutSecretValue", {**put, "VersionStages": []})
    assert answer.text.startswith("1 validation error detected: Value '[]' at 'versionStages'")
    assert call(running, "PutSecretValue", put).text.startswith("Invalid name. ")
    # the token's presence, then authorisation, then existence [rec]
    no_token = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
    for name in ("nothing-here", FOREIGN):
        answer = call(running, "PutSecretValue", {**put, "SecretId": name})
        assert (answer.code, answer.text) == ("InvalidRequestException", no_token)
    # authorisation, then existence [rep]
    assert call(running, "PutSecretValue", {**put, "SecretId": FOREIGN, "ClientRequestToken": TOKEN}).code == "AccessDeniedException"
    assert call(running, "PutSecretValue", {**put, "SecretId": "nothing-here", "ClientRequestToken": TOKEN}).code == \
        "ResourceNotFoundException"
    # null and length checks come back for secrets that are not there [rep]
    answer = call(running, "GetSecretValue", {"SecretId": "nothing-here", "VersionId": "short"})
    assert answer.code == "ValidationException"


# --- 1.2: what may come with a request ---

def test_headers_that_clients_send(running):
    extra = {"amz-sdk-invocation-id": str(uuid.uuid4()), "amz-sdk-request": "attempt=1; max=3; ttl=20300101T000000Z",
             "User-Agent": "aws-sdk-js/3.1 os/linux  lang/js", "X-Amz-User-Agent": "aws-sdk-js/3.1",
             "X-Amzn-Trace-Id": "Root=1-5759e988-bd862e3fe1be46a994272793", "Accept-Encoding": "gzip", "Accept": "*/*"}
    assert call(running, "ListSecrets", headers=extra).status == 200  # all of them signed
    signer = Signer(running)
    some = ("content-type", "host", "x-amz-date", "x-amz-target")
    headers = signer.sign(headers={**JSON, **TARGET, **extra}, body=b"{}", signed=some)
    assert send(running, headers=headers, body=b"{}").status == 200  # unsigned, as botocore leaves some
    headers["amz-sdk-request"] = "attempt=2"
    assert send(running, headers=headers, body=b"{}").status == 200
    headers = signer.sign(headers={**JSON, **TARGET, **extra}, body=b"{}")
    headers["amz-sdk-request"] = "attempt=2"  # signed: it may not change
    assert send(running, headers=headers, body=b"{}").code == "InvalidSignatureException"
    for content_type in ("application/x-amz-json-1.1; charset=utf-8", "Application/X-Amz-Json-1.1"):
        assert call(running, "ListSecrets", headers={"Content-Type": content_type}).status == 200


def test_payload_hash(running):  # 1.8: X-Amz-Content-SHA256
    body = b'{"MaxResults": 1}'
    for value, status in (("UNSIGNED-PAYLOAD", 200), ("0" * 64, 400)):
        signer = Signer(running, payload=value)
        headers = signer.sign(headers={**JSON, **TARGET, "X-Amz-Content-SHA256": value}, body=body)
        assert send(running, headers=headers, body=body).status == status
    headers = Signer(running, payload="UNSIGNED-PAYLOAD").sign(headers={**JSON, **TARGET, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert send(running, headers=headers, body=body).status == 200  # the body is not signed


def test_date_header(running):  # 1.8: the date's source is X-Amz-Date, else Date
    now = datetime.datetime.now(datetime.timezone.utc)
    signer = Signer(running, timestamp=stamp(now))
    headers = {"Date": email.utils.format_datetime(now, usegmt=True), **JSON, **TARGET}
    names = ("content-type", "date", "host", "x-amz-target")
    signed = signer.sign(headers=headers, body=b"{}", signed=names)
    del signed["X-Amz-Date"]
    assert send(running, headers=signed, body=b"{}").status == 200


def test_members_unknown_null_and_absent(running):
    # 1.2: unknown members are ignored; null is absent [inferred]; 1.3: nothing null goes out
    answer = call(running, "ListSecrets", {"NoSuchMember": {"a": [None]}, "MaxResults": None, "NextToken": None})
    assert answer.status == 200 and b"null" not in answer.body
    assert call(running, "GetSecretValue", {"SecretId": None}).text == NULL_ID
    # 1.2: no body is {}
    assert call(running, "ListSecrets", b"").status == 200
    assert call(running, "GetSecretValue", b"").text == NULL_ID


# --- 1.11: the Query form ---

def form_post(running, parameters, signer=None, headers=None):
    body = parameters if isinstance(parameters, bytes) else form(parameters).encode()
    signed = (signer or Signer(running)).sign(headers={"Content-Type": FORM_TYPE, **(headers or {})}, body=body)
    return send(running, headers=signed, body=body)


def signed_get(running, parameters):
    query = form(parameters)
    return send(running, "GET", f"/?{query}", Signer(running).sign("GET", query))


def presigned_get(running, parameters, **options):
    return send(running, "GET", Signer(running).presign("GET", parameters, **options))


def query(action, **parameters):
    return [("Action", action), ("Version", "2017-10-17"), *((k.replace("__", "."), v) for k, v in parameters.items())]


@pytest.mark.parametrize("ask", [form_post, signed_get, presigned_get])
def test_query_form(running, ask):
    name = f"query/{ask.__name__}"
    created = ask(running, query("CreateSecret", Name=name, SecretString="a + b & c=%\u00e9\U0001f512", ClientRequestToken=TOKEN,
                                 Description="x y", Tags__member__2__Key="k2", Tags__member__2__Value="",
                                 Tags__member__1__Value="v 1", Tags__member__1__Key="k1"))
    assert created.status == 200 and created.json["VersionId"] == TOKEN, created
    check_headers(created)  # C-1: JSON, whatever the form of the request
    described = ask(running, query("DescribeSecret", SecretId=name)).json
    assert described["Tags"] == [{"Key": "k1", "Value": "v 1"}, {"Key": "k2", "Value": ""}] and described["Description"] == "x y"
    assert ask(running, query("GetSecretValue", SecretId=name)).json["SecretString"] == "a + b & c=%\u00e9\U0001f512"
    put = ask(running, query("PutSecretValue", SecretId=name, SecretBinary="AP8H+/8=", ClientRequestToken=str(uuid.uuid4()),
                             VersionStages__member__1="one", VersionStages__member__2="two"))
    assert put.status == 200 and set(put.json["VersionStages"]) == {"one", "two"}
    assert ask(running, query("GetSecretValue", SecretId=name, VersionStage="two")).json["SecretBinary"] == "AP8H+/8="
    listed = ask(running, query("ListSecrets", MaxResults=1))
    assert len(listed.json["SecretList"]) == 1
    deleted = ask(running, query("DeleteSecret", SecretId=name, ForceDeleteWithoutRecovery="true"))
    assert deleted.status == 200
    # without a version: implied [guide]
    assert ask(running, [("Action", "DescribeSecret"), ("SecretId", name)]).code == "ResourceNotFoundException"


def test_query_form_is_validated_like_json(running):
    assert form_post(running, query("GetSecretValue")).json == {"__type": "ValidationException", "message": NULL_ID}
    answer = form_post(running, query("PutSecretValue", SecretId="x", VersionStages__member__1=""))
    assert "at 'versionStages' failed to satisfy constraint: Member must satisfy constraint: [" in answer.text
    answer = form_post(running, query("ListSecrets", MaxResults="101"))
    assert answer.text == ("1 validation error detected: Value '101' at 'maxResults' failed to satisfy constraint: "
                           "Member must have value less than or equal to 100")
    answer = form_post(running, query("DeleteSecret", SecretId="x", ForceDeleteWithoutRecovery="yes"))
    assert (answer.code, answer.text) == ("SerializationException", "STRING_VALUE cannot be converted to Boolean")
    answer = form_post(running, query("CreateSecret", Name="x", ClientRequestToken=TOKEN, Tags__member__1__Key=""))
    assert "at 'tags.1.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1" in answer.text


def test_blanks_in_forms_and_queries(running):
    # In a form body '+' and %20 are both a space; in a query, as in the signature, '+' is a plus sign.
    def describe(body):
        return form_post(running, body).text
    bad = "Invalid name. "
    for name in (b"a+b", b"a%20b"):
        assert describe(b"Action=DescribeSecret&SecretId=" + name).startswith(bad)
    assert form_post(running, b"Action=DescribeSecret&SecretId=a%2Bb").code == "ResourceNotFoundException"
    text = "Action=DescribeSecret&SecretId=a+b"
    assert send(running, "GET", f"/?{text}", Signer(running).sign("GET", text)).code == "ResourceNotFoundException"


@pytest.mark.parametrize("name, text", [
    ("Tags.member.99999999999999999999.Key", "The elements of Tags are named Tags.member.1 to Tags.member.1024"),
    ("Tags.member.1025.Key", "The elements of Tags are named Tags.member.1 to Tags.member.1024"),
    ("Tags.member.0.Key", "The elements of Tags are named Tags.member.1 to Tags.member.1024"),
    ("Tags.1.Key", "The elements of Tags are named Tags.member.1 to Tags.member.1024"),
    ("Name.Key", "Start of structure or map found where not expected."),
])
def test_bad_indices(running, name, text):
    answer = form_post(running, [*query("CreateSecret", ClientRequestToken=TOKEN), (name, "x")])
    assert (answer.code, answer.text) == ("SerializationException", text)


def test_form_parameters_in_query_and_body(running):
    body = b"SecretId=none"
    signer = Signer(running)
    headers = signer.sign("POST", "Action=DescribeSecret", {"Content-Type": FORM_TYPE}, body)
    assert send(running, "POST", "/?Action=DescribeSecret", headers, body).code == "ResourceNotFoundException"
    # signed in the query, with the rest in the body
    target = signer.presign("POST", query("DescribeSecret"), {"Content-Type": FORM_TYPE}, body)
    assert send(running, "POST", target, {"Content-Type": FORM_TYPE}, body).code == "ResourceNotFoundException"
    assert send(running, "POST", target, {"Content-Type": FORM_TYPE}, b"SecretId=other").code == "InvalidSignatureException"
    headers = signer.sign("POST", "Action=DescribeSecret&SecretId=a", {"Content-Type": FORM_TYPE}, body)
    answer = send(running, "POST", "/?Action=DescribeSecret&SecretId=a", headers, body)
    assert (answer.code, answer.text) == ("SerializationException", "The parameter SecretId is given more than once")


def test_query_form_through_another_region(running):
    body = form(query("DescribeSecret", SecretId="none")).encode()
    headers = Signer(running, region="us-west-2").sign(headers={"Content-Type": FORM_TYPE}, body=body)
    answer = send(running, headers=headers, body=body)
    assert answer.code == "ResourceNotFoundException"
    check_headers(answer)


def test_a_form_of_the_largest_value(running):
    value = "\u00e9" * 32768
    answer = form_post(running, query("CreateSecret", Name="query/large", SecretString=value, ClientRequestToken=TOKEN))
    assert answer.status == 200, answer
    assert call(running, "GetSecretValue", {"SecretId": "query/large"}).json["SecretString"] == value


# --- 1.6, 1.8: session tokens ---

def temporary(running, which="VALID", secret="temporary1", **changes):
    return Signer(running, access_key=f"ASIA{which}", secret_key=secret, **changes)


def with_token(running, signer, token, signed=True):
    headers = {**JSON, **TARGET, **({"X-Amz-Security-Token": token} if token is not None else {})}
    names = None if signed else ("content-type", "host", "x-amz-date", "x-amz-target")
    return send(running, headers=signer.sign(headers=headers, body=b"{}", signed=names), body=b"{}")


def test_session_in_the_header(running):
    invalid = {"__type": "UnrecognizedClientException", "message": BAD_TOKEN}
    expired = {"__type": "ExpiredTokenException", "message": "The security token included in the request is expired"}
    assert with_token(running, temporary(running), SESSION).status == 200
    assert with_token(running, temporary(running, "OPEN", "temporary2"), SESSION + "2").status == 200
    # Compared with the one that we know, so it need not be signed.
    assert with_token(running, temporary(running), SESSION, signed=False).status == 200
    for token in (None, "wrong", SESSION[:-1], SESSION + "=", SESSION + "2"):
        assert with_token(running, temporary(running), token).json == invalid
    old = temporary(running, "OLD", "temporary3")
    assert with_token(running, old, SESSION + "3").json == expired
    assert with_token(running, old, "wrong").json == invalid
    assert with_token(running, Signer(running), SESSION).json == invalid  # a long-term key has no session
    assert with_token(running, temporary(running, secret="wrong"), SESSION).json == \
        {"__type": "InvalidSignatureException", "message": MISMATCH}
    # a token that is signed may not be taken out or changed
    headers = temporary(running).sign(headers={**JSON, **TARGET, "X-Amz-Security-Token": SESSION}, body=b"{}")
    assert send(running, headers={**headers, "X-Amz-Security-Token": None}, body=b"{}").status == 400


def test_session_in_the_query(running):
    list_all = query("ListSecrets")
    invalid = {"__type": "UnrecognizedClientException", "message": BAD_TOKEN}

    def ask(signer, token, headers=None):
        return send(running, "GET", signer.presign("GET", list_all, token=token), headers)
    assert ask(temporary(running), SESSION).status == 200
    for token in (None, "wrong", SESSION[:-1]):
        assert ask(temporary(running), token).json == invalid
    assert ask(temporary(running), None, {"X-Amz-Security-Token": SESSION}).json == invalid  # the other form's place
    assert ask(temporary(running, "OLD", "temporary3"), SESSION + "3").code == "ExpiredTokenException"
    assert ask(Signer(running), SESSION).json == invalid
    # the query is signed: a token cannot be added to it
    assert send(running, "GET", temporary(running).presign("GET", list_all) + "&" + form({"X-Amz-Security-Token": SESSION})).code == \
        "InvalidSignatureException"


def test_sessions_with_clients_and_regions(running):
    client = running.client("us-east-1", access_key="ASIAVALID", secret_key="temporary1", session_token=SESSION)
    client.create_secret(Name="session/boto", SecretString="v")
    assert client.get_secret_value(SecretId="session/boto")["SecretString"] == "v"
    other = running.client("us-west-2", via="us-east-1", access_key="ASIAVALID", secret_key="temporary1", session_token=SESSION)
    assert other.list_secrets()["SecretList"] == []
    bad = running.client("us-east-1", access_key="ASIAOLD", secret_key="temporary3", session_token=SESSION + "3")
    with pytest.raises(bad.exceptions.ClientError) as caught:
        bad.list_secrets()
    assert caught.value.response["Error"]["Code"] == "ExpiredTokenException"


def test_tokens_are_not_logged(running):
    for region in running.regions:
        assert SESSION[:20] not in running.log_path(region).read_text(errors="replace")


def test_still_alive(running):
    for region in running.regions:
        with socket.create_connection(address(running, region), timeout=10) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 200")
