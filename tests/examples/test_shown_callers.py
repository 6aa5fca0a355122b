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


async def test_the_page_about_topics(xmpp: Server, tmp_path: Path) -> None:
    """A sensor without a loop, the thermostat, and who watches it."""
    bot, ann = xmpp.fresh_user("bot"), xmpp.fresh_user("ann")
    stem = bot.jid.partition("@")[0]
    thermostat, watch, sensor = (
        re.sub("(sensors|heating)/", rf"{stem}-\1/", text)
        .replace("bot@localhost", bot.jid)
        .replace("ann@localhost", ann.jid)
        for text in blocks(ROOT / "docs" / "topics.md", "python")
    )
    (tmp_path / "watch.py").write_text(watch)
    (tmp_path / "sensor.py").write_text(f"{sensor}\n\nblocking()\n")
    environment = account_environment(xmpp, ann)
    async with (
        node_program(thermostat, tmp_path, xmpp, bot, name="thermostat"),
        program([sys.executable, "watch.py"], tmp_path, environment, "watch") as watching,
        program([sys.executable, "sensor.py"], tmp_path, environment, "sensor") as measuring,
    ):
        opened = re.escape(
            f"{stem}-heating/valve {{'open': True, 'because': '{stem}-sensors/attic'}}"
        )
        await watching.printed(rf"\d {opened} {bot.jid}/")
        await measuring.printed(opened)
        await measuring.printed(re.escape(f"{stem}-sensors/attic {{'celsius': 17.5}}"))


async def test_the_page_about_the_fleet(xmpp: Server, tmp_path: Path) -> None:
    worker, caller, look, _node = blocks(ROOT / "docs" / "fleet.md", "python")
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
