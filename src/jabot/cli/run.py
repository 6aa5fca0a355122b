"""`jabot run` and `jabot can`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click

from jabot.account import ServerAddress, resolve_account, resolve_jid
from jabot.authoring import queue_address
from jabot.cli.account import account_option
from jabot.cli.exit_codes import NOT_ALLOWED
from jabot.cli.load import load_node, source_dir
from jabot.cli.rooms import room_option
from jabot.cli.values import ACCOUNT, ADDRESS, Option, Value
from jabot.errors import ConfigError
from jabot.jid import JID
from jabot.node import Node

_POLL = 0.5  # seconds between two looks at the files


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not port.isascii() or int(port) > 65535:
        raise ConfigError(f"{text!r}: write PORT, HOST:PORT or [::1]:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


def _queue_option(text: str) -> Option:
    return click.option(
        "--queue",
        multiple=True,
        metavar="JID",
        type=Value("queue", queue_address),
        help=f"{text} May be given more than once.",
    )


@click.command()
@click.argument("target", metavar="FILE_OR_MODULE[:NODE]")
@click.option("--reload", is_flag=True, help="Restart when a .py file beside the program changes.")
@click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    type=Value("address", _host_and_port),
    help="Serve figures about jobs to Prometheus there; on 127.0.0.1 when no host is named.",
)
@_queue_option("Work for this queue as well: take jobs that it keeps.")
@room_option
@click.option(
    "--status-topic",
    is_flag=True,
    help="Tell how the node is in the topic jabot/status of its account, to who manages it.",
)
@account_option
def run(
    target: str,
    reload: bool,
    metrics: tuple[str, int] | None,
    queue: tuple[str, ...],
    room: tuple[str, ...],
    status_topic: bool,
    account: str | None,
) -> None:
    """Sign a node in and serve until it is stopped.

    The account is that of --account, else of the program, else of JABOT_JID, else the first that
    `jabot login` saved. Its password and server are what `jabot login` saved, unless JABOT_PASSWORD
    and JABOT_SERVER (HOST:PORT) are set; those are for the account of JABOT_JID where that is set.

    SIGTERM or Ctrl-C lets running jobs finish; the second one leaves at once.
    """
    if reload:
        sys.exit(_run_again_and_again(target))
    node = load_node(target)
    named = account or node.account_jid
    for address in queue:
        node.work_for(address)
    for address in room:
        node.join(address)
    if status_topic:
        node.publish_status()
    click.echo(f"{resolve_jid(named)} offers: {_names(node)}", err=True)
    if metrics is not None:
        _serve_metrics(node, *metrics)
    node.run(resolve_account(named))


@click.command()
@click.argument("jid", type=ADDRESS)
@click.argument("task")
@click.argument("target", metavar="FILE_OR_MODULE[:NODE]")
@click.option(
    "--account",
    metavar="JID",
    type=ACCOUNT,
    help="As if the node were signed in as this account.",
)
@_queue_option("As if the node worked for this queue as well.")
def can(jid: str, task: str, target: str, account: str | None, queue: tuple[str, ...]) -> None:
    """Say whether JID may run TASK on the node in a program, and why.

    TASK may also be `exit`: the right to stop the node. Nothing is signed in. Exit code 4 means no.
    """
    node = load_node(target)
    if task != "exit" and task not in [offered.name for offered in node.tasks]:
        raise click.UsageError(f"{target} has no task {task}; it has: {_names(node)}")
    for address in queue:
        node.work_for(address)
    decision = node.can(resolve_jid(account or node.account_jid), JID(jid), task)
    click.echo(f"{'yes' if decision else 'no'}: {decision.reason}")
    if not decision:
        sys.exit(NOT_ALLOWED)


def _serve_metrics(node: Node, host: str, port: int) -> None:
    """Serve the program's own figures if it keeps some, else keep some for it."""
    try:
        from jabot.metrics import Metrics, serve
    except ModuleNotFoundError as error:
        raise ConfigError(str(error)) from None
    metrics = next((layer for layer in node.middleware if isinstance(layer, Metrics)), None)
    if metrics is None:
        metrics = Metrics()
        node.middleware.append(metrics)
    address = ServerAddress(host, serve(metrics, port, host).server_port)
    click.echo(f"metrics at http://{address}/metrics", err=True)


def _names(node: Node) -> str:
    return ", ".join(task.name for task in node.tasks) or "no tasks"


def _run_again_and_again(target: str) -> int:
    """Run the program in a child, and a new child after each change of a file.

    Ctrl-C reaches the child by itself (a terminal signals both), SIGTERM is handed on; a second one
    is, too. Gives the exit code of the last child.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    command.remove("--reload")
    folder = source_dir(target)
    stopped = threading.Event()
    child = subprocess.Popen(command)  # noqa: S603 - our own command line

    def hand_on(number: int, _: object) -> None:
        stopped.set()
        if number == signal.SIGTERM or not sys.stdin.isatty():
            child.send_signal(number)

    signal.signal(signal.SIGINT, hand_on)
    signal.signal(signal.SIGTERM, hand_on)
    while True:
        seen, told = _versions(folder), False
        while not stopped.is_set() and _versions(folder) == seen:
            if child.poll() is not None and not told:
                told = True
                click.echo("it has ended; waiting for a change", err=True)
            stopped.wait(_POLL)
        if not stopped.is_set():
            click.echo("changed; starting again", err=True)
            child.terminate()
        code = child.wait()
        if stopped.is_set():
            return code
        child = subprocess.Popen(command)  # noqa: S603 - as above


def _versions(folder: Path) -> dict[Path, int]:
    """When each source file changed; installed packages and hidden folders are left out."""
    versions = {}
    for where, folders, files in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith((".", "__")) and not (Path(where, name, "pyvenv.cfg").exists())
        ]
        for name in files:
            if name.endswith(".py"):
                path = Path(where, name)
                with contextlib.suppress(FileNotFoundError):  # an editor replaces it in this moment
                    versions[path] = path.stat().st_mtime_ns
    return versions
