"""Unmodified clients behind one face: call(operation, **params) with values as they are on the wire, DriverError for an error.

Blobs are base64 text and timestamps are seconds on both sides, so that what a client makes of an answer can be compared with the answer.
"""
import base64
import datetime
import json
import pathlib
import re
import shutil
import subprocess

import boto3
import botocore.config
import botocore.exceptions
from test_js import installed_client

HERE = pathlib.Path(__file__).resolve().parent


class DriverError(Exception):
    def __init__(self, code, message, status):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


class Boto3:
    newer = False  # knows operations and members that came after botocore 1.29.27

    def __init__(self, target):
        config = botocore.config.Config(retries={"max_attempts": 0 if target.own else 8}, connect_timeout=5, read_timeout=40)
        self.clients = {region: boto3.client(
            "secretsmanager", region_name=region, endpoint_url=endpoint, aws_access_key_id=target.access_key,
            aws_secret_access_key=target.secret_key, aws_session_token=target.session_token, config=config)
            for region, endpoint in target.endpoints.items()}
        self.region = target.region

    def call(self, operation, region=None, **params):
        client = self.clients[region or self.region]
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        if "SecretBinary" in params:
            params["SecretBinary"] = base64.b64decode(params["SecretBinary"])
        try:
            answer = getattr(client, method)(**params)
        except botocore.exceptions.ClientError as error:
            found = error.response["Error"]
            modelled = getattr(client.exceptions, found["Code"], None)
            assert modelled is None or isinstance(error, modelled)
            raise DriverError(found["Code"], found["Message"], error.response["ResponseMetadata"]["HTTPStatusCode"]) from None
        del answer["ResponseMetadata"]
        return self.plain(answer)

    def plain(self, value):
        if isinstance(value, dict):
            return {k: self.plain(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.plain(v) for v in value]
        if isinstance(value, datetime.datetime):
            return value.timestamp()
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value

    def close(self):
        pass


class Lines:
    """A process that takes a call as a line and answers it with one."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)

    def ask(self, line):
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0
        self.process.stdout.close()


class AwsCli:
    """Debian's AWS CLI, version 2."""

    newer = False
    ERROR = re.compile(r"An error occurred \((\S+)\) when calling the (\S+) operation(?: \([^)]*\))?: (.*)", re.S)

    def __init__(self, target):
        self.target = target
        attempts = "1" if target.own else "8"
        self.lines = Lines(["/usr/bin/python3", HERE / "cli_server.py"], env={**target.environment(), "AWS_MAX_ATTEMPTS": attempts})

    def call(self, operation, region=None, **params):
        command = re.sub(r"(?<!^)(?=[A-Z])", "-", operation).lower()
        region = region or self.target.region
        done = self.lines.ask(["--endpoint-url", self.target.endpoints[region], "--region", region, "--output", "json", "secretsmanager",
                               command, "--cli-input-json", json.dumps(params)])
        if done["code"] != 0:
            found = self.ERROR.search(done["err"].strip())
            assert found and found.group(2) == operation, done
            raise DriverError(found.group(1), found.group(3), None)
        return self.plain(json.loads(done["out"])) if done["out"].strip() else {}

    def plain(self, value, name=""):
        if isinstance(value, dict):
            return {k: self.plain(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.plain(v) for v in value]
        return datetime.datetime.fromisoformat(value).timestamp() if name.endswith("Date") else value

    def close(self):
        self.lines.close()


class JavaScript:
    """The newest SDK for JavaScript, in one process that takes calls as lines."""

    newer = True

    def __init__(self, target):
        self.target = target
        folder, node = installed_client()
        shutil.copy(HERE / "bridge.mjs", folder / "bridge.mjs")  # modules are looked for beside the script
        self.lines = Lines([node, "bridge.mjs"], cwd=folder, env=target.environment())

    def call(self, operation, region=None, **params):
        region = region or self.target.region
        answer = self.lines.ask({"region": region, "endpoint": self.target.endpoints[region], "operation": operation, "params": params})
        if "error" in answer:
            raise DriverError(*(answer["error"][key] for key in ("code", "message", "status")))
        return answer["ok"]

    def close(self):
        self.lines.close()


DRIVERS = {"boto3": Boto3, "awscli": AwsCli, "javascript": JavaScript}
