"""The main job with the newest AWS SDK for JavaScript from npm."""
import subprocess

from cluster import Cluster
from js_client import HERE, installed_client


def test_round_trip():
    folder, node = installed_client(HERE / "js" / "roundtrip.mjs")
    with Cluster() as cluster:
        cluster.start()
        done = subprocess.run([node, "roundtrip.mjs", cluster.endpoint("us-east-1")], cwd=folder, env=cluster.environment(),
                              capture_output=True, text=True, timeout=180)
        assert done.returncode == 0 and done.stdout.strip() == "ok", done.stdout + done.stderr
