"""What the two ends of the protocol, a caller's and a worker's, are told by the link."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from jabot.errors import JabotError
from jabot.protocol import Leftover
from jabot.protocol.codec import Incoming
from jabot.protocol.frames import Frame


class End:
    """One end of the protocol: what it is told about a peer's frames and our own ones to it. The
    methods do nothing: a subclass has those that concern it.

    `peer` is a full address, `now` seconds of the loop's clock.
    """

    def talks_with(self, peer: str, account: str) -> bool:
        """Whether frames of this peer are of interest at all."""
        return False

    def received(
        self, peer: str, account: str, frames: Sequence[Incoming], now: float
    ) -> asyncio.Future[None] | None:
        """A batch of the peer's, its parts joined. It is answered when all ends have seen it, and
        what they gave to be waited for is done. When that fails, the peer is told to say it again
        later."""
        return None

    def answered(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        """The peer is responsible for these."""

    def bounced(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        """Nobody has that address."""

    def refused(self, peer: str, frames: Sequence[Frame], error: JabotError, now: float) -> None:
        """The peer will never take these."""

    def put_off(self, peer: str, frames: Sequence[Frame], now: float) -> None:
        """The peer has taken none of these, for now; those that are wanted go again."""

    def unanswered(self, peer: str, frames: Sequence[Frame]) -> None:
        """No answer came; those that are wanted go again."""

    def wants(self, peer: str, frame: Frame) -> bool:
        """Whether a frame of ours that was not answered is still worth sending."""
        return True

    def peer_gone(self, peer: str, leftover: Leftover, now: float) -> None:
        """The peer's presence went."""

    def peer_here(self, peer: str, now: float) -> None:
        """The peer is online, again or still."""

    def offline(self, leftovers: Mapping[str, Leftover]) -> None:
        """Our own connection went."""

    def online(self, now: float) -> None:
        """It is back."""
