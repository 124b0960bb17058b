"""A region whose nodes live in network namespaces of their own, on one bridge, so that packets from one to another can be lost while clients
(here, beside the bridge) reach all of them. Needs root and the means to make namespaces.
"""
import os
import random
import shutil
import subprocess

from cluster import BINARY, DOOR_OFFSETS, Cluster

NOWHERE = "02:00:00:00:00:00"  # a hardware address that nobody has


def ip(*arguments, namespace=None):
    command = ["ip", *(("-n", namespace) if namespace else ()), *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if answer.returncode:
        raise OSError(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout


class Network:
    """One bridge and `n` namespaces. Raises OSError where they may not be made."""

    def __init__(self, n):
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise OSError("network namespaces need root and `ip`")
        self.n = n
        self.tag = f"rdt{random.randrange(16**5):05x}"
        self.subnet = f"198.18.{random.randrange(256)}"  # a range for tests of networks
        try:
            self.make()
        except BaseException:
            self.close()
            raise

    def make(self):
        ip("link", "add", self.tag, "type", "bridge")
        ip("address", "add", f"{self.subnet}.254/24", "dev", self.tag)
        ip("link", "set", self.tag, "up")
        for i in range(self.n):
            ip("netns", "add", self.namespace(i))
            ip("link", "add", f"{self.tag}v{i}", "type", "veth", "peer", "name", "eth0", "netns", self.namespace(i))
            ip("link", "set", f"{self.tag}v{i}", "master", self.tag, "up")
            ip("address", "add", f"{self.address(i)}/24", "dev", "eth0", namespace=self.namespace(i))
            ip("link", "set", "lo", "up", namespace=self.namespace(i))
            ip("link", "set", "eth0", "up", namespace=self.namespace(i))

    def namespace(self, i):
        return f"{self.tag}n{i}"

    def address(self, i):
        return f"{self.subnet}.{i + 1}"

    def cut(self, sender, receiver):
        """From now on what `sender` sends to `receiver` is lost, without a sign; the other way stays as it is."""
        ip("neighbour", "replace", self.address(receiver), "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent",
           namespace=self.namespace(sender))

    def heal(self):
        for i in range(self.n):
            ip("neighbour", "flush", "dev", "eth0", "nud", "permanent", namespace=self.namespace(i))

    def close(self):
        for arguments in [("netns", "delete", self.namespace(i)) for i in range(self.n)] + [("link", "delete", self.tag)]:
            subprocess.run(["ip", *arguments], capture_output=True, timeout=30)


class NetworkCluster(Cluster):
    """One region, node i at `network`'s address i."""

    def __init__(self, region, network):
        self.network = network
        super().__init__(regions=[region], nodes=network.n)
        self.move_in()

    def host(self, name):
        return self.network.address(int(name.partition("/")[2] or 0))

    def command(self, node):
        return ["ip", "netns", "exec", self.network.namespace(int(node.partition("/")[2])), *super().command(node)]

    def move_in(self):
        """What `redoubt dev` made is for loopback: the nodes begin again, with their ids, at their addresses here."""
        members = []
        for i, node in enumerate(self.nodes_of()):
            text = self.config(node).read_text()
            peers = ",".join(f"{self.network.address(j)}:{self.port + DOOR_OFFSETS[1] + j}" for j in range(self.n_nodes))
            lines = [f"{self.regions[0]} = {peers}" if line.startswith(f"{self.regions[0]} =") else
                     line.replace("127.0.0.1", self.network.address(i)) + ("\nallow_plain = true" if line in ("[api]", "[metrics]") else "")
                     for line in text.splitlines()]
            self.config(node).write_text("\n".join(lines) + "\n")
            for path in self.node_data(node).iterdir():
                if path.name != "node-id":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            identity = subprocess.run([BINARY, "node", "id", "--config", str(self.config(node))], check=True, capture_output=True, text=True,
                                      timeout=60).stdout.strip()
            members.append("{}={}:{},{}:{}".format(identity, self.network.address(i), self.port + DOOR_OFFSETS[2] + i,
                                                   self.network.address(i), self.port + DOOR_OFFSETS[1] + i))
        for node in self.nodes_of():
            subprocess.run([BINARY, "node", "bootstrap", "--config", str(self.config(node)), "--members", ";".join(members)],
                           check=True, timeout=60)
