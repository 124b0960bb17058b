"""The main job with the newest AWS SDK for JavaScript from npm."""
import os
import pathlib
import shutil
import subprocess

from cluster import Cluster

HERE = pathlib.Path(__file__).resolve().parent


def installed_client():
    """The SDK, installed once a build folder; without a lock file, which would name a registry's host."""
    folder = pathlib.Path(os.environ.get("REDOUBT_BUILD", HERE.parents[1] / "build")) / "js-client"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "roundtrip.mjs"):
        shutil.copy(HERE / "js" / name, folder / name)
    if not (folder / "node_modules" / "@aws-sdk" / "client-secrets-manager").exists():
        subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True,
                       timeout=300)
    return folder


def test_round_trip():
    folder = installed_client()
    with Cluster() as cluster:
        cluster.start()
        done = subprocess.run(["node", "roundtrip.mjs", cluster.endpoint("us-east-1")], cwd=folder, env=cluster.environment(),
                              capture_output=True, text=True, timeout=180)
        assert done.returncode == 0 and done.stdout.strip() == "ok", done.stdout + done.stderr
