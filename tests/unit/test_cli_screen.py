"""What the commands for jobs show, and how they end."""

import json
import logging

import pytest
from click.testing import CliRunner

from jabot import errors
from jabot.cli import cli
from jabot.cli.exit_codes import exit_codes, failure
from jabot.cli.node_tables import node_table
from jabot.cli.screen import as_json, clean, one_line, output
from jabot.peers import Peer


@pytest.fixture(autouse=True)
def logs_as_before():
    """The command sets up logging for its process."""
    loggers = [logging.getLogger(name) for name in ("", "jabot", "slixmpp", "asyncio")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.TaskFailed("ValueError: too heavy"), 1),
        (errors.JobCancelled("cancelled"), 1),
        (errors.WorkerLost("gone"), 1),  # it may have run: not 3, which says that nothing did
        (errors.TooManyJobs("many"), 1),
        (errors.TooLarge("large"), 1),
        (errors.ConnectionFailed("no server"), 1),
        (errors.ConfigError("no account"), 1),
        (errors.BadArguments("reps"), 2),
        (errors.UnknownTask("lifd"), 2),
        (errors.NobodyThere("nobody"), 3),
        (errors.Draining("stopping"), 3),
        (errors.NotAllowed("no"), 4),
        (errors.JobTimeout("late"), 124),
    ],
)
def test_each_error_has_its_exit_code(error, code):
    with pytest.raises(Exception, match=str(error)) as caught, exit_codes():
        raise error
    assert caught.value.exit_code == code


def test_a_failed_task_shows_its_traceback_when_asked_to(capsys):
    error = errors.TaskFailed("ValueError: x", traceback="Traceback\n  \x1b[31mhere\n")
    assert failure(error).message == "the task failed: ValueError: x\n(-v shows its traceback)"
    assert capsys.readouterr().err == ""
    assert failure(error, verbose=True).message == "the task failed: ValueError: x"
    assert capsys.readouterr().err == "Traceback\n  \ufffd[31mhere\n"


def test_what_others_wrote_commands_no_terminal():
    assert clean("a\x1b[31mb\x9bc\n\td") == "a\ufffd[31mb\ufffdc\n\td"
    assert one_line(" a\n\n b\x07 ") == "a b\ufffd"
    assert (
        as_json("\x1b[31m \x9b \x7f ä \U0001f4aa") == '"\\u001b[31m \\u009b \\u007f ä \U0001f4aa"'
    )
    assert json.loads(as_json("\x1b\x9b\x7f")) == "\x1b\x9b\x7f"
    assert as_json({"a": [1]}, indent=True) == '{\n  "a": [\n    1\n  ]\n}'


def test_a_table_in_a_pipe_is_never_folded_or_coloured(capsys):
    names = frozenset(f"task_number_{n:03}" for n in range(40))
    busy = Peer("bot@localhost/host-1", names, 8, 12, 8, "abc", {"gpu": "a100", "x": "[red]"})
    output().print(node_table([busy, Peer("bot@localhost/host-2")]))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["NODE", busy.jid, "bot@localhost/host-2"]
    assert "8 of 8, 12 waiting" in lines[1]
    assert ", ".join(sorted(names)) in lines[1]
    assert "gpu=a100, x=[red]" in lines[1]
    assert "\x1b" not in "".join(lines)
    assert lines[2].split()[1:] == ["0", "of", "1", "?", "-"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["submit", "lift"], "Missing option '--to'"),
        (["submit", "--to", "a@b"], "Missing argument 'TASK'"),
        (["submit", "--to", "a@b@c", "lift"], "is not an address"),
        (["submit", "--to", "a@b", "lift", "--timeout", "soon"], "is not a duration"),
        (["submit", "--to", "a@b", "lift", "--timeout", "0"], "more than zero"),
        (["submit", "--to", "a@b", "lift", "--retries", "-1"], "--retries"),
        (["submit", "--to", "a@b", "lift", "--where", "gpu"], "a label is written name=value"),
        (["submit", "--to", "a@b", "lift", "--where", "=x"], "a label is written name=value"),
        (["nodes", "a@b@c"], "is not an address"),
        (["describe"], "Missing argument 'JID'"),
        (["describe", "a@b@c"], "is not an address"),
        (["chat", "a@b@c"], "is not an address"),
        (["chat", ""], "'' is not an address"),
        (["jobs", "cancel", "--owner", "", "--yes"], "'' is not an address"),
        (["chat", "a@b", "--account", "localhost"], "an account is written name@domain"),
        (["jobs", "list", "--owner", "a@b@c"], "is not an address"),
        (["run", "x.py", "--account", "a@b@c"], "is not an address"),
        (["run", "x.py", "--queue", "a@b@c"], "is not an address"),
        (["run", "x.py", "--queue", "a@b/c"], "leave out the resource"),
        (["run", "x.py", "--room", "a@b/c"], "give name@service"),
        (["can", "a@b", "lift", "x.py", "--account", "localhost"], "is written name@domain"),
        (["queue", "--allow", "a@b@c=lift"], "not an address"),
        (["queue", "--allow", "a@b="], "write WHO, or WHO=TASK,TASK"),
        (["queue", "--manage", "*@a@b"], "a * stands for a whole name"),
        (["queue", "--work", "a@b@c"], "is not an address"),
        (["server", "--domain", "a b"], "is no domain"),
        (["server", "adduser", "localhost"], "an account is written name@domain"),
        (["run", "x.py", "--metrics", "here"], "write PORT, HOST:PORT"),
        (["run", "x.py", "--metrics", "70000"], "write PORT, HOST:PORT"),
    ],
)
def test_a_wrong_command_line_is_2_and_says_why(arguments, reason):
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert reason in result.output
