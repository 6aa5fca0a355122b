"""Tasks for processes, which import them by name."""

import functools
import time

from jabot import Context, Task

process = functools.partial(Task, process=True)


@process
def sleep(*, ctx: Context) -> None:
    ctx.progress(text="begun")
    time.sleep(3600)


@process
def lift_in_vain() -> None:
    raise ZeroDivisionError("in vain")
