"""Signed requests as they are on the wire, for members that the installed botocore does not know and for answers to the byte.

Every answer is held against what is true of all answers (AWS_BEHAVIOUR 1.3-1.5, 2.6), whatever the test is about.
"""
import base64
import datetime
import email.utils
import http.client
import json
import re
import time
import urllib.parse
import uuid

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from members import MODELLED, RESPONSES

CONTENT_TYPE = "application/x-amz-json-1.1"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TOKEN_OPERATIONS = ("CreateSecret", "PutSecretValue", "UpdateSecret", "RotateSecret")
SECONDS = 40
ANY = object()  # as an expected text: not recorded, so not compared


class Dated:
    """Signs as of another time; also for the query form."""

    when = None  # a naive datetime in UTC; None: now

    def add_auth(self, request):
        when = self.when or datetime.datetime.now(datetime.timezone.utc)
        request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        signature = self.signature(self.string_to_sign(request, self.canonical_request(request)), request)
        self._inject_signature_to_request(request, signature)


class HeaderAuth(Dated, SigV4Auth):
    pass


class QueryAuth(Dated, SigV4QueryAuth):
    pass


class ApiError(Exception):
    def __init__(self, operation, answer):
        self.operation, self.answer = operation, answer
        self.status, self.body = answer.status, answer.json
        self.code = answer.code
        self.message = self.body.get("message", self.body.get("Message", ""))
        super().__init__(f"{operation}: {self.status} {self.code}: {self.message}")


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body) if self.body else {}

    @property
    def code(self):
        # As clients read it: behind '#', before ':'. The dispatcher puts it one level deeper.
        return self.json.get("Output", self.json).get("__type", str(self.status)).split("#")[-1].split(":")[0]


def new_token():
    return str(uuid.uuid4())


def blob(data):
    return base64.b64encode(data).decode()


class Api:
    def __init__(self, region, endpoint, access_key, secret_key, session_token=None, settle=0.0):
        self.region, self.settle = region, settle
        self.url = urllib.parse.urlsplit(endpoint)
        self.endpoint = endpoint.rstrip("/")
        self.credentials = Credentials(access_key, secret_key, session_token)
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    # -- one exchange --

    def exchange(self, method, target, body, headers):
        """Bytes out, an answer in; a connection that the service closed while it was idle is opened again."""
        for attempt in (0, 1):
            if self.connection is None:
                kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
                self.connection = kind(self.url.netloc, timeout=SECONDS)
            try:
                self.connection.request(method, target, body=body, headers=headers)
                answer = Answer(self.connection.getresponse())
                if answer.headers.get("Connection", "").lower() == "close":
                    self.close()
                return answer
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()
                if attempt == 1:
                    raise
            except Exception:
                self.close()
                raise

    def signed(self, operation, body, extra=None, region=None, service="secretsmanager", credentials=None, when=None):
        """The headers of a signed request. operation None: without a target."""
        headers = {"Content-Type": CONTENT_TYPE, "X-Amz-Target": operation and f"secretsmanager.{operation}", **(extra or {})}
        headers = {k: v for k, v in headers.items() if v is not None}
        request = AWSRequest("POST", self.endpoint + "/", data=body, headers=headers)
        auth = HeaderAuth(credentials or self.credentials, service, region or self.region)
        auth.when = when
        auth.add_auth(request)
        return dict(request.headers.items())

    def send(self, operation, body, extra=None, **signing):
        """An answer of any kind to a body given as bytes."""
        for pause in (0.5, 1, 2, 4, 8, None):
            answer = self.exchange("POST", "/", body, self.signed(operation, body, extra, **signing))
            if answer.status == 200 or pause is None or answer.code != "ThrottlingException":
                return answer
            time.sleep(pause)
        raise AssertionError("not reached")

    def presigned(self, method, params, operation=None, expires=900, when=None):
        """What is behind the host in the URL, and the headers to send with it. With `operation` as botocore does it: the target among
        the signed headers, in no part of the URL. Without: the Query form, where params name the Action."""
        headers = {"Content-Type": CONTENT_TYPE, "X-Amz-Target": f"secretsmanager.{operation}"} if operation else {}
        request = AWSRequest(method, self.endpoint + "/", params=params, headers=headers, data=b"")
        auth = QueryAuth(self.credentials, "secretsmanager", self.region, expires=expires)
        auth.when = when
        auth.add_auth(request)
        return request.url[len(self.endpoint):], headers

    # -- calls --

    def call(self, operation, **params):
        """The answer as a dictionary, or ApiError. A ClientRequestToken is made as SDKs do; None leaves a member out."""
        if operation in TOKEN_OPERATIONS:
            params.setdefault("ClientRequestToken", new_token())
        params = {k: blob(v) if isinstance(v, bytes) else v for k, v in params.items() if v is not None}
        return self.call_body(operation, json.dumps(params).encode())

    def call_body(self, operation, body):
        answer = self.send(operation, body)
        check_answer(operation, answer)
        if answer.status != 200:
            raise ApiError(operation, answer)
        if self.settle and operation not in ("GetSecretValue", "DescribeSecret", "ListSecrets", "GetRandomPassword"):
            time.sleep(self.settle)
        return answer.json

    def refused(self, operation, code, text, **params):
        """The error, after its code and text were compared. `text`: a string, a pattern, or ANY."""
        try:
            answer = self.call(operation, **params)
        except ApiError as error:
            assert error.code == code, f"{error} instead of {code}"
            compare_text(error.message, text)
            return error
        raise AssertionError(f"{operation} succeeded: {answer}")

    def refused_as(self, operation, error, **params):
        return self.refused(operation, *error, **params)


