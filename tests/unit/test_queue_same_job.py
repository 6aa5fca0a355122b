"""One job for several who asked for it: each hears how it ends, under the id that it knows."""

import pytest
from msgspec import Raw

from jabot.protocol.frames import Submit, Succeeded
from unit.queue_house import APP, APP_TOO, BOT, House


@pytest.mark.parametrize("option", [{"key": "k"}, {"unique": "u"}])
async def test_the_first_and_the_second_hear_of_it(monkeypatch, clock, option):
    async with House(monkeypatch, clock) as house:
        await house.submit("j1", peer=APP, **option)
        await house.submit("j2", peer=APP_TOO, **option)
        await house.work()
        (given,) = house.heard(BOT, Submit)
        await house.tell(BOT, Succeeded(given.id, given.attempt, Raw(b"5")))
        assert [frame.id for frame in house.heard(APP, Succeeded)] == ["j1"]
        assert [frame.id for frame in house.heard(APP_TOO, Succeeded)] == ["j2"]
