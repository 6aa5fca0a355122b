"""What a durable subject is: a queue that has a job on disk before anything else happens to it."""

from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from typing import ClassVar

from bench.subjects.subject import Subject


class DurableSubject(Subject):
    """One way to have jobs kept on disk until a worker has run them.

    Its worker offers `echo`, `clock` and `hold` of `durable/jobs.py`, its caller answers the orders
    of `durable/orders.py`. Both are started several times in one visit, `worker` also twice at
    the same time.
    """

    on_disk: ClassVar[str]  # what is on disk once a submit has returned, in a few words

    @abstractmethod
    def open(self, stack: ExitStack) -> Sequence[int]:
        """Start the servers, with nothing in them, and say which processes they are.

        A visit ends them through `stack`: what a killed worker leaves behind is not to come back
        in the next one.
        """

    def server_pid(self) -> int:
        raise NotImplementedError("durable subjects are opened, and may have several servers")
