"""The main job with the newest AWS SDK for JavaScript from npm, on the newest Node.js from there: Debian's is too old for that SDK."""
import fcntl
import os
import pathlib
import shutil
import subprocess

from cluster import Cluster

HERE = pathlib.Path(__file__).resolve().parent


def installed_client():
    """The SDK and Node.js, installed once a build folder; without a lock file, which would name a registry's host.

    Returns the folder and the path of node. The packages with Node.js are for x64 and arm64; elsewhere the machine's own has to do.
    """
    folder = pathlib.Path(os.environ.get("REDOUBT_BUILD", HERE.parents[1] / "build")) / "js-client"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "js" / "package.json").read_text()
    done = folder / "installed.json"  # what was asked for the last time that it worked
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that run side by side share the folder
        for source in (HERE / "js").iterdir():
            shutil.copy(source, folder / source.name)
        if not done.exists() or done.read_text() != wanted:
            subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True,
                           timeout=600)
            done.write_text(wanted)
    return folder, next(folder.glob("node_modules/node-linux-*/bin/node"), "node")


def test_round_trip():
    folder, node = installed_client()
    with Cluster() as cluster:
        cluster.start()
        done = subprocess.run([node, "roundtrip.mjs", cluster.endpoint("us-east-1")], cwd=folder, env=cluster.environment(),
                              capture_output=True, text=True, timeout=180)
        assert done.returncode == 0 and done.stdout.strip() == "ok", done.stdout + done.stderr
