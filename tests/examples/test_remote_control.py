"""examples/remote_control.py: commands on all machines of a room."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

from chatting import account_environment, fresh_room, program
from servers import Server

REMOTE = Path(__file__).parents[2] / "examples" / "remote_control.py"


async def test_all_machines_of_a_room_answer(xmpp: Server, tmp_path: Path) -> None:
    room, account = fresh_room(xmpp), xmpp.fresh_user("bot")
    serve = [sys.executable, "-m", "jabot", "run", str(REMOTE), "--account", account.jid]
    ask = [sys.executable, str(REMOTE), "--room", room]
    mine = account_environment(xmpp, xmpp.fresh_user("app"))
    async with AsyncExitStack() as stack:
        names = []
        for number in range(2):
            environment = account_environment(xmpp, account)
            running = program([*serve, "--room", room], tmp_path, environment, f"bot{number}")
            machine = await stack.enter_async_context(running)
            names.append(await machine.logged(r"in the room \S+ as (\S+),"))
        for arguments, answer in (
            (["uptime"], "load average"),
            (["--batch", "1", "disk", "/"], "% of "),
            (["run", "uname"], "Linux"),
        ):
            async with program([*ask, *arguments], tmp_path, mine, "here") as here:
                assert await here.ended() == 0, here.log
                told = dict(line.split(": ", 1) for line in here.out.splitlines())
                assert sorted(told) == sorted(names)
                assert all(answer in text for text in told.values()), told
        async with program([*ask, "run", "reboot"], tmp_path, mine, "here") as here:
            assert await here.ended() == 1
            assert here.out == ""
            assert here.log.count("refused: program: ") == 2
