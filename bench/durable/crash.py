"""kill -9 of a worker that holds a job, while another one is ready to take over."""

import contextlib
import itertools
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psutil

from bench.durable.figures import Crash, crash_from
from bench.durable.jobs import JOURNAL, WORKER, Entry, read_journal
from bench.processes import Program, ProgramFailedError
from bench.subjects.durable import DurableSubject

_KILLED, _OTHER = "first", "second"
_HELD = 0  # the job that the killed worker holds for sure
_HELD_FOR = 25.0  # seconds: it is killed long before
_CROWD = (1, 40)  # further jobs, that both workers take
_CROWD_FOR = 0.5  # seconds each
_PROBES = 1_000  # the first of the jobs that show that the other worker works
_PROBE = 0.2  # seconds between them
_AMID = 0.25  # seconds after the crowd was accepted
_START_LIMIT = 20.0
_PATIENCE = 60.0  # until a caller has submitted
_AFTERWARDS = 1.0  # seconds in which a second run of a job would show
_LOOK_EVERY = 0.01


def crash(subject: DurableSubject, cap: float) -> Crash:
    """Kill a worker with all its processes, and watch for at most `cap` seconds.

    The other worker is ready before: what is timed is how long the queue takes to notice.
    """
    journal = subject.servers.folder / f"{subject.name}-{time.time_ns()}.journal"
    with ExitStack() as stack:
        first, address = _worker(subject, _KILLED, journal, stack)
        caller = subject.launch("caller", subject.caller(address))
        stack.callback(caller.stop)
        caller.await_ready()
        caller.order(_PATIENCE, hold=[_HELD, _HELD], seconds=_HELD_FOR)
        if not _await(journal, bool, _START_LIMIT):
            raise ProgramFailedError(f"{subject.name}: no attempt within {_START_LIMIT:.0f} s")
        _worker(subject, _OTHER, journal, stack)
        _see_it_work(caller, journal)
        caller.order(_PATIENCE, hold=_CROWD, seconds=_CROWD_FOR)
        time.sleep(_AMID)
        killed_at = _kill(first)
        jobs = [_HELD, *range(_CROWD[0], _CROWD[1] + 1)]
        _await(journal, lambda entries: _ended(entries) >= set(jobs), cap)
        time.sleep(_AFTERWARDS)
        return crash_from(read_journal(journal), jobs, _HELD, _KILLED, killed_at)


def _worker(
    subject: DurableSubject, name: str, journal: Path, stack: ExitStack
) -> tuple[Program, str]:
    """A worker that is ready, and the address that it said."""
    start = subject.worker()
    names = {WORKER: name, JOURNAL: str(journal)}
    worker = subject.launch(f"worker-{name}", replace(start, environment=start.environment | names))
    stack.callback(worker.stop)
    return worker, worker.await_ready()


def _see_it_work(caller: Program, journal: Path) -> None:
    """Submit jobs until the other worker starts one: only then is it there to take over."""
    for probe in itertools.count(_PROBES):
        caller.order(_PATIENCE, hold=(probe, probe), seconds=0.0)
        if _await(journal, lambda entries: any(each.worker == _OTHER for each in entries), _PROBE):
            return
        if probe > _PROBES + _START_LIMIT / _PROBE:
            raise ProgramFailedError(f"the other worker took no job in {_START_LIMIT:.0f} s")


def _await(journal: Path, is_there: Callable[[list[Entry]], object], limit: float) -> bool:
    deadline = time.monotonic() + limit
    while not is_there(read_journal(journal)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY)
    return True


def _ended(entries: list[Entry]) -> set[int]:
    return {entry.job for entry in entries if entry.what == "end"}


def _kill(worker: Program) -> int:
    """SIGKILL for all processes of a worker, its parent first. When that was, as `time_ns`."""
    root = psutil.Process(worker.pid)
    family = [root, *root.children(recursive=True)]
    killed_at = time.time_ns()
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return killed_at
