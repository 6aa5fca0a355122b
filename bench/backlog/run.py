"""Is a queue with a million waiting jobs as quick as an empty one, and as small?

    .venv/bin/python bench/backlog/run.py [--jobs N] [--store sqlite|postgres] [--json FILE]

A run of both stores with a million jobs writes docs/backlog.json, which `make bench` puts on its
page.

Two queues on one ejabberd, each with a store of its own. One is filled, killed with `kill -9` and
started again. Then they are measured in turns, so that a machine that is slow for a while is slow
for both: jobs are submitted, 1,000 at a time, and a worker comes and does as many. The medians of
the rounds are compared; beside them stands the CPU of the queue's process for one job, which other
programs on the machine change less. Exit code 1 when a target is missed.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[2])

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from bench.processes import Program, usage  # noqa: E402
from bench.servers import Servers  # noqa: E402
from bench.subjects.durable_postgres import DurablePostgres  # noqa: E402
from bench.subjects.durable_sqlite import DurableSqlite  # noqa: E402
from bench.subjects.subject import Start  # noqa: E402

_STORES = {"sqlite": DurableSqlite, "postgres": DurablePostgres}
_ON_DISK = "/var/tmp" if Path("/var/tmp").is_dir() else None  # noqa: S108 - /tmp may be memory
_FIGURES = Path(__file__).resolve().parents[2] / "docs" / "backlog.json"
_JOBS = 1_000_000
_ROUNDS = 5
_WARM_UP = 5_000  # jobs that do not count
_SAMPLE = 20_000  # jobs of one measurement
_LIMIT = 3_600.0  # seconds for one step
_NEAR = 0.8  # of the rate of the empty queue
_MOST_MB = 200.0
_RESTART_S = 5.0

say = Console(stderr=True, highlight=False, soft_wrap=True).print


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench/backlog/run.py", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--jobs", type=int, default=_JOBS, help="the backlog")
    parser.add_argument("--store", choices=_STORES, action="append", help="both when left out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go as well")
    options = parser.parse_args()
    found = {name: measure(name, options.jobs) for name in options.store or _STORES}
    complete = set(found) == set(_STORES) and options.jobs >= _JOBS
    figures = options.json or (_FIGURES if complete else None)
    if figures:
        figures.write_text(json.dumps(found, indent=2) + "\n")
    show(found)
    return 0 if all(each["met"] for each in found.values()) else 1


def measure(store: str, jobs: int) -> dict[str, Any]:
    """All figures of one store."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_ON_DISK)))
        folder.chmod(0o711)  # PostgreSQL runs as another user, in a folder of its own below
        servers = Servers(folder)
        stack.callback(servers.close)
        empty = _Place(_STORES[store](servers), stack)
        full = _Place(_named(_STORES[store], "full")(servers), stack)
        with full.queue() as queue:
            say(f"{store}: {jobs:,} jobs")
            full.submit(jobs)
            memory = usage(queue.pid).rss
            queue.kill()
        say(f"{store}: again")
        queues = {"empty": (empty, stack.enter_context(empty.queue()))}
        with full.first_submit() as answered:
            queues["full"] = (full, stack.enter_context(full.queue()))
            restart = answered()
        for place, _ in queues.values():
            place.submit(_WARM_UP)
            place.work(_WARM_UP)
        rounds = []
        for number in range(1, _ROUNDS + 1):
            say(f"{store}: round {number}/{_ROUNDS}")
            rounds.append({name: _measured(*each) for name, each in queues.items()})
        memory = max(memory, usage(queues["full"][1].pid).rss)
    return _figures(jobs, rounds, memory, restart)


def _measured(place: "_Place", queue: Program) -> dict[str, float]:
    """One round of one queue: jobs a second, and microseconds of the queue's CPU for a job."""
    before = usage(queue.pid).cpu
    submit = _SAMPLE / place.submit(_SAMPLE)
    between = usage(queue.pid).cpu
    dispatch = place.work(_SAMPLE)
    after = usage(queue.pid).cpu
    return {
        "submit": submit,
        "dispatch": dispatch,
        "submit_cpu_us": (between - before) / _SAMPLE * 1e6,
        "dispatch_cpu_us": (after - between) / _SAMPLE * 1e6,
    }


