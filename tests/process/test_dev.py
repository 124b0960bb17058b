"""`redoubt dev` as a user meets it: announces, serves, restarts what dies, stops on Ctrl-C, finds its data again."""
import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile

import boto3

from cluster import BINARY, START_SECONDS, eventually, free_base_port


def start_dev(folder, port):
    return subprocess.Popen([BINARY, "dev", "--data", str(folder), "--port", str(port)], start_new_session=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_env(folder):
    words = [shlex.split(line) for line in (folder / "env").read_text().splitlines()]
    assert all(w[0] == "export" and len(w) == 2 for w in words)
    return dict(w[1].split("=", 1) for w in words)


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def client(env, region):
    return boto3.client("secretsmanager", region_name=region, endpoint_url=env["AWS_ENDPOINT_URL"],
                        aws_access_key_id=env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"])


def test_dev_from_first_start_to_second():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        folder, port = pathlib.Path(temporary) / "data", free_base_port(3)
        dev = start_dev(folder, port)
        try:
            eventually((folder / "env").exists, START_SECONDS, what="the env file")
            env = read_env(folder)
            assert set(env) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
                                "AWS_ENDPOINT_URL_SECRETS_MANAGER", "REDOUBT_ENDPOINT_US_EAST_1", "REDOUBT_ENDPOINT_US_WEST_2",
                                "REDOUBT_ENDPOINT_EU_WEST_1"}
            assert env["REDOUBT_ENDPOINT_EU_WEST_1"] == f"http://127.0.0.1:{port + 20}"
            for secret_file in ["env", "credentials", "ca.key", "us-east-1/root.key", "us-east-1/node.key"]:
                assert (folder / secret_file).stat().st_mode & 0o077 == 0, secret_file
            roots = {(folder / r / "root.key").read_text() for r in ("us-east-1", "us-west-2", "eu-west-1")}
            assert len(roots) == 3  # regions share no root key
            client(env, "us-east-1").create_secret(Name="kept", SecretString="v", AddReplicaRegions=[{"Region": "eu-west-1"}])
            eventually(lambda: client(env, "us-east-1").describe_secret(SecretId="kept")["ReplicationStatus"][0]["Status"] == "InSync")

            # A region that dies comes back by itself.
            before = children(dev.pid)
            assert len(before) == 3
            os.kill(before[0], signal.SIGKILL)
            eventually(lambda: len(children(dev.pid)) == 3 and set(children(dev.pid)) != set(before), START_SECONDS,
                       what="the restarted region")

            os.killpg(dev.pid, signal.SIGINT)  # what a terminal's Ctrl-C does
            output, _ = dev.communicate(timeout=60)
            assert dev.returncode == 0, output
            assert re.search(r"export AWS_ACCESS_KEY_ID=\S+", output)
            for pid in before:
                assert not pathlib.Path(f"/proc/{pid}").exists()

            dev = start_dev(folder, port)
            eventually((folder / "env").exists, START_SECONDS, what="the env file of the second start")
            assert read_env(folder) == env
            assert client(env, "us-east-1").get_secret_value(SecretId="kept")["SecretString"] == "v"
            assert client(env, "eu-west-1").get_secret_value(SecretId="kept")["SecretString"] == "v"
        finally:
            dev.send_signal(signal.SIGTERM)
            dev.communicate(timeout=60)


def test_the_regions_die_with_dev():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        folder = pathlib.Path(temporary) / "data"
        dev = start_dev(folder, free_base_port(3))
        eventually((folder / "env").exists, START_SECONDS, what="the env file")
        pids = children(dev.pid)
        dev.kill()
        dev.wait()
        eventually(lambda: not any(pathlib.Path(f"/proc/{p}").exists() for p in pids), 30, what="the end of the regions")
        dev.stdout.close()


def test_a_second_dev_is_told_what_is_in_its_way():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        folder, port = pathlib.Path(temporary) / "data", free_base_port(3)
        first = start_dev(folder, port)
        try:
            eventually((folder / "env").exists, START_SECONDS, what="the env file")
            for other, reason in ((folder, "another redoubt dev runs on"),
                                  (pathlib.Path(temporary) / "other", f"cannot listen on 127.0.0.1:{port}")):
                second = start_dev(other, port)
                output, _ = second.communicate(timeout=60)
                assert second.returncode == 1 and reason in output and "serve" not in output, output
            assert (folder / "env").exists()
        finally:
            first.send_signal(signal.SIGTERM)
            first.communicate(timeout=60)


def prepare(folder):
    return subprocess.run([BINARY, "dev", "--start", "no", "--data", str(folder)], capture_output=True, text=True, timeout=60)


def test_a_folder_that_others_can_write_to_gets_no_keys():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        folder = pathlib.Path(temporary) / "data"
        folder.mkdir()
        for mode in (0o777, 0o1777, 0o770):
            folder.chmod(mode)
            done = prepare(folder)
            assert done.returncode == 1 and "can be written by others" in done.stderr
            assert list(folder.iterdir()) == []
        folder.chmod(0o755)
        assert prepare(folder).returncode == 0


def test_a_file_in_the_way_is_not_written_to():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        folder, victim = pathlib.Path(temporary) / "data", pathlib.Path(temporary) / "victim"
        assert prepare(folder).returncode == 0
        victim.write_text("mine")
        (folder / "us-east-1" / "redoubt.conf.new").symlink_to(victim)
        left = folder / "us-west-2" / "redoubt.conf.new"
        left.write_text("")
        left.chmod(0o666)
        assert prepare(folder).returncode == 0
        assert victim.read_text() == "mine"
        for region in ("us-east-1", "us-west-2"):
            assert (folder / region / "redoubt.conf").lstat().st_mode & 0o7777 == 0o600


def test_plain_http_needs_an_address_of_this_machine():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        folder = pathlib.Path(temporary) / "data"
        assert prepare(folder).returncode == 0
        config = folder / "us-east-1" / "redoubt.conf"
        text = config.read_text()
        for host in ("127.0.0.1.example.net", "127.example.net", "127.0.0", "0.0.0.0", "[::]", "localhost.example.net"):
            config.write_text(re.sub(r"listen = 127\.0\.0\.1:(\d+)\nworkers", lambda m: f"listen = {host}:{m[1]}\nworkers", text))
            done = subprocess.run([BINARY, "server", "--config", str(config)], capture_output=True, text=True, timeout=30)
            assert done.returncode == 1 and "is not loopback" in done.stderr, host


def test_wrong_usage_is_told():
    for arguments in (["dev", "--regions", "nowhere"], ["dev", "--nodes", "3"], ["dev", "--port", "99999"], ["server"], ["nothing"]):
        with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
            done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, cwd=temporary, timeout=30)
            assert done.returncode in (1, 2) and done.stderr.strip()