def compare_text(message, text):
    if isinstance(text, re.Pattern):
        assert text.fullmatch(message), f"{message!r} is not {text.pattern!r}"
    elif text is not ANY:
        assert message == text


# -- what is true of every answer --

def no_nulls(value, path=""):
    assert value is not None, f"null at {path}"
    for key, member in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        no_nulls(member, f"{path}.{key}")


def is_kind(value, kind):
    """Kinds of members.py."""
    if isinstance(kind, dict):
        return isinstance(value, dict) and not value.keys() - kind.keys() and all(is_kind(v, kind[k]) for k, v in value.items())
    if isinstance(kind, list):
        return isinstance(value, list) and all(is_kind(v, kind[0]) for v in value)
    if isinstance(kind, tuple):
        return value in kind
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is bytes:
        return isinstance(value, str) and base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
    if kind == "stages by version":
        return isinstance(value, dict) and all(is_kind(stages, [str]) and stages for stages in value.values())
    return type(value) is kind


def check_success(operation, answer):
    body = answer.json
    assert isinstance(body, dict)
    no_nulls(body, operation)
    shape = RESPONSES.get(operation)
    if shape is not None:
        unknown = body.keys() - shape.keys()
        assert not unknown, f"{operation} answered {unknown}"
        for name, value in body.items():
            assert is_kind(value, shape[name]), f"{operation} answered {name} = {value!r}"


def check_error(answer):
    body = answer.json
    no_nulls(body)
    code = answer.code
    if code in MODELLED:  # 1.4, 1.5
        assert body["__type"] == code, "a modelled error has its bare name"
        assert answer.status == (500 if code == "InternalServiceError" else 400)
        assert "message" not in body, "a modelled error has its text under Message"
        assert body["Message"]
    elif answer.status < 500:
        assert answer.status == 400
        assert "Message" not in body, "other errors have their text under message"
        assert body.keys() <= {"__type", "message"} or "Output" in body


def check_answer(operation, answer):
    assert answer.headers["Content-Type"] == CONTENT_TYPE or (answer.status == 200 and not answer.body)
    assert UUID.fullmatch(answer.headers["x-amzn-RequestId"])
    assert abs(email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()) < 900
    if answer.status == 200:
        check_success(operation, answer)
    else:
        check_error(answer)
