"""Fixtures of the unit tests: a made-up clock, a queue, a bare home, what an end sends."""

import asyncio

import pytest

from jabot.testing import Clock
from unit.queue_house import House


@pytest.fixture
async def clock():
    """The loop's time, made up from now on: it is 1000 s."""
    clock = Clock(asyncio.get_running_loop(), patience=0.5)
    clock.now = 1000.0
    yield clock
    clock.release()


@pytest.fixture
async def house(clock, monkeypatch):
    """A queue, whose callers and workers the test plays."""
    async with House(monkeypatch, clock) as house:
        yield house


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A configuration folder of its own, and no account in the environment."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("JABOT_JID", "JABOT_PASSWORD", "JABOT_SERVER", "JABOT_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


class Sent(list):
    """What an end has sent, and to whom."""

    def __call__(self, peer, frame):
        self.append((peer, frame))

    def take(self):
        sent = list(self)
        self.clear()
        return sent


@pytest.fixture
def sent():
    """To be called by an end of the protocol; empty."""
    return Sent()
