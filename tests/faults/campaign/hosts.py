"""Machines that are network namespaces, joined by a router that loses packets when told to."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

ROUTER_NET = "10.77"  # only inside of the namespaces of one campaign


@dataclass(frozen=True)
class Host:
    """One machine."""

    name: str
    address: str

    @property
    def inside(self) -> list[str]:
        """The start of a command line that runs there, under the same process id."""
        return ["ip", "netns", "exec", self.name]


class Hosts:
    """The machines of a campaign. The namespace of this process is the router between them.

    What it loses it loses silently, as a cable does that was pulled: nobody gets an error. All of
    it ends with this process, whose namespaces and mounts are its own (see `isolation`).
    """

    def __init__(self) -> None:
        for place in ("/run", "/dev/shm"):  # what is left behind there, goes with us
            _run("mount", "-t", "tmpfs", "tmpfs", place)
        _run("ip", "link", "set", "lo", "up")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        self._hosts: dict[str, Host] = {}

    def add(self, name: str) -> Host:
        """One more machine, with a cable to the router."""
        net = f"{ROUTER_NET}.{len(self._hosts) + 1}"
        host = self._hosts[name] = Host(name, f"{net}.2")
        _run("ip", "netns", "add", name)
        cable = f"to-{name}"
        _run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        _run("ip", "addr", "add", f"{net}.1/24", "dev", cable)
        _run("ip", "link", "set", cable, "up")
        _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", name, "addr", "add", f"{host.address}/24", "dev", "eth0")
        _run("ip", "-n", name, "link", "set", "eth0", "up")
        _run("ip", "-n", name, "route", "add", "default", "via", f"{net}.1")
        return host

    def cut(self, name: str, ways: str) -> None:
        """Lose what a machine sends (`from`), what is sent to it (`to`), or `both`."""
        self._rules("add", name, ways)

    def join(self, name: str, ways: str) -> None:
        """Undo the `cut`."""
        self._rules("del", name, ways)

    def _rules(self, verb: str, name: str, ways: str) -> None:
        address = self._hosts[name].address
        for way in ("from", "to") if ways == "both" else (ways,):
            _run("ip", "rule", verb, "priority", "0", way, address, "blackhole")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
