"""The newest AWS SDK for JavaScript from npm, on the newest Node.js from there: Debian's is too old for that SDK."""
import fcntl
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def installed_client(script):
    """The SDK and Node.js, installed once a build folder; without a lock file, which would name a registry's host.

    Returns the folder, with `script` in it, and the path of node. The packages with Node.js are for x64 and arm64; elsewhere the
    machine's own has to do. Tests that run side by side wait for each other's installation.
    """
    folder = pathlib.Path(os.environ.get("REDOUBT_BUILD", HERE.parents[1] / "build")) / "js-client"
    folder.mkdir(parents=True, exist_ok=True)
    packaged = "node_modules/node-linux-*/bin/node"
    with open(folder / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copy(HERE / "js" / "package.json", folder / "package.json")
        shutil.copy(script, folder / pathlib.Path(script).name)
        if not any(folder.glob(packaged)):
            subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True,
                           timeout=600)
    return folder, next(folder.glob(packaged), "node")
