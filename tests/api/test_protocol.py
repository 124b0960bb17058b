"""The protocol: targets, headers, bodies, error bodies, authentication (section 1)."""
import base64
import datetime
import json
import re

import pytest
from botocore.credentials import Credentials

from marks import provokes, rule
from members import OPERATIONS, WITH_SECRET_ID, example
from raw import CONTENT_TYPE, ApiError, check_answer, new_token
from target import eventually
from texts import AD, MISSING, RNF, SE, VE

UNKNOWN_TOKEN = "The security token included in the request is invalid."


def error_of(answer):
    return answer.status, answer.code, answer.json.get("message")


# -- 1.1, 1.2: what requests are --

@rule("1.1.1", "1.1.3", "1.1.4", "1.1.6", "1.2.1", "1.3.1")
def test_a_request_as_botocore_signs_it(api, secrets):
    made = secrets.make("v")
    body = json.dumps({"SecretId": made["Name"]}).encode()
    headers = api.signed("GetSecretValue", body)
    assert re.search("SignedHeaders=content-type;host;x-amz-date;(x-amz-security-token;)?x-amz-target,", headers["Authorization"])
    answer = api.exchange("POST", "/", body, headers)
    check_answer("GetSecretValue", answer)
    assert answer.status == 200 and answer.json["SecretString"] == "v"
    assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert api.send("ListSecrets", b"{}").status == 200  # no parameter: {}


@rule("1.1.2", "1.4.5", "1.6.13")
@pytest.mark.parametrize("name", ["secretsmanager.getsecretvalue", "SecretsManager.GetSecretValue", "secretsmanager.Nothing",
                                  "secretsmanager.", "GetSecretValue", None])
def test_targets(api, name):
    answer = api.exchange("POST", "/", b"{}", api.signed(None, b"{}", {"X-Amz-Target": name}))
    assert answer.code == "UnknownOperationException"
    assert answer.status in (400, 404)
    found = answer.json.get("Output", answer.json)
    assert found["__type"] == "com.amazon.coral.service#UnknownOperationException"


@rule("1.2.3")
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_unknown_members_are_ignored(api, secrets, operation):
    name = secrets.name()
    params = {**example(operation, name), "SomethingNew": {"a": [1, None, {"b": True}]}}
    try:
        api.call(operation, **params)
    except ApiError as error:
        assert error.code not in (SE, VE), error


@rule("1.2.4")
@pytest.mark.parametrize("operation", ["ListSecrets", "GetRandomPassword"])
def test_no_body_at_all(api, operation):
    answer = api.send(operation, b"")
    check_answer(operation, answer)
    assert answer.status == 200


@rule("1.2.5")
def test_a_charset_in_the_content_type(api):
    answer = api.send("GetRandomPassword", b"{}", {"Content-Type": CONTENT_TYPE + "; charset=utf-8"})
    assert answer.status == 200


@rule("1.2.6")
def test_utf_8_and_escapes_are_the_same(api, secrets):
    made = secrets.make("é\U0001f512")
    token = made["VersionId"]
    again = f'{{"Name":"{made["Name"]}","ClientRequestToken":"{token}","SecretString":"\\u00e9\\ud83d\\udd12"}}'
    assert api.call_body("CreateSecret", again.encode()) == made
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "é\U0001f512"
    raw = f'{{"SecretId":"{made["Name"]}","ClientRequestToken":"{new_token()}","SecretString":"ü\U0001f511"}}'
    api.call_body("PutSecretValue", raw.encode())
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "ü\U0001f511"


# -- 1.3: answers. What is true of every answer is in raw.check_answer, which every call of this suite passes --

@rule("1.3.2", "1.3.3", "1.3.4")
def test_headers_of_answers(api):
    for answer in (api.send("GetRandomPassword", b"{}"), api.send("DescribeSecret", b"{}")):
        check_answer("GetRandomPassword", answer)
        assert answer.headers["Content-Type"] == CONTENT_TYPE
        assert int(answer.headers["Content-Length"]) == len(answer.body) > 2
        assert answer.headers["Date"].endswith("GMT")


