"""The caller's side: jobs that this program gives to others.

In reading order: `calling` (what users call), `options`, `calls` (the protocol's caller over a
link), `placing` (which node gets a job), `directory` (who is there), `job` (the handle). Beside
them `descriptions` (what nodes offer); for many nodes at once `broadcast`, with `audience` (who is
meant); `watch` and `faces` for the command line.
"""

from jabot.calls.audience import Audience
from jabot.calls.broadcast import Broadcast, Reply
from jabot.calls.calling import Calling
from jabot.calls.calls import Calls
from jabot.calls.faces import begin
from jabot.calls.job import Job

__all__ = ["Audience", "Broadcast", "Calling", "Calls", "Job", "Reply", "begin"]
