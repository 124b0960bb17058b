"""`redoubt dev` as a user meets it: announces, serves, restarts what dies, stops on Ctrl-C, finds its data again."""
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tarfile
import tempfile

import boto3

from cluster import BINARY, START_SECONDS, eventually, free_base_port, wait_in_sync
from dev import Dev

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"


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


def prepare(folder, *options):
    return subprocess.run([BINARY, "dev", "--start", "no", "--data", str(folder), *options], capture_output=True, text=True, timeout=60)


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


def test_three_nodes_on_ipv6():
    """They serve, and starting together they do not complain that the others are not there yet."""
    with Dev(nodes=3, regions=["us-east-1"]) as dev:
        dev.start(options=("--bind", "[::1]"))
        env = read_env(dev.folder)
        assert env["AWS_ENDPOINT_URL"].startswith("http://[::1]:")
        client(env, "us-east-1").create_secret(Name="six", SecretString="x")
        roles = eventually(lambda: (lambda rows: rows if all(row[2] in ("leader", "follower") for row in rows.values()) else None)(dev.list()),
                           START_SECONDS, what="three roles")
        assert len(roles) == 3
        assert "transport.unreachable" not in dev.output(), dev.output()


def layout(folder):
    """Files below it, without what a store consists of."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.parent.name != "store"}


NODE_FILES = ("redoubt.conf", "node.crt", "node.key", "data/node-id")


def names_of(certificate):
    shown = subprocess.run(["openssl", "x509", "-in", str(certificate), "-noout", "-ext", "subjectAltName"],
                           capture_output=True, text=True, check=True, timeout=30).stdout
    return set(re.findall(r"DNS:([^,\s]+)", shown))


def id_of(data):
    """As others write it: the file has its lowest byte first."""
    return bytes.fromhex((data / "node-id").read_text())[::-1].hex()


def test_regions_of_three_nodes_on_disk():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        folder = pathlib.Path(temporary) / "data"
        done = prepare(folder, "--regions", "us-east-1,us-west-2", "--nodes", "3", "--port", "8001")
        assert done.returncode == 0, done.stderr
        shared = {"ca.crt", "ca.key", "credentials", "lock"}
        of_regions = {f"{r}/{f}" for r in ("us-east-1", "us-west-2") for f in ("root.key", "nodes")}
        of_nodes = {f"{r}/{n}/{f}" for r in ("us-east-1", "us-west-2") for n in range(3) for f in NODE_FILES}
        assert layout(folder) == shared | of_regions | of_nodes
        ids = {id_of(folder / r / str(n) / "data") for r in ("us-east-1", "us-west-2") for n in range(3)}
        assert len(ids) == 6
        node = folder / "us-west-2" / "1"
        assert names_of(node / "node.crt") == {"us-west-2.redoubt", f"{id_of(node / 'data')}.us-west-2.redoubt", "localhost"}
        text = (node / "redoubt.conf").read_text()
        for line in ("listen = 127.0.0.1:8012", "listen = 127.0.0.1:9012", "listen = 127.0.0.1:10012", "root_key = ../root.key",
                     "us-east-1 = 127.0.0.1:9001,127.0.0.1:9002,127.0.0.1:9003"):
            assert line in text.splitlines(), line
        for path in folder.rglob("*"):
            assert path.lstat().st_mode & 0o077 == 0 or path.parent.name == "store", path

        # Nothing is made twice, and the number of nodes is the region's own.
        before = {f: (folder / f).read_bytes() for f in layout(folder)}
        assert prepare(folder, "--regions", "us-east-1,us-west-2", "--port", "8001").returncode == 0
        assert {f: (folder / f).read_bytes() for f in layout(folder)} == before
        for nodes in ("1", "5"):
            done = prepare(folder, "--regions", "eu-west-1,us-west-2", "--nodes", nodes)
            assert done.returncode == 1 and f"us-west-2 was made with 3 nodes, not {nodes}: give --nodes 3" in done.stderr
        assert not (folder / "eu-west-1").exists()
        # A further region has as many.
        assert prepare(folder, "--regions", "eu-west-1,us-west-2").returncode == 0
        assert (folder / "eu-west-1" / "nodes").read_text() == "3\n" and (folder / "eu-west-1" / "2" / "node.crt").exists()


def test_a_store_that_was_lost_is_not_made_anew():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        folder = pathlib.Path(temporary) / "data"
        assert prepare(folder, "--nodes", "3", "--regions", "us-east-1").returncode == 0
        shutil.rmtree(folder / "us-east-1" / "1" / "data" / "store")
        assert prepare(folder, "--regions", "us-east-1").returncode == 0
        assert not (folder / "us-east-1" / "1" / "data" / "store").exists()
        # Stores that began, but no word that all did: with other addresses their first entries would differ; with the same it goes on.
        (folder / "us-east-1" / "nodes").unlink()
        done = prepare(folder, "--nodes", "3", "--regions", "us-east-1", "--port", "24566")
        assert done.returncode == 1 and f"{folder}/us-east-1: the making of this region was interrupted" in done.stderr
        assert prepare(folder, "--nodes", "3", "--regions", "us-east-1").returncode == 0
        assert (folder / "us-east-1" / "1" / "data" / "store").exists() and (folder / "us-east-1" / "nodes").read_text() == "3\n"
        (folder / "us-east-1" / "nodes").write_text("four\n")
        done = prepare(folder, "--regions", "us-east-1")
        assert done.returncode == 1 and "us-east-1/nodes does not hold a number of nodes" in done.stderr


def test_a_certificate_of_another_node_is_replaced():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        folder = pathlib.Path(temporary) / "data"
        regions = ("--nodes", "3", "--regions", "us-east-1")
        assert prepare(folder, *regions).returncode == 0
        first, second = (folder / "us-east-1" / n for n in "01")
        for name in ("node.crt", "node.key"):
            shutil.copy(first / name, second / name)
        kept = (first / "node.crt").read_bytes()
        assert prepare(folder, *regions).returncode == 0
        assert f"{id_of(second / 'data')}.us-east-1.redoubt" in names_of(second / "node.crt")
        assert (first / "node.crt").read_bytes() == kept


def test_the_folder_of_the_former_release():
    with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
        with tarfile.open(GOLDEN / "level_2" / "dev.tar.xz") as archive:
            archive.extractall(temporary)
        folder = pathlib.Path(temporary) / "redoubt-data"
        folder.chmod(0o700)
        done = prepare(folder, "--nodes", "3", "--regions", "us-east-1,us-west-2")
        assert done.returncode == 1 and "us-east-1 was made with 1 node, not 3" in done.stderr
        ids = [(folder / r / "data" / "node-id").read_text() for r in ("us-east-1", "us-west-2")]
        with Dev(regions=("us-east-1", "us-west-2"), folder=folder) as dev:
            dev.start()
            east, west = dev.client("us-east-1"), dev.client("us-west-2")
            assert east.get_secret_value(SecretId="former/0")["SecretString"] == "value 0, second"
            assert west.get_secret_value(SecretId="former/west")["SecretString"] == "west"
            east.put_secret_value(SecretId="former/1", SecretString="new")
            wait_in_sync(east, "former/1", ["us-west-2"])
            assert west.get_secret_value(SecretId="former/1")["SecretString"] == "new"
            dev.stop()
            dev.start()
            assert dev.client("us-east-1").get_secret_value(SecretId="former/1")["SecretString"] == "new"
        assert [(folder / r / "data" / "node-id").read_text() for r in ("us-east-1", "us-west-2")] == ids
        for region in ("us-east-1", "us-west-2"):
            assert f"{id_of(folder / region / 'data')}.{region}.redoubt" in names_of(folder / region / "node.crt")


def test_wrong_usage_is_told():
    for arguments in (["dev", "--regions", "nowhere"], ["dev", "--nodes", "2"], ["dev", "--nodes", "7"], ["dev", "--nodes", "3x"],
                      ["dev", "--nodes", "0"], ["dev", "--port", "62001"], ["dev", "--bind", "::1"], ["server"], ["nothing"]):
        with tempfile.TemporaryDirectory(prefix="redoubt-dev-") as temporary:
            done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, cwd=temporary, timeout=30)
            assert done.returncode in (1, 2) and done.stderr.strip()
