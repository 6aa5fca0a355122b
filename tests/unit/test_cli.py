"""The commands, as far as they need no server."""

import logging
import stat
import sys

import pytest
from click.testing import CliRunner

from jabot.account import resolve_account
from jabot.cli import cli
from jabot.cli.load import load_node, source_dir
from jabot.errors import ConfigError
from jabot.node import Node

PROGRAM = """
from jabot import Node
{name} = Node("bot@localhost", allow={{"alice@localhost": ["lift"]}}, manage=["boss@localhost"])

@{name}.task
def lift(): ...
"""


ONE_NODE = PROGRAM.format(name="node")


@pytest.fixture
def program(home, tmp_path, monkeypatch):
    """Writes programs, which no other test finds imported."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)

    def write(name="unit_program.py", text=ONE_NODE):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(path)

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("unit_"):
            del sys.modules[name]


def jabot(*arguments, text=None, **env):
    return CliRunner().invoke(cli, list(arguments), input=text, env=env)


@pytest.fixture(autouse=True)
def logs_as_before():
    """The command sets up logging for its process."""
    loggers = [logging.getLogger(name) for name in ("", "slixmpp", "asyncio")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


# --- finding the node ---------------------------------------------------------------------------


def test_a_node_is_found_in_a_file_and_in_a_module(program):
    path = program()
    assert load_node(path).account_jid == "bot@localhost"
    assert load_node("unit_program") is load_node(path)
    assert load_node(f"{path}:node") is load_node(path)


def test_the_only_node_may_have_any_name(program):
    assert load_node(program(text=PROGRAM.format(name="thrash"))).account_jid == "bot@localhost"


@pytest.mark.parametrize(
    ("text", "target", "reason"),
    [
        ("x = 1", "unit_program.py", "has no Node at its top level"),
        (PROGRAM.format(name="a") + PROGRAM.format(name="b"), "unit_program.py", r":NAME \(a, b\)"),
        (PROGRAM.format(name="node"), "unit_program.py:other", "no node named other"),
        ("x = 1", "unit_program:x", "no node named x"),
        ("", "unit_nowhere.py", "no file unit_nowhere.py"),
        ("", "unit_nowhere", "no module unit_nowhere"),
        ("", "unit_no.where.at_all", "no module unit_no.where.at_all"),
        ("", "unit_program.inner", "no module unit_program.inner"),
    ],
)
def test_no_node_is_found(program, text, target, reason):
    program(text=text)
    with pytest.raises(ConfigError, match=reason):
        load_node(target)


def test_what_the_program_itself_misses_is_not_taken_for_the_program(program):
    program(text="import unit_missing_library")
    with pytest.raises(ConfigError, match=r"cannot be imported:(.|\n)*unit_missing_library"):
        load_node("unit_program.py")


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("def lift(:", "SyntaxError: invalid syntax"),
        ("from jabot import Node\nnode = Node(alow={})", "unexpected keyword argument 'alow'"),
    ],
)
def test_of_a_program_that_breaks_its_own_lines_are_shown(program, text, last):
    result = jabot("run", program(text=text))
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert result.output.rstrip().endswith(last)
    assert f'unit_program.py", line {len(text.splitlines())}' in result.output
    assert "importlib" not in result.output
    assert "load.py" not in result.output


def test_of_what_we_refuse_the_line_in_the_program_is_told(program):
    text = f"{ONE_NODE}\n@node.task(timeout='5 parsecs')\ndef lift(): ...\n"
    line = 1 + text[: text.index("@node.task(t")].count("\n")
    result = jabot("run", program(text=text))
    where = f"Error: unit_program.py:{line}: task lift: timeout: "
    assert result.output.startswith(f"{where}'5 parsecs' is not a duration")
    assert "Traceback" not in result.output


def test_a_file_with_the_name_of_another_module_is_refused(program):
    path = program("json.py")
    with pytest.raises(ConfigError, match=r"another module is named json .*rename"):
        load_node(path)


def test_the_folder_that_reload_watches(tmp_path):
    assert source_dir(f"{tmp_path}/a.py:node") == tmp_path
    assert source_dir(f"{tmp_path}/a.py") == tmp_path
    assert str(source_dir("package.module:node")) == "."


# --- jabot can ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jid", "task", "code", "answer"),
    [
        ("alice@localhost/x", "lift", 0, "yes: the rule for alice@localhost allows it"),
        ("eve@localhost", "lift", 4, "no: no rule names eve@localhost"),
        ("boss@localhost", "exit", 0, "yes: manage names boss@localhost"),
        ("alice@localhost", "exit", 4, "no: alice@localhost is not among those who manage"),
        ("bot@localhost", "lift", 0, "yes: bot@localhost is the node's own account"),
        ("alice@localhost", "dance", 2, "has no task dance; it has: lift"),
        ("a@b@c", "lift", 2, "is not an address"),
    ],
)
def test_can(program, jid, task, code, answer):
    result = jabot("can", jid, task, program())
    assert result.exit_code == code
    assert answer in result.output


def test_can_knows_the_queues_that_a_node_works_for(program):
    asked = ("can", "jobs@localhost/one", "lift", program(), "--queue", "jobs@localhost")
    assert jabot(*asked[:4]).exit_code == 4
    assert jabot(*asked).output == "yes: the node works for the queue jobs@localhost\n"
    assert jabot("can", "jobs@localhost", "exit", *asked[3:]).exit_code == 4
    assert "leave out the resource" in jabot(*asked, "--queue", "jobs@localhost/one").output


def test_can_follows_the_command_line_before_the_program_before_the_environment(program):
    asked = ("can", "alice@localhost", "exit", program())
    assert jabot(*asked, "--account", "alice@localhost").output.startswith("yes")
    assert jabot(*asked, JABOT_JID="alice@localhost").output.startswith("no")


def test_the_account_of_the_command_line_is_served(program, monkeypatch):
    served = []
    monkeypatch.setattr(Node, "run", lambda self, account: served.append(account))
    env = {"JABOT_JID": "alice@localhost", "JABOT_PASSWORD": "x"}
    result = jabot("run", program(), "--account", "alice@localhost", **env)
    assert result.exit_code == 0, result.output
    assert served == [resolve_account(None, env)]
    result = jabot("run", program(), **env)  # whose password is not that of the program's account
    assert "no password for bot@localhost: set JABOT_JID=bot@localhost and" in result.output


# --- errors, passwords, login -------------------------------------------------------------------


def test_an_error_of_ours_is_one_line_and_no_traceback(program):
    result = jabot("run", program())
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: no password for bot@localhost")
    assert "Traceback" not in result.output


def test_a_program_that_is_not_there(program):
    result = jabot("run", "unit_nowhere.py")
    assert (result.exit_code, "no file unit_nowhere.py" in result.output) == (1, True)


def test_login_writes_the_account_down_and_shows_no_password(home):
    options = ("--no-check", "--server", "xmpps://[::1]:7")
    result = jabot("login", *options, "Älice@localhost", text="pä ss\n")
    assert result.exit_code == 0, result.output
    assert "pä ss" not in result.output
    account = resolve_account(None, {})
    assert (account.jid, account.password) == ("älice@localhost", "pä ss")
    assert (account.server.host, account.server.port, account.server.direct_tls) == ("::1", 7, True)
    path = home / "jabot" / "config.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["localhost"], 2, "name@domain"),
        (["alice@localhost/phone"], 2, "name@domain"),
        (["--server", "http://x", "alice@localhost"], 2, "HOST:PORT"),
        (["--ca-file", "/nowhere.pem", "alice@localhost"], 1, "no such file"),
    ],
)
def test_login_refuses_what_it_cannot_use(home, arguments, code, reason):
    result = jabot("login", "--no-check", *arguments, text="x\n")
    assert result.exit_code == code
    assert reason in result.output
    assert not (home / "jabot").exists()


def test_login_refuses_an_empty_password(home):
    result = jabot("login", "--no-check", "alice@localhost", text="\n")
    assert result.exit_code != 0
    assert "empty" in result.output


def test_who_logs_in_a_second_account_hears_how_to_use_it(home):
    assert "--account" not in jabot("login", "--no-check", "bot@localhost", text="x\n").output
    result = jabot("login", "--no-check", "ann@localhost", text="x\n")
    assert "sign in as bot@localhost unless they are given --account ann@localhost" in result.output


def test_a_new_account_of_another_domain_says_which_server_has_it(tmp_path):
    add = ("server", "adduser", "--data", str(tmp_path))
    assert jabot(*add, "ann@localhost", text="x\n").output == "ann@localhost can sign in now.\n"
    other = jabot(*add, "ann@a.example", text="x\n").output
    assert other == "ann@a.example can sign in now where --domain a.example is served.\n"


def test_a_misspelt_command_is_pointed_out():
    result = jabot("sumbit")
    assert (result.exit_code, "Did you mean submit?" in result.output) == (2, True)
    assert "Did you mean" not in jabot("frobnicate").output


def test_a_time_that_is_none_names_its_option():
    result = jabot("queue", "--lease", "soon")
    assert result.exit_code == 2
    assert "Invalid value for '--lease': 'soon' is not a duration" in result.output


def test_no_command_takes_a_password_as_an_argument():
    import click

    for name in cli.list_commands(None):
        command = cli.get_command(None, name)
        commands = command.commands.values() if isinstance(command, click.Group) else [command]
        for each in commands:
            options = {option for p in each.params for option in (*p.opts, p.name)}
            assert not {o for o in options if "pass" in o}, each.name


def test_every_command_has_help():
    for name in cli.list_commands(None):
        result = jabot(name, "--help")
        assert result.exit_code == 0
        assert len(result.output.splitlines()) > 3
