"""The link: frames go to peers in batches, and come from them, over one session.

What the frames mean is the business of the *ends* (a caller's, a worker's). The link keeps the
windows, correlates answers by itself (slixmpp would try each stanza on each request that waits),
and fails all of them at once when the peer or the connection goes.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final
from xml.etree import ElementTree as ET

from jabot.alarm import Alarm
from jabot.errors import JabotError, NotAllowed, RemoteProtocolError
from jabot.pace import Pace
from jabot.protocol import Batch, Joiner, Windows, codec, limits
from jabot.protocol.codec import Incoming
from jabot.protocol.frames import Frame
from jabot.xmpp import frames as stanzas
from jabot.xmpp.end import End
from jabot.xmpp.frames import Answer, IncomingBatch
from jabot.xmpp.session import Session
from jabot.xmpp.stanzas import IncomingPresence
from jabot.xmpp.waiters import Waiters

log = logging.getLogger(__name__)

ANSWER_WITHIN: Final = 30.0  # seconds after which a batch is sent again
_LATER: Final = 3.0  # seconds before a batch goes again to a peer that has too much
_COMPLAINTS: Final = 10  # lines a minute about peers that do wrong
_JOINS_CHECKED: Final = 30.0  # seconds between two looks for frames that nobody completes


class Link:
    """Carries frames over `session`. `ends` are told of everything, in their order."""

    def __init__(self, session: Session) -> None:
        self.ends: list[End] = []
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._windows = Windows()
        self._joiner = Joiner()
        self._pending: dict[tuple[str, int], float] = {}  # unanswered batches, and until when
        self._answers: list[str] = []
        self._connection = 0  # counts them
        self._flushing = False
        self._late = Alarm(self._look_for_late)
        self._joins = Alarm(self._check_joins)
        self._waiters = Waiters(self._windows.room)
        self._complaints = Pace(burst=_COMPLAINTS, rate=_COMPLAINTS / 60)  # of all peers together
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        session.carry(self)

    def push(self, peer: str, frame: Frame) -> None:
        """Send a frame as soon as the window allows: at the end of this turn of the loop.

        Raises `TooLarge` or `LocalProtocolError` for what cannot be sent at all.
        """
        self._windows.push(peer, frame)
        if not self._flushing:
            self._flush_soon()

    def is_full(self, peer: str) -> bool:
        """Whether who has more for a peer should wait."""
        return not self._windows.room(peer) or peer in self._waiters

    def is_free(self, peer: str) -> bool:
        """Whether what is pushed now leaves in this turn of the loop."""
        return self._session.has_room and self._windows.is_free(peer)

    async def wait_for_room(self, peer: str) -> None:
        """Wait until the pile for a peer is not deep. Who waits first goes first."""
        if self.is_full(peer):
            await self._waiters.wait(peer)

    def complain(self, peer: str, text: str) -> None:
        """Log what a peer did wrong; a few times a minute, for a hostile one does it for ever."""
        if self._complaints.take("", self._loop.time()):
            if left_out := self._complaints.forgive(""):
                log.warning("%d more such lines were left out", left_out)
            log.warning("%s: %s", peer, text)

    async def drained(self, limit: float) -> bool:
        """Wait until everything was answered; False when it was not within `limit` seconds."""
        if len(self._windows):
            self._idle.clear()
        try:
            async with asyncio.timeout(limit):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Stop the timers. Nothing is sent any more, and nobody waits for that."""
        self._late.cancel()
        self._joins.cancel()
        self._waiters.release_all()

    # -- what the owner of the session tells --------------------------------------------------

    def online(self) -> None:
        """The session is bound, and our presence was sent."""
        if not self._session.is_online:
            return  # gone again
        now = self._loop.time()
        for end in self.ends:
            end.online(now)
        self._flush_soon()

    def offline(self) -> None:
        """The connection is gone."""
        self._connection += 1
        self._pending.clear()
        self._answers.clear()
        leftovers = self._windows.all_gone()
        for end in self.ends:
            end.offline(leftovers)
        self._look_idle()
        self._waiters.release_all()

    def presence_received(self, stanza: IncomingPresence) -> None:
        """Somebody came, is still there, or went."""
        peer = str(stanza.sender)
        if stanza.sender == self._session.jid:
            return
        if stanza.type == "available":
            for end in self.ends:
                end.peer_here(peer, self._loop.time())
        elif stanza.type == "unavailable":
            self._peer_gone(peer)

    def _peer_gone(self, peer: str) -> None:
        for key in [key for key in self._pending if key[0] == peer]:
            del self._pending[key]
        leftover = self._windows.gone(peer)
        self._joiner.forget(peer)
        for end in self.ends:
            end.peer_gone(peer, leftover, self._loop.time())
        self._waiters.release(peer)
        self._look_idle()

    # -- what the session tells ---------------------------------------------------------------

    def iq_received(self, iq: ET.Element) -> bool:
        """See `Carrier`."""
        batch = stanzas.read_batch(iq)
        if batch is not None:
            self._batch_received(batch)
            return True
        answer = stanzas.read_answer(iq)
        if answer is not None:
            self._answer_received(answer)
            return True
        return False

    def room(self) -> None:
        """See `Carrier`."""
        self._flush_soon()

    # -- in -----------------------------------------------------------------------------------

    def _batch_received(self, batch: IncomingBatch) -> None:
        peer = batch.peer
        account, _, resource = peer.partition("/")
        now = self._loop.time()
        if not resource or not any(end.talks_with(peer, account) for end in self.ends):
            text = "you may do nothing here"
            self._answer(stanzas.refusal(peer, batch.id, "forbidden", text))
        elif self._windows.choked(peer):
            text = "you take nothing, and want more"
            self._answer(stanzas.refusal(peer, batch.id, stanzas.LATER, text))
        else:
            try:
                frames = self._read(batch, now)
            except RemoteProtocolError as error:
                self.complain(peer, f"a batch that cannot be read: {error}")
                self._answer(stanzas.refusal(peer, batch.id, "bad-request", str(error)))
                return
            try:
                promises = [end.received(peer, account, frames, now) for end in self.ends]
            except Exception:  # else it would come again for ever
                log.exception("a batch of %s could not be handled", peer)
                self._answer(stanzas.refusal(peer, batch.id, "internal-server-error"))
                return
            waiting = [promise for promise in promises if promise is not None]
            if waiting:
                self._answer_later(batch, waiting)
            else:
                self._answer(stanzas.responsible(peer, batch.id))

    def _answer_later(self, batch: IncomingBatch, promises: list[asyncio.Future[None]]) -> None:
        """Answer when all promises are kept or broken. In a new connection the peer says it all
        again."""
        connection = self._connection
        left, kept = len(promises), True

        def done(promise: asyncio.Future[None]) -> None:
            nonlocal left, kept
            left -= 1
            kept = not promise.cancelled() and promise.exception() is None and kept
            if left or connection != self._connection:
                return
            if kept:
                self._answer(stanzas.responsible(batch.peer, batch.id))
            else:
                text = "I cannot keep this now"
                later = stanzas.refusal(batch.peer, batch.id, stanzas.LATER, text)
                self._answer(later)

        for promise in promises:
            promise.add_done_callback(done)

    def _read(self, batch: IncomingBatch, now: float) -> list[Incoming]:
        if batch.text is None:
            raise RemoteProtocolError("<frames/> holds one <json/> or one <deflate/>")
        frames = codec.decode_batch(batch.text, deflated=batch.deflated)
        joined = self._joiner.join(batch.peer, frames, now)
        if self._joiner.size:
            self._joins.set(now + _JOINS_CHECKED)
        return joined

    def _answer(self, stanza: str) -> None:
        """Answer at the end of this turn, behind the frames that the batch made us say.

        A job that was begun just now, and needs no waiting, ends before that: then its caller has
        the outcome with the answer.
        """
        self._answers.append(stanza)
        self._flush_soon()

    def _answer_received(self, answer: Answer) -> None:
        peer, number = answer.peer, answer.batch
        now = self._loop.time()
        if (peer, number) not in self._pending:
            return  # late, or somebody else's
        if answer.condition == stanzas.LATER:
            self._pending[peer, number] = now + _LATER
            self._late.set(now + _LATER)
            frames = self._windows.put_off(peer, number)
            for end in self.ends:
                end.put_off(peer, frames, now)
            return
        if answer.condition in stanzas.PERHAPS:
            return  # it may have arrived: sent again when its time is over
        del self._pending[peer, number]
        if not answer.condition:
            frames = self._windows.answered(peer, number)
            for end in self.ends:
                end.answered(peer, frames, now)
        elif answer.condition in stanzas.NOBODY:
            frames = self._windows.refused(peer, number)
            for end in self.ends:
                end.bounced(peer, frames, now)
        else:
            frames = self._windows.refused(peer, number)
            error = _refusal(answer)
            for end in self.ends:
                end.refused(peer, frames, error, now)
        self._after_answer(peer)

    def _after_answer(self, peer: str) -> None:
        self._waiters.let_in(peer)
        self._look_idle()
        self._flush_soon()

    def _look_for_late(self) -> None:
        now = self._loop.time()
        for (peer, number), until in list(self._pending.items()):
            if until <= now:
                del self._pending[peer, number]
                log.info("%s has not taken a batch; it is sent again", peer)
                frames = self._windows.failed(peer, number, partial(self._wanted, peer))
                for end in self.ends if frames else ():
                    end.unanswered(peer, frames)
        self._late.set(min(self._pending.values(), default=None))
        self._waiters.let_all_in()
        self._look_idle()
        self._flush_soon()

    def _wanted(self, peer: str, frame: Frame) -> bool:
        return all(end.wants(peer, frame) for end in self.ends)

    def _check_joins(self) -> None:
        now = self._loop.time()
        self._joiner.tick(now)
        if self._joiner.size:
            self._joins.set(now + _JOINS_CHECKED)

    # -- out ----------------------------------------------------------------------------------

    def _flush_soon(self) -> None:
        """Once for all that this turn of the loop brings: so few and large batches go out."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        session = self._session
        if not session.is_online:
            self._answers.clear()
            return
        out: list[str] = []
        while session.has_room and (batch := self._windows.take()) is not None:
            out.append(self._batch(batch))
            if len(batch.text) > limits.BATCH_MADE // 2:
                session.send_stanzas("".join(out))
                out.clear()
        if session.has_room:  # else what goes before them may not be under way yet
            out += self._answers
            self._answers.clear()
        if out:
            session.send_stanzas("".join(out))

    def _batch(self, batch: Batch) -> str:
        until = self._loop.time() + ANSWER_WITHIN
        self._pending[batch.peer, batch.id] = until
        self._late.set(until)
        self._idle.clear()
        return stanzas.batch(batch.peer, batch.id, batch.text, batch.deflated)

    def _look_idle(self) -> None:
        if not self._pending and not len(self._windows):
            self._idle.set()


def _refusal(answer: Answer) -> JabotError:
    if answer.condition == "forbidden":
        return NotAllowed(f"{answer.peer} refuses: {answer.text or 'you may do nothing there'}")
    more = f" ({answer.text})" if answer.text else ""
    return RemoteProtocolError(f"{answer.peer} refuses what was sent: {answer.condition}{more}")
