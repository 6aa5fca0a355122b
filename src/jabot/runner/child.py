"""The other side of `runner/process.py`: the program that runs one task and ends.

It reads one order from standard input, and writes reports, a JSON object a line, to the file
descriptor that its argument names. Standard output stays free for the task's own prints. Nothing is
pickled.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import threading
from typing import Any

import msgspec

from jabot.jid import JID
from jabot.runner.failure import failure_of
from jabot.tasks import Context, Step, Task
from jabot.tasks.result import encode_result


class Order(msgspec.Struct):
    """Which function to run, and with what."""

    module: str
    main_file: str | None  # the file to load when the module is `__main__`
    qualname: str
    path: list[str]
    args: list[Any]
    kwargs: dict[str, Any]
    job_id: str
    caller: str
    attempt: int
    via: str | None = None
    parents: msgspec.Raw = msgspec.Raw(b"null")


class Report(msgspec.Struct, omit_defaults=True):
    """A step, an error or a result."""

    step: tuple[float | None, float | None, str | None] | None = None
    failure: tuple[str, str, str, str] | None = None  # of a `TaskFailed`, all that it says
    result: Any = None


def main() -> None:
    """Run the order that stands on standard input."""
    reports = os.fdopen(int(sys.argv[1]), "wb", buffering=0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that `finally` blocks run
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    threading.Thread(target=_leave_with_the_node, daemon=True).start()

    def send(report: Report) -> None:
        reports.write(msgspec.json.encode(report) + b"\n")

    try:
        task = _load(order)
        result = _call(task, order, send)
        encoded = encode_result(task.signature.check_result(result))
        answer = Report(result=msgspec.Raw(encoded))
    except Exception as error:
        failed = failure_of(error)
        answer = Report(failure=(str(failed), failed.type, failed.message, failed.traceback))
    # Only an exit that takes too long gets it now; no traceback of ours is to stand in there.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    send(answer)


def _load(order: Order) -> Task[..., Any]:
    sys.path[:] = order.path
    if order.main_file is None:
        found: Any = importlib.import_module(order.module)
    else:
        # Under another name, so that the program's `if __name__ == "__main__"` stays asleep.
        spec = importlib.util.spec_from_file_location("__jabot_main__", order.main_file)
        if spec is None or spec.loader is None:
            raise ImportError(f"cannot load {order.main_file}")
        found = importlib.util.module_from_spec(spec)
        sys.modules["__jabot_main__"] = found
        spec.loader.exec_module(found)
    for name in order.qualname.split("."):
        found = getattr(found, name)
    if not isinstance(found, Task):
        raise TypeError(f"{order.module}.{order.qualname} is not a task, but {found!r}")
    return found


def _call(task: Task[..., Any], order: Order, send: Any) -> Any:
    args, kwargs = task.signature.bind(order.args, order.kwargs)
    args, kwargs = task.signature.with_context(
        args,
        kwargs,
        lambda: Context(
            job_id=order.job_id,
            caller=JID(order.caller),
            attempt=order.attempt,
            via=None if order.via is None else JID(order.via),
            parents=bytes(order.parents),
            report=lambda step: send(_step_report(step)),
            is_cancelled=lambda: False,  # a cancelled process gets a signal instead
        ),
    )
    return task.function(*args, **kwargs)


def _step_report(step: Step) -> Report:
    return Report(step=(step.done, step.total, step.text))


def _leave_with_the_node() -> None:
    """Standard input ends when the node is gone, however it went."""
    # Not sys.stdin.read(): Python aborts when it ends while a thread holds that object's lock.
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
