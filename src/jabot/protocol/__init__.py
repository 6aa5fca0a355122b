"""The wire between programs: frames, batches, job states and both ends. No I/O, no clock.

In reading order: `frames`, `codec`, `parts`, `states`, `window`, `windows`, then the ends: `caller`
with `caller_states` and `worker` with `worker_states`. docs/protocol.md describes it for those who
write an end in another language.
"""

from jabot.protocol.caller import Caller
from jabot.protocol.caller_jobs import Request
from jabot.protocol.parts import Joiner
from jabot.protocol.window import Batch, Leftover
from jabot.protocol.windows import Windows
from jabot.protocol.worker import Worker
from jabot.protocol.worker_actions import WorkerSettings

__all__ = [
    "Batch",
    "Caller",
    "Joiner",
    "Leftover",
    "Request",
    "Windows",
    "Worker",
    "WorkerSettings",
]