def _figures(
    jobs: int, rounds: list[dict[str, dict[str, float]]], memory: float, restart: float
) -> dict[str, Any]:
    medians = {
        name: {each: median(one[name][each] for one in rounds) for each in rounds[0][name]}
        for name in ("empty", "full")
    }
    ratio = {each: medians["full"][each] / medians["empty"][each] for each in medians["full"]}
    near = min(ratio["submit"], ratio["dispatch"]) >= _NEAR
    return {
        "jobs": jobs,
        "rounds": rounds,
        **medians,
        "ratio": ratio,
        "memory_mb": memory,
        "restart_s": restart,
        "met": near and memory < _MOST_MB and restart < _RESTART_S,
    }


def _named(subject: type[DurableSqlite], word: str) -> type[DurableSqlite]:
    """The same with accounts and files of its own."""
    return type(subject.__name__, (subject,), {"name": f"{subject.name}_{word}"})


class _Place:
    """The servers and accounts around a queue, whose store stays."""

    def __init__(self, subject: DurableSqlite, stack: ExitStack) -> None:
        self._subject = subject
        self._store, _ = subject.store(stack)

    @contextmanager
    def queue(self) -> Iterator[Program]:
        queue = self._subject.launch("queue", self._subject.queue(self._store))
        try:
            queue.await_ready()
            yield queue
        finally:
            queue.stop()

    def submit(self, jobs: int) -> float:
        """Seconds until the queue has so many more."""
        caller = self._program("caller", self._subject.caller(""))
        try:
            caller.await_ready()
            return float(caller.order(_LIMIT, submit=jobs)["seconds"])
        finally:
            caller.stop()

    @contextmanager
    def first_submit(self) -> Iterator[Callable[[], float]]:
        """What is called tells after how many seconds a caller was answered that waits from now
        on."""
        caller = self._program("caller", self._subject.caller(""))
        try:
            caller.await_ready()
            begin = time.monotonic()

            def answered() -> float:
                caller.order(_LIMIT, submit=1)
                return time.monotonic() - begin

            yield answered
        finally:
            caller.stop()

    def work(self, jobs: int) -> float:
        """Jobs a second of a worker that does so many and leaves."""
        worker = self._program("worker", self._subject.worker())
        try:
            worker.await_ready()
            answer = worker.order(_LIMIT, jobs=jobs)
            return float(answer["jobs"] / answer["seconds"])
        finally:
            worker.stop()

    def _program(self, role: str, start: Start) -> Program:
        """A script of this folder in place of the subject's."""
        program, _, *arguments = start.command
        script = str(Path(__file__).with_name(f"{role}.py"))
        return self._subject.launch(role, Start([program, script, *arguments], start.environment))


def show(found: dict[str, dict[str, Any]]) -> None:
    """A table for a person."""
    kinds = {"submit": "submit/s", "dispatch": "dispatch/s"}
    kinds |= {f"{kind}_cpu_us": f"us of CPU a {kind}" for kind in tuple(kinds)}
    table = Table("", *found, title="Empty → with the backlog (ratio)", title_justify="left")
    for kind, text in kinds.items():
        table.add_row(
            text,
            *(
                f"{each['empty'][kind]:,.0f} → {each['full'][kind]:,.0f} "
                f"({each['ratio'][kind]:.2f})"
                for each in found.values()
            ),
        )
    table.add_row("jobs that wait", *(f"{each['jobs']:,}" for each in found.values()))
    table.add_row("memory", *(f"{each['memory_mb']:.0f} MB" for each in found.values()))
    table.add_row("restart", *(f"{each['restart_s']:.2f} s" for each in found.values()))
    table.add_row("met", *("yes" if each["met"] else "no" for each in found.values()))
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
