"""One job for several who asked for it: each hears how it ends, under the id that it knows."""

import pytest
from msgspec import Raw

from jabot.protocol.frames import Rejected, Submit, Succeeded
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


@pytest.mark.parametrize("option", [{"key": "k"}, {"unique": "u"}])
async def test_there_is_an_end_to_how_many_submits_are_one_job(monkeypatch, clock, option):
    async with House(monkeypatch, clock) as house:
        await house.submit("j0", **option)
        house.shelf._writer._db.execute(
            "INSERT INTO aliases WITH RECURSIVE n (x) AS "
            "(SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 9999) "
            "SELECT 'j' || x, (SELECT seq FROM jobs) FROM n"
        )
        await house.submit("j10000", **option)
        assert house.heard(APP) == []
        await house.submit("j10001", **option)
        (refused,) = house.heard(APP, Rejected)
        assert (refused.id, refused.code) == ("j10001", "too_many_jobs")
        assert "10,000 submits are one job already, j0," in refused.message
