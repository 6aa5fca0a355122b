"""The programs of README and docs that give jobs, run as they stand there.

What they print is what the remarks behind their `print(...)` say.
"""

import re
import sys
from pathlib import Path

from test_documents import ROOT, blocks

from chatting import account_environment, fresh_room, node_program, program
from servers import Server

_SAID = re.compile(r"print\(.*\)  # (.*)")
_FUNCTION = re.compile(r"^(async )?def (\w+)\((app: jabot\.Client)?\) -> None:", re.MULTILINE)


async def test_the_caller_of_the_readme(xmpp: Server, tmp_path: Path) -> None:
    readme = ROOT / "README.md"
    worker, caller = blocks(readme, "python")
    (shown,) = blocks(readme, "text")
    bot, ann = xmpp.fresh_user("bot"), xmpp.fresh_user("ann")
    caller = caller.replace("bot@localhost", bot.jid).replace("ann@localhost", ann.jid)
    (tmp_path / "caller.py").write_text(caller)
    command = [sys.executable, "caller.py"]
    async with (
        node_program(worker, tmp_path, xmpp, bot, name="lifter"),
        program(command, tmp_path, account_environment(xmpp, ann), "caller") as running,
    ):
        assert await running.ended() == 0, running.log
        lines = running.out.splitlines()
        assert lines[-1] == shown.splitlines()[-1]
        # On a busy machine a step may be left out.
        assert [line for line in shown.splitlines() if line in lines] == lines


async def test_the_callers_of_the_page(xmpp: Server, tmp_path: Path) -> None:
    worker, caller, *others = blocks(ROOT / "docs" / "programs.md", "python")
    bot, app = xmpp.fresh_user("bot"), xmpp.fresh_user("app")
    functions = [found for text in others for found in _FUNCTION.findall(text)]
    assert len(functions) == len(others)
    calls = [
        f"asyncio.run(in_a_client({name}))" if asynchronous else f"{name}()"
        for asynchronous, name, _ in functions
    ]
    text = "\n".join([caller, *others, _IN_A_CLIENT, *calls]).replace("bot@localhost", bot.jid)
    text = text.replace("app@localhost", app.jid)
    (tmp_path / "caller.py").write_text(text)
    worker = worker.replace("app@localhost", app.jid)
    command = [sys.executable, "caller.py"]
    async with (
        node_program(worker, tmp_path, xmpp, bot, name="gym"),
        program(command, tmp_path, account_environment(xmpp, app), "caller") as running,
    ):
        assert await running.ended() == 0, running.log
        assert running.log == ""
        assert running.out.split() == " ".join(_SAID.findall(text)).split()


_IN_A_CLIENT = """
async def in_a_client(function):
    async with jabot.connect("app@localhost", to="bot@localhost") as app:
        await function(app)
"""


async def test_the_page_about_the_fleet(xmpp: Server, tmp_path: Path) -> None:
    worker, caller, look, *_nodes = blocks(ROOT / "docs" / "fleet.md", "python")
    caller = "\n".join([caller, look, _IN_A_CLIENT, "asyncio.run(in_a_client(look))\n"])
    bot, app, room = xmpp.fresh_user("bot"), xmpp.fresh_user("app"), fresh_room(xmpp)
    for shown, ours in (
        ("bot@localhost", bot.jid),
        ("app@localhost", app.jid),
        ("fleet@conference.localhost", room),
    ):
        worker, caller = worker.replace(shown, ours), caller.replace(shown, ours)
    (tmp_path / "caller.py").write_text(caller)
    command = [sys.executable, "caller.py"]
    async with node_program(worker, tmp_path, xmpp, bot, name="machine") as machine:
        name = await machine.logged(r"in the room \S+ as (\S+),")
        environment = account_environment(xmpp, app)
        async with program(command, tmp_path, environment, "caller") as running:
            assert await running.ended() == 0, running.log
            assert re.fullmatch(rf"{name} answered \d+ GB\n\S+ 0\.0 {{}}\n", running.out)
