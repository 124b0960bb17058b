"""`redoubt fault` on a running `redoubt dev`: what was done on purpose stays done, and what cannot be done is told."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from cluster import BINARY, START_SECONDS, eventually, threads_are_stopped
from dev import Dev, state_of

EAST, WEST = REGIONS = ("us-east-1", "us-west-2")


@pytest.fixture(scope="module")
def dev():
    with Dev(regions=REGIONS) as running:
        yield running.start()


def serves(dev, region):
    return eventually(lambda: dev.list()[region][2] == "leader", START_SECONDS, what=f"{region} serves")


def test_what_was_killed_stays_down_until_it_is_started(dev):
    serves(dev, WEST)
    pid = dev.list()[WEST][1]
    assert dev.fault("kill", WEST) == f"{WEST} killed"
    assert state_of(pid) is None  # gone when the answer is there
    assert dev.list()[WEST][:3] == ("killed", None, None)
    time.sleep(2.5)  # dev starts again what ended by itself after two seconds
    assert dev.list()[WEST][0] == "killed" and len(dev.children()) == 1
    assert dev.ask("kill", WEST) == (1, f"redoubt: {WEST} is killed already")
    assert dev.ask("pause", WEST) == (1, f"redoubt: {WEST} is killed: start it first")
    assert dev.ask("resume", f"{WEST}/0") == (1, f"redoubt: {WEST} is not paused")
    assert dev.fault("start", f"{WEST}/0") == f"{WEST} started"
    serves(dev, WEST)
    assert dev.list()[WEST][1] not in (None, pid)
    assert dev.ask("start", WEST) == (1, f"redoubt: {WEST} runs already")


def test_a_paused_node_goes_on_where_it_was(dev):
    serves(dev, EAST)
    pid = dev.list()[EAST][1]
    client = dev.client(EAST)
    client.create_secret(Name="paused", SecretString="v")
    assert dev.fault("pause", EAST) == f"{EAST} paused"
    assert threads_are_stopped(pid)  # all of them, when it says so
    assert dev.list()[EAST] == ("paused", pid, None, dev.endpoint(EAST))
    assert dev.ask("pause", EAST) == (1, f"redoubt: {EAST} is paused already")
    assert dev.ask("start", EAST) == (1, f"redoubt: {EAST} is paused: resume it")
    assert dev.fault("resume", EAST) == f"{EAST} resumed"
    assert client.get_secret_value(SecretId="paused")["SecretString"] == "v"
    assert dev.list()[EAST][1] == pid
    # A paused node can be killed, and what kills it otherwise is no purpose of ours: it comes back.
    dev.fault("pause", EAST)
    dev.fault("kill", EAST)
    assert state_of(pid) is None
    dev.fault("start", EAST)
    pid = serves(dev, EAST) and dev.list()[EAST][1]
    dev.fault("pause", EAST)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: dev.list()[EAST][:3:2] == ("running", "leader"), START_SECONDS, what="the restarted node")


def test_what_cannot_be_done_is_told(dev):
    for arguments, status, sentence in (
            (("kill", "eu-west-1"), 1, "there is no region 'eu-west-1' here"),
            (("kill", f"{EAST}/1"), 1, f"there is no node '1' in {EAST}: it has 1, counted from 0"),
            (("kill", f"{EAST}/"), 1, f"there is no node '' in {EAST}"),
            (("kill", f"{EAST}/-0"), 1, f"there is no node '-0' in {EAST}"),
            (("kill", f"{EAST}/99999999999999999999"), 1, "there is no node"),
            (("kill", "a" * 1000), 1, "is no REGION"),
            (("kill", "a b"), 1, "is no REGION"),
            (("kill", ""), 1, "there is no region ''"),
            (("kill",), 2, "usage: redoubt fault kill REGION[/NODE]"),
            (("kill", EAST, WEST), 2, "unexpected argument"),
            (("list", EAST), 2, "unexpected argument"),
            (("break", EAST), 2, "redoubt fault kill")):
        done = dev.ask(*arguments)
        assert done[0] == status and sentence in done[1], (arguments, done)
    assert {row[0] for row in dev.list().values()} == {"running"}


def test_where_no_dev_runs(tmp_path):
    (tmp_path / "left").mkdir()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left" / "dev.sock"))  # of a dev that was killed: nobody listens
    left.close()
    for folder in (tmp_path, tmp_path / "none", tmp_path / "left"):
        done = subprocess.run([BINARY, "fault", "list", "--data", str(folder)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"redoubt: no redoubt dev runs on {folder}\n")


def test_the_door_takes_one_line_and_holds_nobody_up(dev):
    path = dev.folder / "dev.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    silent = []
    for _ in range(4):  # who says nothing is hung up on
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].connect(str(path))
    for question, answer in ((b"list", b""), (b"x" * 1000, b""), (b"nothing\n", b"no this redoubt dev does not know 'nothing'\n"),
                             (b"\n", b"no this redoubt dev does not know ''\n"), (b"list me\n", b"no this redoubt dev does not know 'list'\n"),
                             (b"\xff\x00list\n", b"no this redoubt dev does not know '\xff'\n")):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(str(path))
            s.sendall(question)
            got = b""
            try:
                while piece := s.recv(4096):
                    got += piece
            except ConnectionResetError:  # it was hung up on before all was read
                pass
            assert got == answer
    assert {row[0] for row in dev.list().values()} == {"running"}
    for s in silent:
        s.close()


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_paused_nodes_end_with_dev(how):
    with Dev(regions=(EAST,)) as dev:
        dev.start()
        pids = dev.children()
        dev.fault("pause", EAST)
        if how == "SIGTERM":
            dev.stop()
            assert not any(pathlib.Path(f"/proc/{p}").exists() for p in pids)
            assert not (dev.folder / "dev.sock").exists()
        else:
            dev.process.kill()
            dev.process.wait()
            dev.process = None
            eventually(lambda: all(state_of(p) in (None, "Z") for p in pids), 30, what="the end of the paused node")
        dev.start()
        assert {row[0] for row in dev.list().values()} == {"running"}
