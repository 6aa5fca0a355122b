"""A program that gives jobs to nodes, and takes none itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Self

from jabot.account import Account, parse_jid, resolve_account
from jabot.calls import Audience, Calling, Calls
from jabot.calls.calls import closed
from jabot.errors import ConfigError, ConnectionFailed, JabotError
from jabot.jid import JID
from jabot.middleware import Middleware
from jabot.topics import Event, Follower, Following, Place, Publisher, Publishing
from jabot.xmpp import IncomingPresence, IncomingText, Link, Session, SessionListener, Timing
from jabot.xmpp.room import Room, rooms_of
from jabot.xmpp.rooms import Rooms
from jabot.xmpp.stanzas import presence
from jabot.xmpp.topic_stanzas import Notification
from jabot.xmpp.topics import Topics, TopicSettings

log = logging.getLogger(__name__)

_LAST_FRAMES = 2.0  # seconds for nodes to take what was said last, such as a cancel


class Client(Calling, Publisher):
    """See `connect()`."""

    def __init__(
        self,
        account: Account,
        *,
        to: str | JID | None = None,
        rooms: str | Room | Iterable[str | Room] = (),
        middleware: Iterable[Middleware] = (),
        timing: Timing | None = None,
        topics: dict[Place, TopicSettings] | None = None,
    ) -> None:
        self._account = account
        self._rooms = rooms_of(rooms)
        self._default_to = None if to is None else parse_jid(to)
        self._middleware = tuple(middleware)
        self._timing = timing
        self._topics = {} if topics is None else topics
        self._live: _Signed | None = None

    async def __aenter__(self) -> Self:
        """Sign in. Raises `ConnectionFailed` when the first attempt does not succeed."""
        if self._live is not None:
            raise ConfigError("this client is connected already")
        live = _Signed(self._account, self._middleware, self._topics, self._rooms, self._timing)
        await live.sign_in()
        self._live = live
        return self

    async def __aexit__(self, *_: object) -> None:
        """Sign out. Jobs that are under way go on; their handles fail with `ConnectionFailed`."""
        live, self._live = self._live, None
        if live is not None:
            await live.sign_out()

    @property
    def jid(self) -> JID:
        """The full address of this program."""
        return self._signed.session.jid

    async def follow(
        self,
        topics: str | Iterable[str],
        kind: Any = Any,
        *,
        of: str | None = None,
        history: int = 1,
    ) -> AsyncIterator[Event]:
        """What is published to a topic, to all that `sensors/*` stands for, or to several of these,
        as it comes.

        Each payload is converted to the type `kind`; one that does not fit is left out, and the log
        says so. The other arguments are those of `Node.on`. Raises `ConnectionFailed` when this
        program was refused for good, or is closed.

        From the first call on, what people write to the account may come here instead of to a chat
        program, and is lost; the log says who wrote. So it is for accounts that nobody writes to.
        """
        follower = Follower(topics, kind, of=of, history=history)
        leave = follow_with(self, follower)
        try:
            while True:
                yield await follower.next()
        finally:
            leave()

    @property
    def _calls(self) -> Calls:
        return self._signed.calls

    @property
    def _publishing(self) -> Publishing:
        return self._signed.publishing

    @property
    def _audience(self) -> Audience:
        return self._signed.audience

    @property
    def _signed(self) -> _Signed:
        if self._live is None:
            raise JabotError("not connected: use `async with jabot.connect(...) as app:`")
        return self._live


class _Signed(SessionListener):
    """The live parts of a client."""

    def __init__(
        self,
        account: Account,
        middleware: tuple[Middleware, ...],
        settings: dict[Place, TopicSettings],
        rooms: Iterable[Room],
        timing: Timing | None,
    ) -> None:
        self.session = Session(account, self, timing)
        self.link = Link(self.session)
        self.calls = Calls(self.session, self.link, middleware)
        topics = Topics(self.session)
        self.publishing = Publishing(topics, settings)
        self.following = Following(topics)
        # With a negative one, what people say to the account goes to its other programs; and so
        # does what is published, which is told to all that have not.
        self._priority = -1
        self.rooms = Rooms(self.session, mark=None)
        self.audience = Audience(self.session, self.rooms, self.calls)
        for room in rooms:
            self.rooms.enter(room)
        self._first = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def sign_in(self) -> None:
        """Return when the session stands; raise what the first attempt met."""
        self._running = asyncio.create_task(self._run(), name="jabot client")
        first = asyncio.ensure_future(self._first.wait())
        try:
            await asyncio.wait({self._running, first}, return_when="FIRST_COMPLETED")
            if self._running.done():
                self._running.result()
                raise ConnectionFailed("signed out while signing in")
        except BaseException:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            raise
        finally:
            first.cancel()

    def follow(self, follower: Follower) -> None:
        """Follow topics, from now on. Raises why there is no connection any more."""
        if self.calls.closed is not None:
            raise self.calls.closed
        if self._priority < 0:
            self._priority = 0
            self.session.send(presence(priority=0))
        self.following.follow(follower)

    async def sign_out(self) -> None:
        """Let nodes take what was said last, and leave."""
        self._close()
        if self.session.is_online:
            await self.link.drained(_LAST_FRAMES)
        self.link.close()
        self.rooms.close()
        await self.session.stop()
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        """The session, until it is stopped. The first attempt must succeed; later ones may not."""
        try:
            await self.session.run(keep_trying=False)
        except ConnectionFailed as error:
            if self._first.is_set():
                log.error("%s", error)
            self.following.close(error)
            self.calls.close(error)
            raise
        finally:
            self._close()  # however it ended
            self.rooms.close()

    def _close(self) -> None:
        """Have all who wait told that the client was closed, if they were told no other reason."""
        self.following.close(ConnectionFailed("the client was closed"))
        self.calls.close(closed("the client"))

    # -- what the session tells ---------------------------------------------------------------

    def online(self) -> None:
        self.session.send(presence(priority=self._priority))
        self.link.online()
        self.following.online()
        self.rooms.online()
        self._first.set()

    def offline(self) -> None:
        self.rooms.offline()
        self.link.offline()
        self.following.offline()
        self.publishing.offline()

    def text_received(self, text: IncomingText) -> None:
        # While topics are followed, the server may give us what chat programs should have.
        if text.type in ("chat", "normal") and text.sender.bare not in self.rooms:
            log.warning(
                "%s wrote to %s, and the text came to this program, which shows it to nobody and"
                " keeps it nowhere; give programs that follow topics an account that nobody writes"
                " to",
                *(text.sender, self.session.jid.bare),
            )

    def presence_received(self, stanza: IncomingPresence) -> None:
        if self.rooms.received(stanza):
            return
        self.calls.presence_received(stanza)
        self.link.presence_received(stanza)

    def notification_received(self, notification: Notification) -> None:
        self.following.received(notification)


def follow_with(app: Client, follower: Follower) -> Callable[[], None]:
    """Follow topics, for the other faces of a client. What is returned ends it: `follower` gives
    what it has by then, and no more. Raises `ConnectionFailed` like `Client.follow`."""
    live = app._signed
    live.follow(follower)

    def leave() -> None:
        live.following.unfollow(follower)
        follower.end(ConnectionFailed("it is followed no more"))

    return leave


def connect(
    jid: str | None = None,
    *,
    to: str | JID | None = None,
    account: Account | None = None,
    rooms: str | Room | Iterable[str | Room] = (),
    middleware: Iterable[Middleware] = (),
    timing: Timing | None = None,
) -> Client:
    """A client, to be used as `async with jabot.connect("app@example.org") as app:`.

    The account is found as a node finds its own: it is `jid`, else that of `JABOT_JID`, else the
    configured one, with `JABOT_PASSWORD` or the saved password; or it is handed in. `to` is where
    jobs go that name no other address. `rooms` are entered, and stayed in: a broadcast to one of
    them need not enter it first.

    A connection that is lost later is made anew, for ever; jobs survive that. Raises `ConfigError`
    without an account or its password.
    """
    found = account or resolve_account(jid)
    return Client(found, to=to, rooms=rooms, middleware=middleware, timing=timing)