@rule("1.3.3")
def test_request_ids_differ(api):
    ids = {api.send("GetRandomPassword", b"{}").headers["x-amzn-requestid"] for _ in range(5)}
    assert len(ids) == 5


@rule("1.3.5", "1.3.7", "3.9.3")
def test_answers_of_tagging_are_empty(api, secrets):
    made = secrets.make()
    assert api.call("TagResource", SecretId=made["Name"], Tags=[{"Key": "a", "Value": "1"}]) == {}
    assert api.call("UntagResource", SecretId=made["Name"], TagKeys=["a"]) == {}
    assert api.call("DescribeSecret", SecretId=made["Name"])["Tags"] == []


@rule("1.3.6", "1.3.8", "1.3.10", "2.6.2")
def test_nothing_is_null_and_kinds_are_right(api, secrets):
    """The least that a secret can have, everywhere where it is shown: check_answer looks for null and at each member's kind."""
    made = secrets.make(None)
    described = api.call("DescribeSecret", SecretId=made["Name"])
    assert described.keys() == {"ARN", "Name", "CreatedDate", "LastChangedDate"}
    assert abs(described["CreatedDate"] - datetime.datetime.now().timestamp()) < 900
    assert round(described["CreatedDate"], 3) == described["CreatedDate"]
    api.call("ListSecretVersionIds", SecretId=made["Name"])
    api.call("ListSecrets", MaxResults=100)


@rule("1.3.9", "3.3.16")
def test_binary_is_base64(api, secrets):
    made = secrets.make(b"footest")
    answer = api.send("GetSecretValue", json.dumps({"SecretId": made["Name"]}).encode())
    assert answer.json["SecretBinary"] == "Zm9vdGVzdA=="
    everything = bytes(range(256))
    api.call("PutSecretValue", SecretId=made["Name"], SecretBinary=everything)
    assert base64.b64decode(api.call("GetSecretValue", SecretId=made["Name"])["SecretBinary"]) == everything


# -- 1.4: errors --

@rule("1.4.1", "1.5.1")
@provokes("GetSecretValue", RNF)
def test_a_modelled_error_to_the_byte(api, secrets):
    answer = api.send("GetSecretValue", json.dumps({"SecretId": secrets.name()}).encode())
    assert answer.status == 400
    assert answer.json == {"__type": "ResourceNotFoundException", "Message": MISSING[1]}


@rule("1.4.2", "1.5.13", "2.1.1")
def test_a_violation_to_the_byte(api):
    answer = api.send("GetSecretValue", b"{}")
    assert answer.status == 400
    assert answer.code == VE and "Message" not in answer.json
    assert answer.json["message"] == ("1 validation error detected: Value null at 'secretId' failed to satisfy constraint: "
                                      "Member must not be null")


OTHER_ACCOUNT = "210987654321"


@rule("1.4.3", "1.5.14", "1.6.17", "1.7.1", "1.7.3")
@pytest.mark.parametrize("operation", [op for op in sorted(WITH_SECRET_ID) if op != "ValidateResourcePolicy"])
def test_access_denied(api, operation):
    """A secret of another account, which does not exist either."""
    arn = f"arn:aws:secretsmanager:{api.region}:{OTHER_ACCOUNT}:secret:none-AbCdEf"
    answer = api.send(operation, json.dumps({**example(operation, arn), "ClientRequestToken": new_token()}).encode())
    assert answer.status == 400 and answer.code == AD and "Message" not in answer.json
    assert re.fullmatch(rf"User: arn:aws:(iam|sts)::\d{{12}}:\S+ is not authorized to perform: secretsmanager:{operation} on resource: "
                        rf"{arn} (because no (identity|resource)-based policy allows the secretsmanager:{operation} action|with .*)",
                        answer.json["message"])


# -- 1.6: who calls --

@rule("1.6.1", "1.4.4")
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_no_credentials(api, operation):
    answer = api.exchange("POST", "/", b"{}", {"Content-Type": CONTENT_TYPE, "X-Amz-Target": f"secretsmanager.{operation}"})
    assert answer.status in (400, 403)
    assert answer.json == {"__type": "MissingAuthenticationTokenException", "message": "Missing Authentication Token"}


