"""Commands of all machines in a room, run from here; each answers, or it is said why not.

On each machine, as a user who may do no more than that:

    $ jabot login bot@localhost --server 127.0.0.1
    $ jabot run examples/remote_control.py --room fleet@conference.localhost

and here:

    $ jabot login app@localhost --server 127.0.0.1
    $ export JABOT_JID=app@localhost
    $ python examples/remote_control.py uptime
    $ python examples/remote_control.py disk /home
    $ python examples/remote_control.py --batch 25% run hostname

To be in the room gives nobody a right: it is `allow=` below that does.
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
from typing import Literal

import jabot

ROOM = "fleet@conference.localhost"

node = jabot.Node("bot@localhost", allow={"*@localhost": "*"})


@node.task
def uptime() -> str:
    """Tell for how long the machine is up, and how busy it is."""
    return output("uptime")


@node.task
def disk(path: str = "/") -> str:
    """Tell how full a disk is."""
    usage = shutil.disk_usage(path)
    return f"{usage.used / usage.total:.0%} of {usage.total / 1e9:.0f} GB"


@node.task
def memory() -> str:
    """Tell how much memory the machine has."""
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB"


@node.task(timeout="1m")
def run(program: Literal["hostname", "uname", "date"]) -> str:
    """Run a program that is on the list."""
    return output(program)


def output(program: str) -> str:
    """What a program writes; an exit code that is not 0 fails the job."""
    done = subprocess.run([program], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


async def ask_all(room: str, task: str, arguments: list[str], batch: str | None) -> int:
    """Print what each machine replies; how many did not answer."""
    missing = 0
    async with jabot.connect() as app:
        async for reply in app.broadcast(task, *arguments, to=room, timeout="30s", batch=batch):
            if reply.status == "answered":
                print(f"{reply.name}: {reply.result}", flush=True)
            else:
                missing += 1
                print(f"{reply.name}: {reply.status}: {reply.error}", file=sys.stderr)
    return missing


def main() -> None:
    """The program that is here."""
    parser = argparse.ArgumentParser(description="Run a command on all machines of a room.")
    parser.add_argument("--room", default=ROOM, help="the address of the room (%(default)s)")
    parser.add_argument("--batch", help="how many at once: 10, or 25%% of them")
    parser.add_argument("command", help="uptime, disk, memory or run")
    parser.add_argument("arguments", nargs="*", metavar="argument")
    given = parser.parse_args()
    try:
        missing = asyncio.run(ask_all(given.room, given.command, given.arguments, given.batch))
    except KeyboardInterrupt:
        sys.exit(130)
    except jabot.JabotError as error:
        sys.exit(f"Error: {error}")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
