"""A person, and a queue, for the tests that need no more than one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatting import Bench, Person, signed_in
from servers import Server


@pytest.fixture
async def ann(xmpp: Server) -> AsyncIterator[Person]:
    """Somebody who is online with a chat program that can do all that jabot knows of."""
    async with signed_in(xmpp) as ann:
        yield ann


@pytest.fixture
def bench(xmpp: Server, tmp_path: Path) -> Bench:
    return Bench(
        xmpp,
        tmp_path / "jobs.db",
        xmpp.fresh_user("jobs"),
        xmpp.fresh_user("bot"),
        xmpp.fresh_user("app"),
    )
