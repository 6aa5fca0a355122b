"""Ports that stay ours while a server is down between two starts."""

import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ROOM = 12_000  # how many ports below the ephemeral range are drawn from
# Not the module's own: that is seeded alike in several processes, by Hypothesis for one, and two of
# them that draw the same port at the same time may take one server for two.
_random = random.SystemRandom()
_handed_out: set[int] = set()


def _first_ephemeral() -> int:
    try:
        return int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768


def free_port() -> int:
    """A port that is free now, and that the kernel gives to nobody by itself.

    Binding to port 0 would draw from the ephemeral range: there, any outgoing connection can take
    the port of a server that a test has stopped and is about to start again.
    """
    top = max(_first_ephemeral(), 2048)
    bottom = max(1024, top - _ROOM)
    for _ in range(1000):
        port = _random.randrange(bottom, top)
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port
    raise RuntimeError(f"no free port between {bottom} and {top}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
