"""Is a queue with a million waiting jobs as quick as an empty one, and as small?

    .venv/bin/python bench/backlog/run.py [--jobs N] [--store sqlite|postgres] [--json FILE]

A queue process, a caller and a worker, through ejabberd. First on the empty queue: jobs are
submitted, 1,000 at a time, then a worker comes and does them. Then the backlog is submitted, the
queue is killed with `kill -9` and started again, and the same is measured with the backlog in it.
The last submits of the backlog stand for its submit rate. Exit code 1 when a target is missed.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
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
    parser.add_argument("--jobs", type=int, default=1_000_000, help="the backlog")
    parser.add_argument("--store", choices=_STORES, action="append", help="both when left out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go as well")
    options = parser.parse_args()
    found = {name: measure(name, options.jobs) for name in options.store or _STORES}
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    show(found)
    return 0 if all(each["met"] for each in found.values()) else 1


def measure(store: str, jobs: int) -> dict[str, Any]:
    """All figures of one store."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_ON_DISK)))
        folder.chmod(0o711)  # PostgreSQL runs as another user, in a folder of its own below
        servers = Servers(folder)
        stack.callback(servers.close)
        place = _Place(_STORES[store](servers), stack)
        say(f"{store}: an empty queue")
        with place.queue() as queue:
            place.submit(_WARM_UP)
            place.work(_WARM_UP)
            empty_submit = _SAMPLE / place.submit(_SAMPLE)
            empty_dispatch = place.work(_SAMPLE)
            say(f"{store}: {jobs:,} jobs")
            place.submit(jobs - _SAMPLE)
            full_submit = _SAMPLE / place.submit(_SAMPLE)
            memory = usage(queue.pid).rss
            queue.kill()
        say(f"{store}: again")
        with place.first_submit() as answered, place.queue() as queue:
            restart = answered()
            full_dispatch = place.work(_SAMPLE)
            memory = max(memory, usage(queue.pid).rss)
    near = min(full_submit / empty_submit, full_dispatch / empty_dispatch)
    return {
        "jobs": jobs,
        "submit_per_s": {"empty": round(empty_submit), "full": round(full_submit)},
        "dispatch_per_s": {"empty": round(empty_dispatch), "full": round(full_dispatch)},
        "memory_mb": round(memory, 1),
        "restart_s": round(restart, 2),
        "met": near >= _NEAR and memory < _MOST_MB and restart < _RESTART_S,
    }


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
    heads = [
        "",
        "submit/s",
        "with backlog",
        "dispatch/s",
        "with backlog",
        "memory",
        "restart",
        "met",
    ]
    table = Table(*heads, title="Empty, and with a backlog", title_justify="left")
    for name, each in found.items():
        table.add_row(
            f"{name}, {each['jobs']:,}",
            *(
                f"{each[kind][when]:,}"
                for kind in ("submit_per_s", "dispatch_per_s")
                for when in ("empty", "full")
            ),
            f"{each['memory_mb']:.0f} MB",
            f"{each['restart_s']:.2f} s",
            "yes" if each["met"] else "no",
        )
    Console(highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(main())
