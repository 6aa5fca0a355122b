"""A node: what its author writes, and the way to run it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, ParamSpec, TypeVar, Unpack, overload

from jabot.access import Access, Decision, Rules
from jabot.account import Account, parse_jid, resolve_account
from jabot.calls import Audience, Calling, Calls
from jabot.chat.direct import NAMES
from jabot.errors import ConfigError, JabotError
from jabot.jid import JID
from jabot.mainloop import run_program
from jabot.middleware import Middleware
from jabot.peers import check_labels
from jabot.runner.timers import Timer
from jabot.schedule import Cron, Every, parse_duration
from jabot.serving import Definition, Serving
from jabot.status import StatusFields
from jabot.tasks import Command, Registry, Task, TaskOptions
from jabot.topics import Follower, Handler, Publisher, Publishing
from jabot.xmpp import OutgoingText, Timing
from jabot.xmpp.room import Room, rooms_of

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])
Show = Literal["chat", "away", "xa", "dnd"]

# Seconds. Each time the loop wants the interpreter, it waits for up to this long behind *each* of
# the threads that compute: with Python's 5 ms, ten heavy jobs made an answer take 0.3 to 1 s; with
# this, 0.03 s, and the jobs take no longer (less than a twentieth, measured).
_SWITCH_INTERVAL = 0.0002
# New objects before the garbage collector looks for circles among them. A job is about fifty, and
# leaves no circle: with Python's 700 a twentieth of the time went into looks that found nothing.
_OBJECTS = 20_000


class Node(Calling, Publisher):
    """A program that offers tasks on a Jabber server.

    `jid` is the account to sign in with; without it `JABOT_JID` names one, else the configuration.
    `jabot run --account` goes before it. `allow` says who may run what, and `manage` who may stop
    the node; without them it obeys its own account only (`jabot.access`). `concurrency` is how many
    jobs run at once, `drain_limit` how many seconds running jobs get when the node is to stop,
    `farewell` the last status people see. `queue` is the address of a queue that it works for, or
    several of them. `rooms` are those that it is in, by their addresses or as `Room`; to be in one
    gives nobody there a right. `labels` are what callers may choose nodes by (`where=`).
    With `status_topic` the node tells how it is in the topic `jabot/status` of its account, to that
    account and to those whom `manage` names one by one.
    One account may have `jobs_per_caller` unfinished jobs here; those whose outcome a program has
    not taken yet count, too. A queue that it works for gives it as many as there are slots.

    While it is served, it is a caller as well: `submit`, `map` and the others give jobs to other
    nodes (from coroutines on its loop).

    Raises `ConfigError` for a rule or an option that cannot be used.
    """

    _words: ClassVar[Collection[str]] = NAMES  # that no task may have as its name

    def __init__(  # noqa: PLR0913 - the options of a node, by name
        self,
        jid: str | None = None,
        *,
        allow: Rules | None = None,
        manage: Iterable[str] = (),
        concurrency: int = 8,
        drain_limit: float | str = 30.0,
        farewell: str = "jabot down",
        labels: Mapping[str, str] | None = None,
        jobs_per_caller: int = 50_000,
        middleware: Iterable[Middleware] = (),
        queue: str | Iterable[str] = (),
        rooms: str | Room | Iterable[str | Room] = (),
        status_topic: bool = False,
    ) -> None:
        if concurrency < 1:
            raise ConfigError(f"concurrency is at least 1, not {concurrency}")
        if jobs_per_caller < 1:
            raise ConfigError(f"jobs_per_caller is at least 1, not {jobs_per_caller}")
        self._jid = jid
        self._definition = Definition(
            access=Access(allow, manage),
            concurrency=concurrency,
            drain_limit=parse_duration(drain_limit),
            farewell=farewell,
            tasks=Registry(reserved=self._words),
            jobs_per_caller=jobs_per_caller,
            labels=check_labels(labels or {}),
            middleware=list(middleware),
        )
        for address in (queue,) if isinstance(queue, str) else queue:
            self.work_for(address)
        self._topics = self._definition.topics
        for room in rooms_of(rooms):
            self.join(room)
        if status_topic:
            self.publish_status()
        self._serving: Serving | None = None

    def publish_status(self) -> None:
        """Publish the status as a topic, from the next start on (`status_topic=True`)."""
        self._definition.publish_status()

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
        address = parse_jid(queue)
        if address.resource:
            raise ConfigError(f"queue {queue!r}: leave out the resource, /{address.resource}")
        if address.bare not in self._definition.queues:
            self._definition.queues.append(address.bare)
            self._definition.access.work_for(address.bare)

    # -- what the author writes ------------------------------------------------------------------

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

    # -- what runs -------------------------------------------------------------------------------

    def run(self, account: Account | None = None) -> None:
        """Sign in and serve until SIGTERM or SIGINT; the first drains, the second leaves at once.

        Raises `JabotError` when the node cannot be served. `SystemExit` after the second signal.
        """
        sys.setswitchinterval(min(_SWITCH_INTERVAL, sys.getswitchinterval()))
        if 0 < gc.get_threshold()[0] < _OBJECTS:  # 0: it is off, and stays so
            gc.freeze()  # what was imported stays
            gc.set_threshold(_OBJECTS)
        run_program(lambda: self.serve(account), stop=self.stop, leave=self._leave_now)

    async def serve(self, account: Account | None = None, *, timing: Timing | None = None) -> None:
        """Serve until `stop()`, in a loop of one's own; signals are the caller's business.

        `timing` changes how soon a dead line is noticed and how often a new one is tried.

        Raises `ConfigError` without an account or its password, and `ConnectionFailed` when the
        server refuses this node for good.
        """
        if self._serving is not None:
            raise ConfigError("this node is being served already")
        self._serving = self._make_serving(account or resolve_account(self._jid), timing)
        try:
            await self._serving.run()
        finally:
            self._serving = None

    def stop(self) -> None:
        """Take no more jobs, finish those that run, and leave. From any thread."""
        serving = self._serving
        if serving is not None:
            serving.on_loop(serving.stop)

    def deliver(self, jid: str | JID, text: str) -> None:
        """Send a text to somebody. It is kept until the server has it, over reconnects too.

        From any thread. Raises `ConfigError` for what is no address, and `JabotError` when the node
        is not being served.
        """
        live = self._live
        live.on_loop(live.session.send_text, OutgoingText(parse_jid(jid), text))

    def status(self, show: Show | None = None, text: str | None = None) -> None:
        """Show a status of one's own instead of the load; without arguments, the load again.

        From any thread.
        """
        if show not in (None, "chat", "away", "xa", "dnd"):
            raise ConfigError(f"show is chat, away, xa or dnd (RFC 6121 4.7.2.1), not {show!r}")
        live = self._live
        live.on_loop(live.set_status, show, text)

    @property
    def status_fields(self) -> StatusFields:
        """What the node tells of itself besides, to those who ask for `node.status`.

        `node.status_fields["queue_depth"] = 3`, or a function that is called when somebody asks.
        """
        return self._definition.status_fields

    @property
    def jid(self) -> JID:
        """The full address while the node is being served."""
        return self._live.session.jid

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
    def account_jid(self) -> str | None:
        """The account that the author named."""
        return self._jid

    @property
    def _calls(self) -> Calls:
        live = self._live
        if not live.has_started:
            raise JabotError(
                "the node is not signed in yet; give jobs to others from tasks, timers and "
                "on_message, and not from on_start"
            )
        return live.calls

    @property
    def _publishing(self) -> Publishing:
        return self._live.publishing

    @property
    def _audience(self) -> Audience:
        return self._live.audience

    @property
    def _live(self) -> Serving:
        if self._serving is None:
            raise JabotError("the node is not being served yet; do this in on_start or later")
        return self._serving

    def _make_serving(self, account: Account, timing: Timing | None) -> Serving:
        return Serving(self._definition, account, timing)

    def _timer(self, schedule: Every | Cron) -> Callable[[Callable[[], Any]], Timer]:
        def add(function: Callable[[], Any]) -> Timer:
            timer = Timer(function, schedule)
            self._definition.timers.append(timer)
            return timer

        return add

    def _leave_now(self) -> None:
        """The second signal: no more than a word of farewell."""
        if self._serving is not None:
            self._serving.farewell()
