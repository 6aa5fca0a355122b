"""What an author writes of a node: its tasks, its timers, its hooks, and where it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, Unpack, overload

from jabot.access import Decision
from jabot.account import parse_jid
from jabot.definition import Definition
from jabot.errors import ConfigError
from jabot.jid import JID
from jabot.middleware import Middleware
from jabot.runner.timers import Timer
from jabot.schedule import Cron, Every, parse_duration
from jabot.status import StatusFields
from jabot.status_topic import STATUS_TOPIC, status_settings
from jabot.tasks import Command, Registry, Task, TaskOptions
from jabot.topics import Follower, Handler
from jabot.xmpp.room import Room, rooms_of

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Authoring:
    """What is said of a node before it is served, by its author and by `jabot run`."""

    _definition: Definition

    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...

    @overload
    def task(
        self, /, *, process: bool = False, **options: Unpack[TaskOptions]
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...

    def task(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Offer a function as a task, under its own name or `name`.

        A coroutine function and an async generator run on the event loop, a plain function and a
        generator in a thread, with `process=True` a plain function in a process of its own. Each
        `yield` of a generator is progress. The other options are those of `TaskOptions`
        (`jabot.tasks`).
        """

        def offer(function: Callable[..., Any]) -> Task[..., Any]:
            task = Task(function, **options)
            self._definition.tasks.add(task)
            return task

        return offer if function is None else offer(function)

    def command(
        self,
        program: str,
        *arguments: str,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        ok: Collection[int] = (0,),
        dashes: bool = False,
        summary: str | None = None,
        **options: Unpack[TaskOptions],
    ) -> Task[..., int]:
        """Offer a program: `node.command("ffmpeg", "-i", "{src}", "-r", "{rate=25}", "{to}")`.

        The callers give the placeholders, all of them texts; `{rate=25}` has a default, and a brace
        is written twice. Each argument stays one argument, whatever a value holds: no shell reads
        it. A value that would make one begin with a dash, and so an option, is refused unless
        `dashes` is True. What the program writes is progress; its exit code is the result if it is
        in `ok`, else the job fails. `env` is added to the node's environment, of which the program
        does not get what begins with `JABOT_`. `summary` is its line in `help`. The task has the
        program's name unless `name` gives another; the other options are those of `task`.
        """
        command: Callable[..., Any] = Command(
            program, arguments, cwd=cwd, env=env, ok=ok, dashes=dashes, summary=summary
        )
        return self.task(**options)(command)

    def every(self, interval: float | str) -> Callable[[Callable[[], Any]], Timer]:
        """Call the function each `interval` (seconds, or a text as `"1s"` or `"1h 30m"`).

        The first call comes one interval after the start. Calls do not overlap. The function is
        replaced by a timer with a `cancel()`.
        """
        return self._timer(Every(parse_duration(interval)))

    def cron(self, line: str, zone: tzinfo | None = None) -> Callable[[Callable[[], Any]], Timer]:
        """Call the function when the cron line says so, in the machine's time zone or `zone`."""
        return self._timer(Cron(line, zone))

    def on_start(self, function: F) -> F:
        """Call the function before the node signs in; what it raises keeps the node from it."""
        self._definition.on_start.append(function)
        return function

    def on_stop(self, function: F) -> F:
        """Call the function when the last job is done, before the farewell."""
        self._definition.on_stop.append(function)
        return function

    def on_peer(self, function: F) -> F:
        """Call the function with the `Neighbours` in a room whenever these are others than before:
        when this node comes into one of its rooms or is out of it, and when another one comes or
        goes. A node whose process dies is gone at once, one whose machine does when its server
        notices. Calls do not overlap.
        """
        self._definition.on_peer.append(function)
        return function

    def on_message(self, function: F) -> F:
        """Call the function with a `Message` for free text that is no command.

        A text that it returns is the answer. Only people with some right on the node get here.
        """
        if self._definition.on_message is not None:
            raise ConfigError("there is an on_message function already")
        self._definition.on_message = function
        return function

    def on(
        self, topics: str | Iterable[str], *, of: str | None = None, history: int = 1
    ) -> Callable[[F], F]:
        """Call the function with what is published to a topic, to all that `sensors/*` stands for
        (`*` is one word, a `**` at the end all that follow), or to several of these.

        Its argument is what was published, converted to the type that it is annotated with; a
        parameter annotated `Event` gets the `Event`. The newest `history` events of before are told
        at the beginning, and after a reconnect what was missed, as far as the topic keeps it. `of`
        is the account whose own topics are meant (PEP). Calls do not overlap.
        """

        several = (topics,) if isinstance(topics, str) else tuple(topics)

        def add(function: F) -> F:
            handler = Handler.of(function)
            follower = partial(Follower, several, handler.kind, of=of, history=history)
            follower()  # what is wrong is said now
            self._definition.followers.append((follower, handler))
            return function

        return add

    def publish_status(self) -> None:
        """Publish the status as a topic, from the next start on (`status_topic=True`)."""
        settings = status_settings(self._definition.access.managers)
        self._definition.topics[True, STATUS_TOPIC] = settings
        self._definition.status_topic = True

    def join(self, room: str | Room) -> None:
        """Be in this room as well, from the next start on.

        It is created where it is missing. Raises `ConfigError` for what is no address of a room.
        """
        (wanted,) = rooms_of(room)
        if wanted.address not in [known.address for known in self._definition.rooms]:
            self._definition.rooms.append(wanted)

    def work_for(self, queue: str) -> None:
        """Take jobs from this queue as well, from the next start on.

        What it asks is done, whatever `allow` says. Raises `ConfigError` for what is no address.
        """
        address = queue_address(queue)
        if address not in self._definition.queues:
            self._definition.queues.append(address)
            self._definition.access.work_for(address)

    @property
    def tasks(self) -> Registry:
        """What the node offers."""
        return self._definition.tasks

    def can(self, own: JID, caller: JID, task: str) -> Decision:
        """Whether `caller` could run `task` on this node if it were signed in as `own`."""
        if task == "exit":
            return self._definition.access.may_manage(own, caller)
        return self._definition.access.may_run(own, caller, task)

    @property
    def middleware(self) -> list[Middleware]:
        """What is called around its jobs; what is put in before the node is served counts."""
        return self._definition.middleware

    @property
    def queues(self) -> list[str]:
        """The addresses of the queues that it works for."""
        return self._definition.queues

    @property
    def status_fields(self) -> StatusFields:
        """What the node tells of itself besides, to those who ask for `node.status`.

        `node.status_fields["queue_depth"] = 3`, or a function that is called when somebody asks.
        """
        return self._definition.status_fields

    def _timer(self, schedule: Every | Cron) -> Callable[[Callable[[], Any]], Timer]:
        def add(function: Callable[[], Any]) -> Timer:
            timer = Timer(function, schedule)
            self._definition.timers.append(timer)
            return timer

        return add


def queue_address(text: str) -> str:
    """That of a queue to work for; raises `ConfigError` for what is none."""
    address = parse_jid(text)
    if address.resource:
        raise ConfigError(f"queue {text!r}: leave out the resource, /{address.resource}")
    return str(address.bare)
