"""Running a program that is a task (`tasks/command.py`)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from jabot.runner.failure import died
from jabot.runner.job import Job
from jabot.runner.output import Output
from jabot.tasks import Step
from jabot.tasks.command import Command

_LAUNCH = str(Path(__file__).with_name("launch.py"))
_LAST_OUTPUT = 1.0  # seconds for what the program's own children still write after its end
_CHUNK = 65536  # bytes
_REST = 0.005  # seconds between two full chunks
_LINES_TOLD = 5


async def run_command(
    job: Job, command: Command, report: Callable[[Step], None], kill_after: float
) -> int:
    """Run the program; gives its exit code when it is one of `command.ok`.

    Its output is progress. When this is cancelled, the program's process group gets SIGTERM, and
    SIGKILL after `kill_after` seconds; what it leaves running in its group ends with it, and it
    ends with its node.
    """
    arguments = command(*job.args, **job.kwargs)
    reading, writing = os.pipe()
    try:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", _LAUNCH, str(writing), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=command.cwd,
            env=command.environment(),
            pass_fds=[writing],
            start_new_session=True,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    output = Output(report)
    copying = asyncio.ensure_future(_copy(child.stdout, output))
    telling = asyncio.ensure_future(_read_all(reading))
    try:
        told = await asyncio.shield(telling)
        await asyncio.wait([copying], timeout=_LAST_OUTPUT)
    except asyncio.CancelledError:
        os.killpg(child.pid, signal.SIGTERM)
        await asyncio.wait([telling], timeout=kill_after)
        raise
    finally:
        # The launcher leads the group, and is there until it is killed.
        os.killpg(child.pid, signal.SIGKILL)
        copying.cancel()
        await asyncio.gather(child.wait(), telling, copying, return_exceptions=True)
        output.close()
    return _exit_code(command, told, output)


def _exit_code(command: Command, told: str, output: Output) -> int:
    name = command.__name__
    if not told.startswith("="):
        raise died("CommandFailed", f"cannot run {name}: {told[1:] or 'its launcher died'}")
    code = int(told[1:])
    if code in command.ok:
        return code
    reason = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    last = output.last(_LINES_TOLD)
    text = f"{name} ended with {reason}"
    raise died("CommandFailed", f"{text}:\n{last}" if last else text, before=output.last())


async def _copy(stream: asyncio.StreamReader | None, output: Output) -> None:
    while stream is not None and (data := await stream.read(_CHUNK)):
        output.feed(data)
        if len(data) == _CHUNK:
            await asyncio.sleep(_REST)  # a program that floods waits for us, not the node for it


async def _read_all(descriptor: int) -> str:
    stream = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb")
    )
    try:
        return (await stream.read()).decode()
    finally:
        transport.close()
