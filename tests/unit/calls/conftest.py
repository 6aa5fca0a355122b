"""The caller of the tests of calls."""

import pytest

from jabot.calls.calls import closed
from unit.calling import Caller
from unit.clock import turns


@pytest.fixture
async def caller(clock):
    caller = Caller(clock)
    yield caller
    caller.calls.close(closed("the test"))
    caller.link.close()
    await turns()
