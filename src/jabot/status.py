"""What a node tells of itself to those who ask: the task `node.status`, and the author's fields."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from jabot.errors import ConfigError
from jabot.jid import JID
from jabot.peers import Peer
from jabot.protocol.frames import Number, Seconds
from jabot.protocol.options import NODE_TASKS
from jabot.runner import Desk
from jabot.tasks import Context, Task
from jabot.tasks.result import encode_result

log = logging.getLogger(__name__)

_MOST_FIELDS: Final = 64
_LONGEST_NAME: Final = 64  # characters
_LARGEST_FIELD: Final = 4096  # bytes of JSON
_MOST_JOBS: Final = 200  # that one answer lists
_LONGEST_MESSAGE: Final = 500  # characters


class RunningJob(msgspec.Struct, frozen=True):
    """A job that has a slot of the node."""

    id: str
    task: str
    caller: str  # the bare address of who asked for it
    since: float  # when the present run began, in seconds since 1970


class LastError(msgspec.Struct, frozen=True):
    """The job of the node that failed last."""

    task: str
    message: str
    at: Seconds  # since 1970


class NodeStatus(msgspec.Struct, frozen=True):
    """What the task `node.status` answers: how busy a node is, and what it runs on.

    At a queue, `running` and `slots` are those of its workers, as far as they are with this node of
    it; the jobs are told by the tasks `queue.*`. Times are seconds since 1970. Whoever reads it
    from a node refuses numbers that no node can have.
    """

    jid: str
    version: str
    host: str
    pid: Number
    uptime: Seconds
    """Seconds since it began to be served."""
    running: Number
    waiting: Number
    slots: Number
    load: float
    stopping: bool
    succeeded: Number | None
    """Jobs that have ended well since it began to be served; None at a queue."""
    failed: Number | None
    """Likewise, jobs that have failed."""
    jobs: list[RunningJob]
    """Those of the asker, oldest first, and of everybody for who manages the node; at most 200."""
    cpu: Seconds
    """Seconds of the processor that the process has used."""
    memory: Number | None
    """Bytes that the process has in memory; None where the system does not tell."""
    last_error: LastError | None
    """Of a job of the asker's, or of anybody's for who manages the node."""
    fields: dict[str, Any]
    """What the node's author tells besides: `node.status_fields`."""


class StatusFields(MutableMapping[str, Any]):
    """What a node's author tells in its status: names and JSON-shaped values, up to 64 of them.

    A value that can be called is called on the event loop whenever somebody asks, and has to be
    quick. From any thread. Raises `ConfigError` for what cannot be told, or is too much.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
            raise ConfigError(
                f"status field {name!r}: its name is a text of 1 to {_LONGEST_NAME} characters"
            )
        try:
            kept = value if callable(value) else _plain(value)
        except ValueError as error:
            raise ConfigError(f"status field {name}: {error}") from None
        with self._lock:
            if name not in self._values and len(self._values) >= _MOST_FIELDS:
                raise ConfigError(f"status field {name}: there are {_MOST_FIELDS} already")
            self._values[name] = kept

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __delitem__(self, name: str) -> None:
        with self._lock:
            del self._values[name]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def read(self) -> dict[str, Any]:
        """The values of this moment; None for what a function could not tell."""
        with self._lock:
            values = dict(self._values)
        return {name: _called(name, value) for name, value in values.items()}


class Status:
    """Tells how a node is. `load` gives its numbers as others see them."""

    def __init__(self, desk: Desk, fields: StatusFields, load: Callable[[], Peer]) -> None:
        self._desk = desk
        self._fields = fields
        self._load = load
        self._started = time.monotonic()

    def task(self) -> Task[..., Any]:
        """The task by which others ask."""

        def status(*, ctx: Context) -> NodeStatus:
            """How the node is: load, running jobs, version, uptime, host, memory, last error."""
            return self.of(ctx.caller)

        return Task(status, name=f"{NODE_TASKS}status")

    def of(self, asker: JID) -> NodeStatus:
        """What this asker is told."""
        desk, peer = self._desk, self._load()
        manages = bool(desk.may_manage(asker))
        failure = desk.runner.last_failure
        told = failure is not None and (manages or failure.caller == asker.bare)
        return NodeStatus(
            jid=peer.jid,
            version=version("jabot"),
            host=socket.gethostname(),
            pid=os.getpid(),
            uptime=time.monotonic() - self._started,
            running=peer.running,
            waiting=peer.waiting,
            slots=peer.slots,
            load=peer.load,
            stopping=desk.runner.draining,
            succeeded=None if peer.queue else desk.runner.succeeded,
            failed=None if peer.queue else desk.runner.failed,
            jobs=[
                RunningJob(job.id, job.task.name, job.caller.bare, job.since)
                for job in desk.jobs_for(asker)
                if job.since is not None
            ][:_MOST_JOBS],
            cpu=time.process_time(),
            memory=_memory(),
            last_error=LastError(failure.task, failure.message[:_LONGEST_MESSAGE], failure.at)
            if failure is not None and told
            else None,
            fields=self._fields.read(),
        )


def _memory() -> int | None:
    """The resident set of this process in bytes; Linux tells."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _plain(value: Any) -> Any:
    """The value as JSON has it, and nobody else's any more. Raises `ValueError`."""
    try:
        text = encode_result(value)
    except (TypeError, ValueError, UnicodeError, RecursionError) as error:
        raise ValueError(f"its value is no JSON: {error}") from None
    if len(text) > _LARGEST_FIELD:
        raise ValueError(f"its value is larger than {_LARGEST_FIELD} bytes of JSON")
    return msgspec.json.decode(text)


def _called(name: str, value: Any) -> Any:
    if not callable(value):
        return value
    try:
        return _plain(value())
    except Exception:
        log.exception("the status field %s could not be told", name)
        return None
