"""`jabot run` and `jabot can`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import click

from jabot.account import parse_account_jid, resolve_jid
from jabot.cli.load import load_node, source_dir
from jabot.errors import ConfigError
from jabot.jid import JID, InvalidJID

_POLL = 0.5  # seconds between two looks at the files
NOT_ALLOWED = 4  # exit code


@click.command()
@click.argument("target", metavar="FILE_OR_MODULE[:NODE]")
@click.option("--reload", is_flag=True, help="Restart when a .py file beside the program changes.")
def run(target: str, reload: bool) -> None:
    """Sign a node in and serve until it is stopped.

    The account comes from JABOT_JID, JABOT_PASSWORD and JABOT_SERVER (HOST:PORT), else from the
    program and the file that `jabot login` writes. SIGTERM or Ctrl-C lets running jobs finish; the
    second one leaves at once.
    """
    if reload:
        sys.exit(_run_again_and_again(target))
    node = load_node(target)
    click.echo(f"{resolve_jid(node.account_jid)} offers: {_names(node.tasks)}", err=True)
    node.run()


@click.command()
@click.argument("jid")
@click.argument("task")
@click.argument("target", metavar="FILE_OR_MODULE[:NODE]")
def can(jid: str, task: str, target: str) -> None:
    """Say whether JID may run TASK on the node in a program, and why.

    TASK may also be `exit`: the right to stop the node. Nothing is signed in. Exit code 4 means no.
    """
    try:
        caller = JID(jid)
    except InvalidJID as error:
        raise ConfigError(f"{jid!r} is not an address ({error})") from None
    node = load_node(target)
    own = resolve_jid(node.account_jid)
    if task != "exit" and task not in [offered.name for offered in node.tasks]:
        raise ConfigError(f"{target} has no task {task}; it has: {_names(node.tasks)}")
    decision = node.can(parse_account_jid(own.bare), caller, task)
    click.echo(f"{'yes' if decision else 'no'}: {decision.reason}")
    if not decision:
        sys.exit(NOT_ALLOWED)


def _names(tasks: object) -> str:
    return ", ".join(task.name for task in tasks) or "no tasks"  # type: ignore[attr-defined]


def _run_again_and_again(target: str) -> int:
    """Run the program in a child, and a new child after each change. Ctrl-C ends both."""
    command = [sys.executable, "-m", "jabot", "run", target]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    while True:
        seen = _versions(source_dir(target))
        child = subprocess.Popen(command)  # noqa: S603 - our own command line
        try:
            while _versions(source_dir(target)) == seen:
                time.sleep(_POLL)
        except KeyboardInterrupt:
            # A terminal sends Ctrl-C to the child, too; one signal more would mean: at once.
            if child.poll() is None and not sys.stdin.isatty():
                child.terminate()
            return _wait_out(child)
        click.echo("changed; starting again", err=True)
        child.terminate()
        _wait_out(child)


def _wait_out(child: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.terminate()


def _versions(folder: Path) -> dict[Path, int]:
    versions = {}
    for path in folder.rglob("*.py"):
        try:
            versions[path] = path.stat().st_mtime_ns
        except FileNotFoundError:
            continue  # an editor replaced it in this moment
    return versions
