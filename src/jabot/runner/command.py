"""Running a program that is a task (`tasks/command.py`)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from jabot.runner.failure import died
from jabot.runner.job import Job
from jabot.runner.output import Output
from jabot.runner.subprocesses import reading, signal_group
from jabot.tasks.command import Command

_LAUNCH = str(Path(__file__).with_name("launch.py"))
_LAST_OUTPUT = 1.0  # seconds for what the program's own children still write after its end
_CHUNK = 65536  # bytes
_REST = 0.005  # seconds between two full chunks
_LINES_TOLD = 5


async def run_command(job: Job, command: Command, kill_after: float) -> int:
    """Run the program; gives its exit code when it is one of `command.ok`.

    Its output is progress. When this is cancelled, the program's process group gets SIGTERM, and
    SIGKILL after `kill_after` seconds; what it leaves running in its group ends with it, and it
    ends with its node.
    """
    child, told, seen = await _launched(command, command(*job.args, **job.kwargs))
    output = Output(job.report)
    hearing = asyncio.ensure_future(_hear(told))
    copying = asyncio.ensure_future(_copy(seen, output))
    try:
        how = await asyncio.shield(hearing)
        await asyncio.wait([copying], timeout=_LAST_OUTPUT)
    except asyncio.CancelledError:
        signal_group(child, signal.SIGTERM)
        await asyncio.wait([hearing], timeout=kill_after)
        raise
    finally:
        signal_group(child, signal.SIGKILL)  # the launcher leads the group, and waits for this
        copying.cancel()
        await asyncio.gather(child.wait(), hearing, copying, return_exceptions=True)
        output.close()
    return _exit_code(command, how, output)


async def _launched(
    command: Command, arguments: list[str]
) -> tuple[asyncio.subprocess.Process, int, int]:
    """The launcher, and pipes for what it says, and for what the program writes."""
    told, telling = os.pipe()
    seen, showing = os.pipe()
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", _LAUNCH, str(telling), *arguments),
            stdin=asyncio.subprocess.PIPE,
            # No pipe of asyncio's: before the child has ended for it, its pipes must have.
            stdout=showing,
            stderr=showing,
            cwd=command.cwd,
            env=command.environment(),
            pass_fds=[telling],
            start_new_session=True,
        )
    except BaseException:
        os.close(told)
        os.close(seen)
        raise
    finally:
        os.close(telling)
        os.close(showing)
    return child, told, seen


def _exit_code(command: Command, how: str, output: Output) -> int:
    name = command.__name__
    if not how.startswith("="):
        raise died("CommandFailed", f"cannot run {name}: {how[1:] or 'its launcher died'}")
    code = int(how[1:])
    if code in command.ok:
        return code
    reason = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    last = output.last(_LINES_TOLD)
    text = f"{name} ended with {reason}"
    raise died("CommandFailed", f"{text}:\n{last}" if last else text, before=output.last())


async def _hear(descriptor: int) -> str:
    async with reading(descriptor) as stream:
        return (await stream.read()).decode()


async def _copy(descriptor: int, output: Output) -> None:
    async with reading(descriptor) as stream:
        while data := await stream.read(_CHUNK):
            output.feed(data)
            if len(data) == _CHUNK:
                await asyncio.sleep(_REST)  # who floods us waits for us, and not others for both
