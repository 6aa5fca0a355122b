"""`jabot run --metrics`: figures that Prometheus can fetch."""

import socket
import sys
import urllib.request
from pathlib import Path

from chatting import account_environment, program, signed_in
from servers import Server

NODE = """
from jabot import Node
{more}
node = Node(allow={{"*@localhost": "*"}}{layers})

@node.task(done="Lifted")
def lift() -> None: ...

@node.task
def drop() -> None:
    raise ValueError("too heavy")
"""
OWN_LAYER = {"more": "from jabot.metrics import Metrics", "layers": ", middleware=[Metrics()]"}


def fetch(url: str) -> list[str]:
    with urllib.request.urlopen(url, timeout=30) as page:
        return page.read().decode().splitlines()


async def test_the_figures_of_a_node_are_served_on_loopback(xmpp: Server, tmp_path: Path) -> None:
    account = xmpp.fresh_user("bot")
    file = tmp_path / "gym.py"
    file.write_text(NODE.format(more="", layers=""))
    command = [sys.executable, "-m", "jabot", "run", str(file), "--metrics", "0"]
    environment = account_environment(xmpp, account)
    async with program(command, tmp_path, environment) as bot, signed_in(xmpp) as ann:
        url = await bot.logged(r"metrics at (http://127\.0\.0\.1:\d+/metrics)")
        await bot.logged(" is ready")
        await ann.ask(account.jid, "lift", "^Lifted$")
        await ann.ask(account.jid, "drop", "too heavy")
        await bot.logged("drop failed")
        figures = fetch(url)
        assert 'jabot_runs_ended_total{outcome="succeeded",task="lift"} 1.0' in figures
        assert 'jabot_runs_ended_total{outcome="TaskFailed",task="drop"} 1.0' in figures
        assert 'jabot_runs_running{task="lift"} 0.0' in figures
        assert 'jabot_run_duration_seconds_count{task="lift"} 1.0' in figures


async def test_a_program_that_counts_itself_is_not_counted_twice(
    xmpp: Server, tmp_path: Path
) -> None:
    account = xmpp.fresh_user("bot")
    file = tmp_path / "gym.py"
    file.write_text(NODE.format(**OWN_LAYER))
    command = [sys.executable, "-m", "jabot", "run", str(file), "--metrics", "localhost:0"]
    environment = account_environment(xmpp, account)
    async with program(command, tmp_path, environment) as bot, signed_in(xmpp) as ann:
        url = await bot.logged(r"metrics at (http://localhost:\d+/metrics)")
        await bot.logged(" is ready")
        await ann.ask(account.jid, "lift", "^Lifted$")
        assert 'jabot_runs_ended_total{outcome="succeeded",task="lift"} 1.0' in fetch(url)


def test_a_port_that_is_taken_is_told_in_one_line(run, tmp_path: Path) -> None:
    (tmp_path / "gym.py").write_text(NODE.format(more="", layers=""))
    account = {"JABOT_JID": "bot@localhost", "JABOT_PASSWORD": "x"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("run", "gym.py", "--metrics", str(port), **account)
    assert result.returncode == 1
    assert f"Error: metrics cannot be served on 127.0.0.1, port {port}: " in result.stderr
    assert "Traceback" not in result.stderr


def test_without_the_extra_it_says_what_to_install(run, tmp_path: Path) -> None:
    (tmp_path / "gym.py").write_text(
        "import sys\nsys.modules['prometheus_client'] = None\n" + NODE.format(more="", layers="")
    )
    account = {"JABOT_JID": "bot@localhost", "JABOT_PASSWORD": "x"}
    result = run("run", "gym.py", "--metrics", "0", **account)
    assert result.returncode == 1
    assert 'Error: jabot.metrics needs prometheus-client: pip install "jabot[metrics]"' in (
        result.stderr
    )
