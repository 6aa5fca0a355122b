"""Running a task in a process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from functools import partial
from typing import Any

import msgspec

from jabot.errors import TaskFailed
from jabot.runner.child import Order, Report
from jabot.runner.failure import died
from jabot.runner.job import Job
from jabot.runner.subprocesses import only_zombies, reading, signal_group
from jabot.runner.threads import run_in_thread
from jabot.tasks import Step

_LINE_LIMIT = 32 * 1024 * 1024  # bytes; the largest result with room for JSON around it
_OWN_EXIT = 1.0  # seconds in which a child that has answered may end by itself
_LOOK = 0.02  # seconds between the first two looks whether what the child started is gone, too
_LOOK_MOST = 0.32  # later ones are rarer: each goes through all processes of the machine


async def run_in_process(job: Job, kill_after: float) -> Any:
    """Run the job in a child; gives the JSON-shaped result or raises what the child raised.

    When this is cancelled, the child gets SIGTERM, and SIGKILL after `kill_after` seconds; so does
    a child that has not ended a second after its answer. What it has started gets both as well,
    also when the child ends by itself. A child that dies is a `TaskFailed`. A child whose node dies
    ends by itself.
    """
    told, telling = os.pipe()
    try:
        child = await asyncio.create_subprocess_exec(
            # Not -m, which complains that the module is part of the package already.
            *(sys.executable, "-c", "from jabot.runner import child; child.main()", str(telling)),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=[telling],
            start_new_session=True,  # a Ctrl-C on the terminal is for the node alone
        )
    except BaseException:
        os.close(told)
        raise
    finally:
        os.close(telling)
    own_exit = _OWN_EXIT
    try:
        return await _converse(child, told, job)
    except asyncio.CancelledError:
        own_exit = 0.0
        raise
    finally:
        await _end(child, own_exit, kill_after)


async def _converse(child: asyncio.subprocess.Process, descriptor: int, job: Job) -> Any:
    try:
        async with reading(descriptor, _LINE_LIMIT) as stream:
            if child.stdin is not None:
                child.stdin.write(msgspec.json.encode(_order(job)) + b"\n")
            while line := await stream.readline():
                message = msgspec.json.decode(line, type=Report)
                if message.step is not None:
                    job.report(Step(*message.step))
                elif message.failure is not None:
                    text, kind, said, traceback = message.failure
                    raise TaskFailed(text, kind=kind, message=said, traceback=traceback)
                else:
                    return message.result
    except ValueError as error:
        text = f"the process answered with more than {_LINE_LIMIT} bytes"
        raise died("TooLarge", text) from error
    code = await child.wait()
    reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    raise died("ProcessDied", f"the process of {job.task.name} died ({reason})")


def _order(job: Job) -> Order:
    function = job.task.function
    main = sys.modules["__main__"]
    return Order(
        module=function.__module__,
        main_file=getattr(main, "__file__", None) if function.__module__ == "__main__" else None,
        qualname=function.__qualname__,
        path=sys.path,
        args=msgspec.to_builtins(job.args),
        kwargs=msgspec.to_builtins(job.kwargs),
        job_id=job.id,
        caller=str(job.caller),
        attempt=job.attempt,
        via=None if job.options.via is None else str(job.options.via),
        parents=msgspec.Raw(job.options.parents),
    )


async def _end(child: asyncio.subprocess.Process, own_exit: float, kill_after: float) -> None:
    """See the child off, and whatever it started: they share a process group.

    A signal would cut short what the child does at its exit, so it has `own_exit` seconds for that.
    Of a child that is gone, what it started may be left, and the group bears its number.
    """
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(own_exit):
                await child.wait()
        signal_group(child, signal.SIGTERM)
        async with asyncio.timeout(kill_after):
            await _all_gone(child)
    except (TimeoutError, asyncio.CancelledError):
        signal_group(child, signal.SIGKILL)
        await child.wait()


async def _all_gone(child: asyncio.subprocess.Process) -> None:
    await child.wait()
    pause = _LOOK
    while signal_group(child, 0):
        if await run_in_thread(partial(only_zombies, child), "jabot zombies"):
            signal_group(child, signal.SIGKILL)  # one may have started another, unseen
            return
        await asyncio.sleep(pause)  # nobody tells when a process group ends
        pause = min(2 * pause, _LOOK_MOST)