@rule("1.6.2", "1.4.4")
def test_an_unknown_key(api):
    answer = api.send("ListSecrets", b"{}", credentials=Credentials("AKIAIOSFODNN7EXAMPLE", "x" * 40))
    assert error_of(answer) == (400, "UnrecognizedClientException", UNKNOWN_TOKEN)


@rule("1.6.3")
def test_a_session_token_that_is_none(api):
    keys = Credentials(api.credentials.access_key, api.credentials.secret_key, "not a token")
    assert error_of(api.send("ListSecrets", b"{}", credentials=keys)) == (400, "UnrecognizedClientException", UNKNOWN_TOKEN)


@rule("1.6.5")
def test_another_secret_key(api):
    keys = Credentials(api.credentials.access_key, "x" * 40, api.credentials.token)
    status, code, text = error_of(api.send("ListSecrets", b"{}", credentials=keys))
    assert (status, code) == (400, "InvalidSignatureException")
    assert text.startswith("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
                           "Key and signing method. Consult the service documentation for details.")


@rule("1.6.5")
def test_a_body_that_was_not_signed(api):
    headers = api.signed("ListSecrets", b"{}")
    answer = api.exchange("POST", "/", b"{ }", headers)
    assert answer.code == "InvalidSignatureException"


STAMP = r"\d{8}T\d{6}Z"


@rule("1.6.6")
def test_a_late_request(api):
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=17)
    status, code, text = error_of(api.exchange("POST", "/", b"{}", api.signed("ListSecrets", b"{}", when=when)))
    assert (status, code) == (400, "InvalidSignatureException")
    assert re.fullmatch(rf"Signature expired: {when:%Y%m%dT%H%M%SZ} is now earlier than {STAMP} \({STAMP} - 15 min\.\)", text)


@rule("1.6.7")
def test_an_early_request(api):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=17)
    status, code, text = error_of(api.exchange("POST", "/", b"{}", api.signed("ListSecrets", b"{}", when=when)))
    assert (status, code) == (400, "InvalidSignatureException")
    assert re.fullmatch(rf"Signature not yet current: {when:%Y%m%dT%H%M%SZ} is still later than {STAMP} \({STAMP} \+ 15 min\.\)", text)


@rule("1.6.8")
def test_another_service(api):
    answer = api.send("ListSecrets", b"{}", service="kms")
    assert error_of(answer) == (400, "InvalidSignatureException", "Credential should be scoped to correct service: 'secretsmanager'. ")


def altered(api, pattern, replacement):
    headers = api.signed("ListSecrets", b"{}")
    headers["Authorization"], count = re.subn(pattern, replacement, headers["Authorization"])
    assert count == 1
    return api.exchange("POST", "/", b"{}", headers)


@rule("1.6.9")
def test_another_terminator(api):
    assert error_of(altered(api, "aws4_request", "aws5_request")) == (
        400, "InvalidSignatureException", "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'.")


@rule("1.6.10")
def test_another_date_in_the_scope(api):
    status, code, text = error_of(altered(api, r"/\d{8}/", "/20200101/"))
    assert (status, code) == (400, "InvalidSignatureException")
    assert re.fullmatch(r"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20200101' != "
                        rf"'\d{{8}}', from '{STAMP}'\.", text)


@rule("1.6.11")
@pytest.mark.parametrize("part", ["Credential", "SignedHeaders", "Signature"])
def test_a_part_of_the_header_is_missing(api, part):
    status, code, text = error_of(altered(api, rf"(?<= ){part}=[^,]+, |, {part}=[^,]+$", ""))
    assert (status, code) == (400, "IncompleteSignatureException")
    assert f"Authorization header requires '{part}' parameter." in text
    assert text.count("Authorization header requires") == 1


@rule("1.6.12")
def test_a_fragment_without_an_equal_sign(api):
    status, code, text = error_of(altered(api, "Signature=", "Signature"))
    assert (status, code) == (400, "IncompleteSignatureException")
    assert "invalid key=value pair (missing equal-sign) in Authorization header" in text


