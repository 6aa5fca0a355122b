"""A node: what it is made with, and the way to run it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Literal

from jabot.access import Access, Rules
from jabot.account import Account, parse_jid, resolve_account
from jabot.authoring import Authoring
from jabot.calls import Audience, Calling, Calls
from jabot.chat.direct import NAMES
from jabot.definition import Definition
from jabot.errors import ConfigError, JabotError
from jabot.jid import JID
from jabot.mainloop import run_program
from jabot.middleware import Middleware
from jabot.peers import check_labels
from jabot.schedule import parse_duration
from jabot.serving import Serving
from jabot.tasks import Registry
from jabot.topics import Publisher, Publishing
from jabot.xmpp import OutgoingText, Timing
from jabot.xmpp.room import Room, rooms_of

Show = Literal["chat", "away", "xa", "dnd"]

# Seconds. Each time the loop wants the interpreter, it waits for up to this long behind *each* of
# the threads that compute: with Python's 5 ms, ten heavy jobs made an answer take 0.3 to 1 s; with
# this, 0.03 s, and the jobs take no longer (less than a twentieth, measured).
_SWITCH_INTERVAL = 0.0002
# New objects before the garbage collector looks for circles among them. A job is about fifty, and
# leaves no circle: with Python's 700 a twentieth of the time went into looks that found nothing.
_OBJECTS = 20_000


class Node(Authoring, Calling, Publisher):
    """A program that offers tasks on a Jabber server.

    `jid` is the account to sign in with; without it `JABOT_JID` names one, else the configuration.
    `jabot run --account` goes before it. `allow` says who may run what, and `manage` who may stop
    the node and handle everybody's jobs; without them it obeys its own account only
    (`jabot.access`). `concurrency` is how many jobs run at once, `drain_limit` how many seconds
    jobs get when the node is to stop, `farewell` the last status people see. `queue` is the address
    of a queue that it works for, or several of them. `rooms` are those that it is in, by their
    addresses or as `Room`; to be in one gives nobody there a right. `labels` are what callers may
    choose nodes by (`where=`).
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

        `timing` changes how soon a dead line is noticed and how often a new one is tried, and may
        bring another clock for the date.

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
    def jid(self) -> JID:
        """The full address while the node is being served."""
        return self._live.session.jid

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
        serving = Serving(self._definition, account, timing)
        self._definition.check(serving.desk.own_tasks)
        return serving

    def _leave_now(self) -> None:
        """The second signal: no more than a word of farewell."""
        if self._serving is not None:
            self._serving.farewell()
