"""Rotation functions for our own regions: the Invoke call of AWS Lambda over HTTP, and functions that do what AWS's templates do.

The last part of a function's name says how it behaves:
    good            as the generic template: create, set, test, finish; leaves AWSPENDING where it is
    tidy            as good, and removes AWSPENDING behind it, as the functions of the recordings do
    setless         raises in setSecret: the rotation stays unfinished
    missing         there is none
"""
import http.server
import json
import re
import threading
import urllib.parse

from raw import Api, ApiError

ACCOUNT = "123456789012"
INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


class Broken(Exception):
    pass


class Rotation:
    """One step, with the calls that every published template makes and the checks that they make of the answers."""

    def __init__(self, api, behaviour, note):
        self.api, self.behaviour, self.note = api, behaviour, note

    def run(self, event):
        arn, token, step = event["SecretId"], event["ClientRequestToken"], event["Step"]
        described = self.api.call("DescribeSecret", SecretId=arn)
        stages = described["VersionIdsToStages"]
        self.note(step, event, described)
        if not described["RotationEnabled"]:
            raise Broken("rotation is not enabled")
        if token not in stages:
            raise Broken("the version has no stage")
        if "AWSCURRENT" in stages[token]:
            return
        if "AWSPENDING" not in stages[token]:
            raise Broken("the version is not AWSPENDING")
        getattr(self, step)(arn, token)

    def get(self, arn, **which):
        return self.api.call("GetSecretValue", SecretId=arn, **which)

    def createSecret(self, arn, token):
        current = self.get(arn, VersionStage="AWSCURRENT")
        try:
            self.get(arn, VersionId=token, VersionStage="AWSPENDING")
        except ApiError as error:
            self.note("pending", {"SecretId": arn}, {"code": error.code, "message": error.message})
            if error.code != "ResourceNotFoundException":
                raise
            password = self.api.call("GetRandomPassword", ExcludeCharacters="/@\"'\\")["RandomPassword"]
            put = self.api.call("PutSecretValue", SecretId=arn, ClientRequestToken=token, SecretString=password,
                                VersionStages=["AWSPENDING"])
            self.note("put", {"SecretId": arn}, {**put, "before": current["SecretString"]})

    def setSecret(self, arn, token):
        self.get(arn, VersionId=token, VersionStage="AWSPENDING")
        if self.behaviour == "setless":
            raise Broken("the resource does not answer")

    def testSecret(self, arn, token):
        self.note("tested", {"SecretId": arn}, self.get(arn, VersionId=token, VersionStage="AWSPENDING"))

    def finishSecret(self, arn, token):
        stages = self.api.call("DescribeSecret", SecretId=arn)["VersionIdsToStages"]
        current = next(version for version, labels in stages.items() if "AWSCURRENT" in labels)
        if current != token:
            self.api.call("UpdateSecretVersionStage", SecretId=arn, VersionStage="AWSCURRENT", MoveToVersionId=token,
                          RemoveFromVersionId=current)
        if self.behaviour == "tidy":
            self.api.call("UpdateSecretVersionStage", SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)


class Functions:
    """The endpoint, on a port of its own. `notes(arn)`: what was seen of a secret's rotation, (what, event, answer), in order."""

    def __init__(self, target):
        self.target = target
        self.seen = []
        self.lock = threading.Lock()
        functions = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, answer = functions.answer(self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def arn(self, behaviour):
        return f"arn:aws:lambda:{self.target.region}:{ACCOUNT}:function:rotate-{behaviour}"

    def note(self, what, event, answer):
        with self.lock:
            self.seen.append((what, event, answer))

    def notes(self, arn, *whats):
        with self.lock:
            return [note for note in self.seen if note[1]["SecretId"] == arn and (not whats or note[0] in whats)]

    def answer(self, path, headers, body):
        found = INVOKE.match(urllib.parse.unquote(path))
        behaviour = found.group(1).rsplit("rotate-", 1)[-1] if found else "missing"
        if behaviour == "missing":
            return 404, {"X-Amzn-ErrorType": "ResourceNotFoundException"}, b'{"Type":"User","Message":"Function not found"}'
        if headers.get("X-Amz-Invocation-Type") == "DryRun":
            return 204, {}, b""
        try:
            # A connection of its own: functions run beside the test that waits for them.
            api = Api(self.target.region, self.target.endpoints[self.target.region], self.target.access_key, self.target.secret_key)
            Rotation(api, behaviour, self.note).run(json.loads(body))
            api.close()
            return 200, {"Content-Type": "application/json"}, b"null"
        except (Broken, ApiError, KeyError) as error:
            event = json.loads(body) if body else {}
            self.note("raised", {"SecretId": event.get("SecretId")}, {"error": f"{type(error).__name__}: {error}"})
            answer = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__}).encode()
            return 200, {"X-Amz-Function-Error": "Unhandled", "Content-Type": "application/json"}, answer

    def close(self):
        self.server.shutdown()
        self.server.server_close()