@rule("1.6.14", "1.4.1")
@pytest.mark.parametrize("body", [b"nothing", b"[]", b'"x"', b'{"SecretId":', b'{"SecretId":5}', b'{"SecretId":["a"]}', b'{"SecretId":{}}',
                                  b'{"SecretId":true}', b"\xff\xfe"])
def test_what_is_not_json_or_of_another_type(api, body):
    answer = api.send("DescribeSecret", body)
    assert (answer.status, answer.code) == (400, SE)
    assert "Message" not in answer.json


@rule("1.6.16")
@pytest.mark.parametrize("operation", ["PutSecretValue", "UpdateSecret", "RotateSecret"])
def test_a_missing_token_is_told_before_a_missing_secret(api, secrets, operation):
    with pytest.raises(ApiError) as caught:
        api.call(operation, **{**example(operation, secrets.name()), "ClientRequestToken": None})
    assert caught.value.message.startswith("You must provide a ClientRequestToken value.")


@rule("1.6.18", "2.5.1")
@pytest.mark.parametrize("operation", sorted(set(WITH_SECRET_ID) - {"ValidateResourcePolicy"}))
def test_violations_are_told_before_a_missing_secret(api, operation):
    answer = api.send(operation, json.dumps({**example(operation, "x" * 2049), "ClientRequestToken": new_token()}).encode())
    assert answer.code == VE
    assert "at 'secretId' failed to satisfy constraint: Member must have length less than or equal to 2048" in answer.json["message"]


# -- 1.10, 1.11: in a URL --

@rule("1.10.1")
def test_a_presigned_request(api, secrets):
    made = secrets.make("v")
    path, headers = api.presigned("POST", {"SecretId": made["Name"]}, "GetSecretValue")
    answer = api.exchange("POST", path, b"", headers)
    assert answer.status == 200 and answer.json["SecretString"] == "v"
    answer = api.exchange("POST", path.replace("SecretId=", "SecretId=x"), b"", headers)
    assert answer.code == "InvalidSignatureException"


@rule("1.10.2")
def test_an_expired_presigned_request(api):
    when = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    path, headers = api.presigned("POST", {}, "ListSecrets", expires=60, when=when)
    answer = api.exchange("POST", path, b"", headers)
    assert answer.status in (400, 403) and answer.code in ("InvalidSignatureException", "RequestExpired")


@rule("1.11.1")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_query_form(api, secrets, method):
    """GET and POST for all actions; the answer is JSON (C-1)."""
    made = secrets.make("v")
    path, _ = api.presigned(method, {"Action": "GetSecretValue", "Version": "2017-10-17", "SecretId": made["Name"]})
    answer = api.exchange(method, path, None if method == "GET" else b"", {})
    assert answer.status == 200, answer.body
    assert answer.json["SecretString"] == "v"


@rule("1.11.2")
def test_an_unknown_action(api):
    path, _ = api.presigned("GET", {"Action": "Nothing", "Version": "2017-10-17"})
    answer = api.exchange("GET", path, None, {})
    assert answer.status in (400, 404) and answer.code in ("InvalidAction", "UnknownOperationException")


# -- 1.12 --

@rule("1.12.1")
def test_the_last_page_has_no_token(api, secrets):
    made = secrets.make()
    answer = api.call("ListSecretVersionIds", SecretId=made["Name"])
    assert "NextToken" not in answer and len(answer["Versions"]) == 1


@rule("1.12.3", "3.2.8", "3.8.6", "3.7.2", "3.2.9", "3.0.9")
def test_a_name_after_a_force_delete(target, api, secrets):
    made = secrets.make("old")
    api.call("DeleteSecret", SecretId=made["Name"], ForceDeleteWithoutRecovery=True)

    def again():
        try:
            return api.call("CreateSecret", Name=made["Name"], SecretString="new")
        except ApiError as error:
            assert "scheduled for deletion" in error.message, error
            return None
    recreated = eventually(again, 120, "the name", every=0.1)
    assert recreated["ARN"] != made["ARN"] and recreated["ARN"][:-7] == made["ARN"][:-7]
    assert api.call("GetSecretValue", SecretId=made["Name"])["SecretString"] == "new"
