"""A node that is signed in: the live parts, from the first connect to the farewell."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import msgspec
from msgspec import Raw

from jabot.account import Account
from jabot.alarm import Alarm
from jabot.calls import Audience, Calls
from jabot.calls.calls import closed
from jabot.chat import Chat
from jabot.chat.assembly import Assembly
from jabot.chat.clerk import Clerk
from jabot.chat.direct import Direct
from jabot.chat.menu import Menu
from jabot.chat.obeying import Obeying
from jabot.chat.talk import Talks
from jabot.chat.texts import load
from jabot.consent import Consent
from jabot.definition import Definition
from jabot.employment import Employment
from jabot.errors import ConnectionFailed
from jabot.hooks import Hooks, text_handler
from jabot.intake import Intake
from jabot.jid import JID
from jabot.neighbours import Neighbourhood
from jabot.node_jobs import job_tasks
from jabot.peers import Peer
from jabot.pool import Pool
from jabot.protocol.frames import Hello
from jabot.runner import Desk, Runner
from jabot.status import Status
from jabot.status_topic import StatusTopic
from jabot.topics import Following, Publishing
from jabot.xmpp import IncomingPresence, IncomingText, Link, Session, SessionListener, Timing
from jabot.xmpp.presence import Presence, Welcome
from jabot.xmpp.room_stanzas import NODE, QUEUE
from jabot.xmpp.rooms import Rooms
from jabot.xmpp.shares import Share
from jabot.xmpp.topic_stanzas import Notification
from jabot.xmpp.topics import Topics

log = logging.getLogger(__name__)

_LAST_WAIT = 1.0  # seconds for cancelled jobs to end when the node goes at once
_LOAD_PACE = 0.1  # seconds between two looks at the load; presence has a slower pace of its own
_LAST_FRAMES = 5.0  # seconds for callers to take the outcomes of what ran last


class Serving(SessionListener):
    """One run of a node. `run()` returns when it has left in good order."""

    _is_queue: ClassVar = False

    def __init__(
        self, definition: Definition, account: Account, timing: Timing | None = None
    ) -> None:
        self.definition = definition
        self.wall = (timing or Timing()).wall
        self.hooks = Hooks(definition, self.wall)
        self.session = Session(account, self, timing)
        self.link = Link(self.session)
        self.pool = Pool(is_queue=self._is_queue)
        self.rooms = Rooms(self.session, QUEUE if self._is_queue else NODE)
        self.talks = Talks(self.session)
        self._make_worker()
        self._make_caller()
        self._make_visible()
        for room in definition.rooms:
            self.rooms.enter(room)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._stop = asyncio.Event()
        self.has_started = False  # the on_start hooks are through: it signs in

    def _make_worker(self) -> None:
        """The part that does jobs."""
        definition = self.definition
        self.runner = Runner(
            concurrency=definition.concurrency,
            max_per_caller=definition.jobs_per_caller,
            middleware=definition.middleware,
            on_change=self._load_changed,
        )
        self.desk = Desk(lambda: self.session.jid, definition.tasks, self.runner, definition.access)
        self.status = Status(self.desk, definition.status_fields, lambda: self._offer(None))
        self.desk.add_own(self.status.task(), *job_tasks(self.desk))
        self.intake = self._make_intake()

    def _make_caller(self) -> None:
        """The part that gives jobs to others, publishes and follows."""
        self.calls = Calls(self.session, self.link, self.definition.middleware)
        self.audience = Audience(self.session, self.rooms, self.calls)
        topics = Topics(self.session)
        self.publishing = Publishing(topics, self.definition.topics)
        self.following = Following(topics)

    def _make_visible(self) -> None:
        """What is told of it, and to whom; and who is told of here."""
        self.employment = Employment(
            self.session, self.link, self.intake, self.definition.queues, self._abilities
        )
        self.presence = Presence(
            self.session, self.pool, self._welcome, self._offer, on_joined=self._joined
        )
        self.consent = Consent(self.session, self.desk.knows, self._decides_who_sees)
        self.status_topic = StatusTopic(self.status, self.publishing, self.pool, self.session)
        self.neighbourhood = Neighbourhood(self.rooms, self.definition.on_peer)
        self._announcing: asyncio.Task[None] | None = None
        self._own_status: tuple[str | None, str | None] | None = None
        self._load_due = Alarm(self._show_load)
        self._load_shown = float("-inf")

    @cached_property
    def obeying(self) -> Obeying:
        """What people's lines mean, and with it the door for menus. Made when all is there that a
        clerk of any kind needs."""
        handler = self.definition.on_message
        clerk = self._make_clerk()
        requests = self.session.requests
        self.session.disco.offer(
            Menu(clerk, self.talks, requests, is_room=lambda address: address in self.rooms)
        )
        return Obeying(clerk, on_message=text_handler(handler) if handler is not None else None)

    @cached_property
    def chat(self) -> Chat:
        """The door for lines."""
        return Chat(self.obeying, self.talks, self.session, self.pool)

    @cached_property
    def assembly(self) -> Assembly:
        """The same for lines that are said in rooms."""
        return Assembly(self.obeying, self.rooms, self.session, self.definition.labels)

    async def run(self) -> None:
        """Start, stay until `stop()`, drain, say farewell.

        Raises what an `on_start` hook raises, and `ConnectionFailed` when the server will not have
        this node for good. When it is cancelled, so are its jobs.
        """
        self.rooms.listeners.append(self.assembly)
        stopping = asyncio.ensure_future(self._stop.wait())
        starting = asyncio.ensure_future(self.hooks.start())
        connection: asyncio.Future[None] | None = None
        try:
            await _first(starting, stopping)
            if not starting.done():
                return
            starting.result()
            self.has_started = True
            self._show_load()
            for follower, handler in self.definition.followers:
                self.following.serve(follower(), handler)
            connection = asyncio.ensure_future(self.session.run())
            self.hooks.tick()
            if self.definition.status_topic:
                self.status_topic.start()
            await _first(connection, stopping)
            for timer in self.hooks.ticking:
                timer.cancel()
            await self._leave(connection)
        finally:
            given_up = (starting, stopping, *((connection,) if connection is not None else ()))
            await self._close(*given_up, *self.hooks.ticking)

    async def _close(self, *given_up: asyncio.Future[Any]) -> None:
        """End all that still goes on."""
        self._cancel_announcing()
        self.assembly.close()
        self.chat.close()
        self.obeying.close()
        self.following.close(ConnectionFailed("the node has stopped"))
        for future in given_up:
            future.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        await self.runner.abandon(_LAST_WAIT)
        self._load_due.cancel()
        self.status_topic.close()
        self.calls.close(closed("the node"))
        self.intake.close()
        self.employment.close()
        self.rooms.close()
        self.consent.offline()
        self.neighbourhood.close()
        self.link.close()

    def stop(self) -> None:
        """Leave as soon as what runs is done. May be called many times."""
        if not self._stop.is_set():
            log.info("stopping; jobs to finish: %d", len(self.runner.jobs))
            self.runner.draining = True
            self._stop.set()

    def on_loop(self, function: Callable[..., object], *args: object) -> None:
        """Call it on this node's event loop: now, or soon when this is another thread."""
        if threading.get_ident() == self._thread:
            function(*args)
        else:
            self._loop.call_soon_threadsafe(function, *args)

    def farewell(self) -> None:
        """The last word to everybody who sees this node."""
        self.rooms.farewell(self.definition.farewell)
        self.presence.farewell(self.definition.farewell)

    def set_status(self, show: str | None, text: str | None) -> None:
        """Show this instead of the load; both None: the load again."""
        self._own_status = None if show is None and text is None else (show, text)
        self._show_load()

    async def _leave(self, connection: asyncio.Future[None]) -> None:
        """Finish what runs, call the hooks, and go; raises what ended the connection, if not us."""
        limit = self.definition.drain_limit
        self.runner.draining = True
        self.presence.step_back()
        self.employment.news()  # first of all, so that nothing comes instead of what is handed back
        self.intake.drain()
        await self.runner.drain(limit if not connection.done() else 0)
        await self.hooks.stop(limit)
        self._cancel_announcing()
        if self.session.is_online and not await self.link.drained(_LAST_FRAMES):
            log.warning("left before everybody had taken the outcomes of their jobs")
        await self.status_topic.leave()
        self.farewell()
        await self.session.stop()
        await connection

    def _load_changed(self) -> None:
        """Look at it soon, but not for each of thousands of jobs."""
        if not self._load_due.is_set:
            self._load_due.set(max(self._loop.time(), self._load_shown + _LOAD_PACE))

    def _show_load(self) -> None:
        self._load_shown = self._loop.time()
        self.employment.news()
        self.presence.set(*(self._own_status or self._load()))

    def _load(self) -> tuple[str | None, str | None]:
        """What people see of how busy the node is: `show` and a text."""
        runner = self.runner
        text = load(runner.running, runner.concurrency, runner.waiting)
        if runner.running >= runner.concurrency:
            return "dnd", text
        return None if runner.running else "chat", text

    def _make_clerk(self) -> Clerk:
        return Direct(self.desk, self.talks, self.stop)

    def _make_intake(self) -> Intake:
        return Intake(self.desk, self.link, self.definition.jobs_per_caller)

    def _abilities(self, queue: str) -> Hello:
        """What the node tells a queue of itself, without what it holds. Its slots are those that
        are not taken by what others asked for."""
        defaults = {task.name: task.defaults for task in self.definition.tasks}
        runner = self.runner
        others = max(0, runner.running + runner.waiting - runner.unfinished(queue))
        return Hello(
            [],
            0 if runner.draining else max(0, runner.concurrency - others),
            Raw(msgspec.json.encode(defaults)),
            dict(self.definition.labels),
            self.intake.version,
        )

    def _speaks_for_its_account(self) -> bool:
        """Not where a queue with this account is: people and programs mean that, also while it is
        away, and its rules are others."""
        return self.session.jid.bare not in self.definition.queues

    def _decides_who_sees(self) -> bool:
        """Not while other nodes are there, which may have other rules."""
        return self._speaks_for_its_account() and not self.pool.others

    def _welcome(self, greeter: JID) -> Welcome:
        """Whether somebody is told what this node is, and how busy; or that they may not know."""
        if self._knows(greeter):
            return Welcome.SHOW
        return Welcome.REFUSE if self._speaks_for_its_account() else Welcome.SILENCE

    def _knows(self, greeter: JID) -> bool:
        """Whether somebody may do anything here."""
        return self.desk.knows(greeter)

    def _offer(self, to: JID | None) -> Peer:
        """What the node tells of itself to somebody."""
        return Peer(
            str(self.session.jid),
            frozenset(task.name for task in self.desk.allowed(to)) if to else None,
            self.runner.running,
            self.runner.waiting,
            self.runner.concurrency,
            self.intake.version,
            self.definition.labels,
        )

    # -- what the session tells ------------------------------------------------------------------

    def online(self) -> None:
        self._announcing = asyncio.ensure_future(self.presence.announce())
        self._loop.call_soon(self.link.online)  # after our presence, so that the answers reach us
        self.following.online()
        self._loop.call_soon(self.rooms.online)

    def _joined(self) -> None:
        self.chat.joined()
        self.consent.joined()

    def offline(self) -> None:
        self._cancel_announcing()
        self.presence.lost()
        self.rooms.offline()
        self.consent.offline()
        self.link.offline()
        self.following.offline()
        self.publishing.offline()

    def text_received(self, text: IncomingText) -> None:
        if text.sender.bare in self.rooms:
            self.assembly.received(text)
        else:
            self.chat.received(text)

    def presence_received(self, stanza: IncomingPresence) -> None:
        if stanza.type == "subscribe":
            if self._speaks_for_its_account():  # else it waits for the queue
                self.consent.asked(stanza)
            return
        if self.rooms.received(stanza):
            return
        self.presence.received(stanza)
        self.calls.presence_received(stanza)
        self.employment.presence_received(stanza)
        self.link.presence_received(stanza)

    def notification_received(self, notification: Notification) -> None:
        self.following.received(notification)

    def share_received(self, share: Share) -> None:
        self.assembly.collected(share)

    def _cancel_announcing(self) -> None:
        if self._announcing is not None:
            self._announcing.cancel()
            self._announcing = None


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when="FIRST_COMPLETED")
