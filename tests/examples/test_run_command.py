"""`jabot run`: what goes wrong reads well, a change restarts, and no password is ever shown."""

import signal
import sys
from pathlib import Path

import pytest

from chatting import account_environment, node_program, program, signed_in
from servers import Server

NODE = """
from jabot import Node

node = Node(allow={"*@localhost": "*"}, manage=["*@localhost"])

@node.task(done="{result}")
async def version() -> str:
    return "VERSION"
"""
ACCOUNT = {"JABOT_JID": "bot@localhost", "JABOT_PASSWORD": "Geheimnis"}


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        (None, "gym.py", "Error: there is no file gym.py"),
        (None, "no_such_module", "Error: there is no module no_such_module"),
        ("x = 1", "gym.py", "Error: gym.py has no Node at its top level"),
        (NODE, "gym.py:other", "Error: gym.py has no node named other"),
        (
            "from jabot import Node\na, b = Node(), Node()",
            "gym.py",
            "Error: gym.py has 2 nodes; choose one with gym.py:NAME (a, b)",
        ),
        (
            NODE.replace('"*"}', '["lift"]}'),
            "gym.py",
            "and this node has no such task; its tasks: version",
        ),
        (NODE.replace("*@localhost", "a@b@c"), "gym.py", "access rule for 'a@b@c': not an address"),
    ],
    ids=["no file", "no module", "no node", "no such node", "two nodes", "no task", "bad rule"],
)
def test_what_can_t_be_run_is_told_in_one_line(
    run, tmp_path: Path, source: str | None, target: str, reason: str
) -> None:
    if source is not None:
        (tmp_path / "gym.py").write_text(source)
    result = run("run", target, **ACCOUNT)
    assert result.returncode == 1
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert "Geheimnis" not in result.stderr


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "Error: no account: set JABOT_JID and JABOT_PASSWORD, or run `jabot login`"),
        (
            {"JABOT_JID": "bot@localhost"},
            "Error: no password for bot@localhost: set JABOT_PASSWORD, "
            "or run `jabot login bot@localhost`",
        ),
        (ACCOUNT | {"JABOT_JID": "bot"}, "an account is written name@domain"),
        (ACCOUNT | {"JABOT_SERVER": "localhost:x"}, "'x' is not a port"),
        (ACCOUNT | {"JABOT_CA_FILE": "/no/such"}, "there is no such file"),
    ],
    ids=["no account", "no password", "no domain", "no port", "no CA"],
)
def test_an_account_that_is_missing_is_told_in_one_line(
    run, tmp_path: Path, environment: dict[str, str], reason: str
) -> None:
    (tmp_path / "gym.py").write_text(NODE)
    result = run("run", "gym.py", **environment)
    assert result.returncode == 1
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert "Geheimnis" not in result.stderr


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("def lift(:\n", ["gym.py", "def lift(:", "SyntaxError"]),
        ("import jabot\n1 / 0\n", ["gym.py", "line 2", "ZeroDivisionError"]),
        ("import no_such_thing\n", ["gym.py", "line 1", "No module named 'no_such_thing'"]),
    ],
    ids=["syntax", "exception", "import"],
)
def test_a_mistake_of_the_author_shows_where_it_is(
    run, tmp_path: Path, source: str, shown: list[str]
) -> None:
    (tmp_path / "gym.py").write_text(source)
    result = run("run", "gym.py", **ACCOUNT)
    assert result.returncode == 1
    assert "Error: gym.py cannot be imported" in result.stderr
    assert all(text in result.stderr for text in shown)


def test_a_wrong_password_ends_it_with_one_line(run, xmpp: Server, tmp_path: Path) -> None:
    (tmp_path / "gym.py").write_text(NODE)
    account = xmpp.fresh_user("bot")._replace(password="Geheimnis")
    result = run("run", "gym.py", **account_environment(xmpp, account))
    assert result.returncode == 1
    assert "Error: " in result.stderr
    assert "does not accept the account" in result.stderr
    assert "Geheimnis" not in result.stderr + result.stdout
    assert "Traceback" not in result.stderr


async def test_a_module_can_be_run_by_its_name(xmpp: Server, tmp_path: Path) -> None:
    package = tmp_path / "gym"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "bar.py").write_text(NODE.replace("node", "lifter"))
    account = xmpp.fresh_user("bot")
    command = [sys.executable, "-m", "jabot", "run", "gym.bar:lifter"]
    environment = account_environment(xmpp, account)
    async with program(command, tmp_path, environment) as bot, signed_in(xmpp) as ann:
        await bot.logged(f"{account.jid} offers: version")
        await bot.logged(" is ready")
        await ann.ask(account.jid, "version", "^VERSION$")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
async def test_with_reload_a_change_restarts_it(
    xmpp: Server, tmp_path: Path, number: signal.Signals
) -> None:
    account = xmpp.fresh_user("bot")
    file = tmp_path / "gym.py"
    file.write_text(NODE.replace("VERSION", "first"))
    command = [sys.executable, "-m", "jabot", "run", "--reload", str(file)]
    environment = account_environment(xmpp, account)
    async with program(command, tmp_path, environment) as bot, signed_in(xmpp) as ann:
        first = await bot.logged(r"(\S+) is ready")
        await ann.ask(account.jid, "version", "^first$")
        file.write_text("an unfinished thought (")
        await bot.logged("changed; starting again")
        await bot.logged("SyntaxError")
        file.write_text(NODE.replace("VERSION", "second"))
        second = await bot.logged(rf"{first} is ready(?s:.*) (\S+) is ready")
        assert second != first
        await ann.ask(account.jid, "version", "^second$")
        bot.send(number)
        assert await bot.ended() in (0, -number, 128 + number)


@pytest.mark.also_prosody
async def test_a_password_is_in_no_log_however_much_is_logged(xmpp: Server, tmp_path: Path) -> None:
    account = xmpp.fresh_user("bot")
    async with (
        node_program(NODE, tmp_path, xmpp, account, options=("-v", "-v")) as bot,
        signed_in(xmpp) as ann,
    ):
        await ann.ask(account.jid, "version", "^VERSION$")
        await ann.ask(account.jid, "exit", "^Leaving.$")
        assert await bot.ended() == 0
        for text in (bot.log, bot.out):
            assert account.password not in text
            assert "<auth" not in text
            assert "biws" not in text  # how the answer of SCRAM begins, in base64
