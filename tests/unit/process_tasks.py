"""Tasks for processes, which import them by name."""

import atexit
import datetime as dt
import functools
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from jabot import Context
from jabot.tasks import Task

process = functools.partial(Task, process=True)


@dataclass
class Point:
    x: int
    y: int


@process
def where(ctx: Context, day: dt.date, point: Point, names: dict[int, str]) -> dict[int, str]:
    print("prints do not disturb")
    ctx.progress(1, 2, f"{day:%d.%m.} für {ctx.caller}")
    return {os.getppid(): f"{ctx.job_id} {point.x + point.y} {names[7]}"}


@process
def family(ctx: Context) -> list[str]:
    return [str(ctx.caller), str(ctx.via), *ctx.parents]


@process
def quiet() -> None: ...


@process
def says_goodbye(path: str) -> None:
    def goodbye() -> None:
        time.sleep(0.2)  # in which the node would like it to end
        Path(path).touch()

    atexit.register(goodbye)


@process
def leaves_a_thread(seconds: float) -> int:
    ThreadPoolExecutor(1).submit(time.sleep, seconds)
    return 8


@process
def starts_one_at_its_exit(path: str) -> None:
    """Which writes down what SIGTERM does to it."""
    say = f"import pathlib, signal; pathlib.Path({path!r}).write_text(str(signal.getsignal(15)))"
    atexit.register(subprocess.run, [sys.executable, "-c", say], check=True)


@process
def raises() -> None:
    raise ValueError("größer")


@process
def leaves() -> None:
    sys.exit(3)


@process
def dies() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@process
def breaks_its_promise() -> int:
    return "text"


@process
def gives_no_number() -> list[float]:
    return [1.0, float("nan")]


@process
def tidies_up(path: str, *, ctx: Context) -> None:
    try:
        ctx.progress(text="ready")
        time.sleep(600)
    finally:
        with open(path, "w") as file:  # noqa: PTH123
            file.write("tidy")


@process
def stubborn(*, ctx: Context) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctx.progress(text="ready")
    time.sleep(600)


STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
held = open(sys.argv[1], "w")
print("ready", flush=True)
time.sleep(600)
"""


@process
def starts_a_stubborn_one(path: str, stays: bool, *, ctx: Context) -> None:
    command = [sys.executable, "-c", STUBBORN, path]
    started = subprocess.Popen(command, stdout=subprocess.PIPE)
    started.stdout.readline()
    ctx.progress(text=str(started.pid))
    if stays:
        time.sleep(600)


NEGLECTFUL = """
import os, sys
held = open(sys.argv[1])
child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
os.setsid()
print("ready", flush=True)
held.read()
"""


@process
def leaves_a_zombie(pipe: str) -> None:
    """In its process group, of a parent that is in another and does not collect it."""
    command = [sys.executable, "-c", NEGLECTFUL, pipe]
    started = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert started.stdout.readline() == b"ready\n"


@process
def holds_open(path: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write("x")
        file.flush()
        time.sleep(600)
