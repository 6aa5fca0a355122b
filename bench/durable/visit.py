"""One visit to one durable subject: fresh servers, a worker and a caller, a load, and a crash."""

from contextlib import ExitStack

from bench.durable.crash import crash
from bench.durable.figures import DurableVisit, starts_ms
from bench.plan import Plan
from bench.processes import usage_of
from bench.subjects.durable import DurableSubject
from bench.visit import CALLER_LIMIT, PATIENCE, WARM_UP_LOAD, load_from


def durable_visit(subject: DurableSubject, plan: Plan, *, with_crash: bool) -> DurableVisit:
    """Raises `ProgramFailedError` when one of the processes does not do its part."""
    with ExitStack() as servers:
        server = subject.open(servers)
        with ExitStack() as stack:
            worker = subject.launch("worker", subject.worker())
            stack.callback(worker.stop)
            caller = subject.launch("caller", subject.caller(worker.await_ready()))
            stack.callback(caller.stop)
            caller.await_ready(CALLER_LIMIT)
            pids = {"caller": [caller.pid], "worker": [worker.pid], "server": server}
            caller.order(PATIENCE, in_flight=WARM_UP_LOAD, seconds=plan.warm_up)
            answer = caller.order(plan.starts + PATIENCE, starts=plan.starts)
            p50, p99 = starts_ms(answer["starts"])
            loads = []
            for in_flight, seconds in plan.durable_loads.items():
                before = {process: usage_of(each) for process, each in pids.items()}
                answer = caller.order(seconds + PATIENCE, in_flight=in_flight, seconds=seconds)
                after = {process: usage_of(each) for process, each in pids.items()}
                loads.append(load_from(in_flight, answer, before, after))
        crashed = crash(subject, plan.recovery_cap) if with_crash else None
    return DurableVisit(loads, start_p50_ms=p50, start_p99_ms=p99, crash=crashed)
