"""What nodes offer: asked for, and remembered by its version."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Raw

from jabot.errors import JabotError, NobodyThere, UnknownTask, WorkerLost
from jabot.peers import Peer
from jabot.protocol import Leftover
from jabot.protocol.codec import Incoming
from jabot.protocol.frames import Describe, Frame, detached
from jabot.protocol.frames import Description as Answer
from jabot.tasks import Description
from jabot.tasks.described import read_descriptions
from jabot.xmpp import Link
from jabot.xmpp.end import End

_MOST: Final = 1000  # answers that are remembered


class Descriptions(End):
    """Asks nodes: an `End` of the link. `somebody` gives the nodes at an address, or raises
    `NobodyThere`."""

    def __init__(self, link: Link, somebody: Callable[..., Awaitable[list[Peer]]]) -> None:
        self._link = link
        self._somebody = somebody
        self._loop = asyncio.get_running_loop()
        self._questions: dict[tuple[str, str | None], asyncio.Future[Raw | JabotError]] = {}
        self._known: dict[tuple[str, str, str | None], dict[str, Description]] = {}
        self._is_online = False
        link.ends.append(self)

    async def at(self, address: str, task: str | None) -> dict[str, Description]:
        """What is offered at an address. Raises `NobodyThere`, `UnknownTask`."""
        if task is None:
            found: dict[str, Description] = {}
            peers = await self._somebody(address)
            for peer in {peer.version or peer.jid: peer for peer in peers}.values():
                found |= await self._of(address, peer, None)
            return found
        peers = await self._somebody(address, quiet=0.0)  # any that offers it will do
        if not any(peer.offers(task) for peer in peers):
            peers = await self._somebody(address)
        offering = [peer for peer in peers if peer.offers(task)]
        return await self._of(address, (offering or peers)[0], task)

    async def of_node(self, peer: str, task: str | None = None) -> dict[str, Description]:
        """What is offered at a full address. Raises `WorkerLost`, `UnknownTask`."""
        answer = self._questions.get((peer, task))
        if answer is None:
            answer = self._questions[peer, task] = self._loop.create_future()
            if self._is_online:  # else it is asked as soon as that is so
                self._link.push(peer, Describe(task))
        described = await asyncio.shield(answer)
        if isinstance(described, JabotError):
            raise described
        found = read_descriptions(described)
        if found is None:
            raise UnknownTask(f"{peer} has no task {task}, or does not allow you to run it")
        return found

    def close(self, error: JabotError) -> None:
        """Nothing more will be heard."""
        for question in list(self._questions):
            self._settle(question, error)

    # -- what the link tells: see `End` -------------------------------------------------------

    def received(self, peer: str, account: str, frames: Sequence[Incoming], now: float) -> None:
        for frame in frames:
            if not isinstance(frame, Answer):
                continue
            if (peer, frame.task) in self._questions:
                self._settle((peer, frame.task), detached(frame.tasks))
            else:
                self._link.complain(peer, "a description that nobody asked for")

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        self._gone(peer, NobodyThere(f"{peer} is not online"))

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        for frame in frames:
            if isinstance(frame, Describe):
                self._settle((peer, frame.task), error)

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        self._gone(peer, WorkerLost(f"{peer} vanished"))

    def offline(self, leftovers: object) -> None:
        self._is_online = False

    def online(self, now: float) -> None:
        self._is_online = True
        for peer, task in self._questions:
            self._link.push(peer, Describe(task))

    # -- within -------------------------------------------------------------------------------

    async def _of(self, address: str, peer: Peer, task: str | None) -> dict[str, Description]:
        key = (address, peer.version, task)
        if key not in self._known or not peer.version:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[key] = await self.of_node(peer.jid, task)
        return self._known[key]

    def _gone(self, peer: str, error: JabotError) -> None:
        for question in [question for question in self._questions if question[0] == peer]:
            self._settle(question, error)

    def _settle(self, question: tuple[str, str | None], answer: Raw | JabotError) -> None:
        waiting = self._questions.pop(question, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)  # an error, too: perhaps nobody waits for it any more
