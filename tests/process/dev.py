"""A running `redoubt dev`, as tests drive it: its files, its exports, `redoubt fault`."""
import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile
import threading

import boto3
import botocore.config

from cluster import BINARY, PORT_STEP, REGIONS, START_SECONDS, eventually, free_base_port

MAKING_CLIENTS = threading.Lock()


class Dev:
    def __init__(self, nodes=1, regions=REGIONS, folder=None):
        """`folder`: a data folder that is there already; its regions are kept."""
        self.nodes, self.regions = nodes, list(regions)
        self.temporary = None if folder else tempfile.TemporaryDirectory(prefix="redoubt-dev-")
        self.folder = pathlib.Path(folder or pathlib.Path(self.temporary.name) / "data")
        self.port = free_base_port(len(self.regions), nodes)
        self.process = None
        self.log = self.folder.parent / "dev.log"

    def start(self, wait=True, options=()):
        assert self.process is None
        (self.folder / "env").unlink(missing_ok=True)  # of a dev that was killed
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([BINARY, "dev", "--data", str(self.folder), "--port", str(self.port), "--nodes", str(self.nodes),
                                             "--regions", ",".join(self.regions), *options],
                                            start_new_session=True, stdout=log, stderr=log)
        if wait:
            def serves():
                assert self.process.poll() is None, self.output()
                return (self.folder / "env").exists()
            eventually(serves, START_SECONDS, what="the env file")
        return self

    def output(self):
        return self.log.read_text(errors="replace")

    def stop(self, signal_number=signal.SIGTERM):
        process, self.process = self.process, None
        process.send_signal(signal_number)
        assert process.wait(timeout=60) == 0, self.output()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is not None and self.log.exists():
                print(f"--- output of redoubt dev\n{self.output()[-6000:]}")
            if self.process is not None:
                self.stop()
        finally:
            if self.process is not None:
                self.process.kill()
                self.process.wait()
            if self.temporary:
                self.temporary.cleanup()

    # -- faults --

    def ask(self, *arguments):
        """`redoubt fault …`: (exit status, what it printed)."""
        done = subprocess.run([BINARY, "fault", *arguments, "--data", str(self.folder)], capture_output=True, text=True, timeout=60)
        return done.returncode, (done.stdout + done.stderr).strip()

    def fault(self, verb, target):
        status, text = self.ask(verb, target)
        assert status == 0, text
        return text

    def list(self):
        """{node: (state, pid or None, role or None, endpoint)}"""
        status, text = self.ask("list")
        assert status == 0, text
        head, *rows = text.splitlines()
        assert head.split() == ["NODE", "STATE", "PID", "ROLE", "API"]
        return {name: (state, None if pid == "-" else int(pid), None if role == "-" else role, endpoint)
                for name, state, pid, role, endpoint in (row.split() for row in rows)}

    def roles(self, region):
        return {name: row[2] for name, row in self.list().items() if name.partition("/")[0] == region}

    # -- clients --

    def env(self):
        words = [shlex.split(line) for line in (self.folder / "env").read_text().splitlines()]
        assert all(w[0] == "export" and len(w) == 2 for w in words)
        return dict(w[1].split("=", 1) for w in words)

    def endpoint(self, region, node=0):
        return f"http://127.0.0.1:{self.port + PORT_STEP * self.regions.index(region) + node}"

    def client(self, region, node=0, retries=0):
        env = self.env()
        with MAKING_CLIENTS:
            return boto3.client("secretsmanager", region_name=region, endpoint_url=self.endpoint(region, node),
                                aws_access_key_id=env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
                                config=botocore.config.Config(retries={"max_attempts": retries}, connect_timeout=5, read_timeout=30))

    def children(self):
        pid = self.process.pid
        return {int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def aws(self, *arguments, region=None, via=None, node=0, retries=10):
        """The AWS CLI with its own retries: (exit status, its output as text, its complaint)."""
        region = region or self.regions[0]
        env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        env.update(self.env(), AWS_MAX_ATTEMPTS=str(retries), AWS_RETRY_MODE="standard", AWS_CONFIG_FILE="/dev/null",
                   AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_EC2_METADATA_DISABLED="true")
        done = subprocess.run(["/usr/bin/aws", "--endpoint-url", self.endpoint(via or region, node), "--region", region,
                               "--output", "json", "secretsmanager", *arguments],
                              env=env, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr


def state_of(pid):
    """One letter: R, S, T (stopped), Z…; None when there is none."""
    try:
        return re.search(r"\) (\w)", pathlib.Path(f"/proc/{pid}/stat").read_text())[1]
    except FileNotFoundError:
        return None
