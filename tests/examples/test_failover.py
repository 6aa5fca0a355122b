"""examples/failover.py: a leader that is killed, and who takes over."""

import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from chatting import Program, account_environment, program
from servers import Account, Server

FAILOVER = Path(__file__).parents[2] / "examples" / "failover.py"


async def test_the_next_one_takes_over(xmpp: Server, tmp_path: Path) -> None:
    account = xmpp.fresh_user("bot")
    async with AsyncExitStack() as inside:

        async def start(name: str) -> Program:
            return await inside.enter_async_context(node(name, xmpp, account, tmp_path))

        anna = await start("anna")
        await anna.printed("anna: tick 1")
        berta = await start("berta")
        await berta.printed("berta: anna leads, I stand by")
        clara = await start("clara")
        await clara.printed("clara: anna leads, I stand by")
        anna.send(signal.SIGKILL)
        await berta.printed("berta: I lead")
        await clara.printed("clara: berta leads, I stand by")
        await berta.printed("berta: tick 1")
        assert "clara: tick" not in clara.out
        berta.send(signal.SIGTERM)
        assert await berta.ended() == 0
        await clara.printed("clara: tick 1")


def node(name: str, xmpp: Server, account: Account, folder: Path):
    environment = account_environment(xmpp, account)
    domain = account.jid.partition("@")[2]
    stem = account.jid.partition("@")[0]
    environment |= {"NAME": name, "ROOM": f"clock-{stem}@conference.{domain}"}
    command = [sys.executable, "-m", "jabot", "run", str(FAILOVER), "--account", account.jid]
    return program(command, folder, environment, name)
