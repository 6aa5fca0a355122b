"""Some programs of another machine, run from here: without a shell, and without an open port.

There, as a user who may do no more than that:

    $ jabot login bot@localhost --server 127.0.0.1
    $ jabot run examples/commands.py

and here:

    $ jabot login app@localhost --server 127.0.0.1
    $ export JABOT_JID=app@localhost
    $ python examples/commands.py                           # what there is
    $ python examples/commands.py search "connection refused"
    $ python examples/commands.py follow syslog             # until Ctrl-C, which ends it there too

Whoever may run a command has it with every argument. An argument stays one argument, whatever is in
it: no shell reads it, and none that begins with a dash is taken, so it cannot become an option.
"""

import argparse
import asyncio
import os
import sys

import jabot

LOGS = os.environ.get("LOGS", "/var/log")

node = jabot.Node("bot@localhost", allow={"*@localhost": "*"})

node.command("uptime", summary="Tell how busy the machine is.")
node.command("df", "-h", "{path=/}", name="disk", summary="Tell how full a disk is.")
node.command(
    *("grep", "-rnI", "-m", "{most=20}", "-e", "{pattern}", "."),
    name="search",
    cwd=LOGS,
    ok=(0, 1),  # 1: nothing was found
    timeout="1m",
    summary="Search the logs.",
)
node.command(
    *("tail", "-n", "{lines=10}", "-F", "{file}"),
    name="follow",
    cwd=LOGS,
    concurrency=4,
    summary="Show what is written to a log.",
)


async def show_commands(pool: str) -> int:
    """Print what this account may run there."""
    async with jabot.connect(to=pool) as app:
        for name, command in sorted((await app.describe()).items()):
            print(" ".join([name, *command.args["properties"]]).ljust(30), command.doc)
    return 0


async def run_command(pool: str, name: str, arguments: list[str]) -> int:
    """Print what a command writes there; its exit code."""
    async with jabot.connect(to=pool) as app:
        job = await app.submit(name, *arguments)
        try:
            async for step in job.progress:
                print(step.text, flush=True)
            code: int = await job
            return code
        finally:
            job.cancel("its caller has left")  # nothing happens to one that is over


def main() -> None:
    """The program that is here."""
    parser = argparse.ArgumentParser(description="Run a command on another machine.")
    parser.add_argument("--to", default="bot@localhost", help="the address of that machine")
    parser.add_argument("command", nargs="?", help="which one; without, they are listed")
    parser.add_argument("arguments", nargs="*", metavar="argument")
    given = parser.parse_args()
    try:
        if given.command is None:
            code = asyncio.run(show_commands(given.to))
        else:
            code = asyncio.run(run_command(given.to, given.command, given.arguments))
    except KeyboardInterrupt:
        code = 130
    except jabot.TaskFailed as error:
        print(str(error).splitlines()[0], file=sys.stderr)  # what it wrote has been printed
        code = 1
    except jabot.JabotError as error:
        sys.exit(f"Error: {error}")
    sys.exit(code)


if __name__ == "__main__":
    main()
