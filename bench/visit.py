"""One visit to one subject: a fresh worker and a fresh caller, and every load once."""

import time
from contextlib import ExitStack
from typing import Any

from bench.figures import Idle, Load, Visit, percentile
from bench.plan import Plan
from bench.processes import Usage, usage
from bench.subjects import Subject

PATIENCE = 90.0  # seconds over the time of a load: what is in flight has to come back
CALLER_LIMIT = 45.0  # seconds until a caller has signed in
WARM_UP_LOAD = 100


def visit(subject: Subject, plan: Plan) -> Visit:
    """Raises `ProgramFailedError` when one of the processes does not do its part."""
    with ExitStack() as stack:
        server = subject.server_pid()
        worker = subject.launch("worker", subject.worker())
        stack.callback(worker.stop)
        address = worker.await_ready()
        idle = _watch(worker.pid, plan) if subject.watches_idle and plan.idle else None
        caller = subject.launch("caller", subject.caller(address))
        stack.callback(caller.stop)
        caller.await_ready(CALLER_LIMIT)
        pids = {"caller": caller.pid, "worker": worker.pid, "server": server}
        caller.order(PATIENCE, in_flight=WARM_UP_LOAD, seconds=plan.warm_up)
        loads = []
        for in_flight, seconds in plan.loads_up_to(subject.most_in_flight).items():
            before = {process: usage(pid) for process, pid in pids.items()}
            answer = caller.order(seconds + PATIENCE, in_flight=in_flight, seconds=seconds)
            after = {process: usage(pid) for process, pid in pids.items()}
            loads.append(load_from(in_flight, answer, before, after))
        return Visit(loads, idle)


def _watch(pid: int, plan: Plan) -> Idle:
    time.sleep(plan.settle)
    before, begin = usage(pid), time.perf_counter()
    time.sleep(plan.idle)
    after, seconds = usage(pid), time.perf_counter() - begin
    return Idle(100 * (after.cpu - before.cpu) / seconds, after.rss)


def load_from(
    in_flight: int, answer: dict[str, Any], before: dict[str, Usage], after: dict[str, Usage]
) -> Load:
    """The figures of a load, from what the caller answered and what its processes used up."""
    jobs, latencies = answer["jobs"], answer["latencies"]
    return Load(
        in_flight=in_flight,
        jobs_per_s=jobs / answer["seconds"],
        cpu_s_per_1000={
            process: 1000 * (after[process].cpu - before[process].cpu) / jobs for process in after
        },
        memory_mb={process: after[process].memory for process in after},
        rtt_p50_ms=1000 * percentile(latencies, 50) if latencies else None,
        rtt_p99_ms=1000 * percentile(latencies, 99) if latencies else None,
    )
