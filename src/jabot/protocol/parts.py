"""Frames that are larger than a batch: cut into parts, and joined again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from jabot.errors import RemoteProtocolError
from jabot.protocol import codec, limits
from jabot.protocol.codec import Damaged, Incoming
from jabot.protocol.frames import Frame, Part


def split(frame: Frame, encoded: bytes, key: int) -> list[Part]:
    """The parts of a frame. `key` must be new for each frame of this sender.

    Raises `TooLarge`.
    """
    if len(encoded) > limits.FRAME:
        raise codec.too_large(len(encoded))
    text = codec.deflated(encoded)
    job = getattr(frame, "id", "")
    count = -(-len(text) // limits.PART)  # of the largest frame half of `limits.PARTS`
    return [
        Part(key, index, count, job, text[index * limits.PART : (index + 1) * limits.PART])
        for index in range(count)
    ]


@dataclass(slots=True)
class _Join:
    count: int
    pieces: dict[int, str] = field(default_factory=dict)
    size: int = 0
    touched: float = 0.0


class Joiner:
    """Joins the parts of all peers' frames, which may come twice and in any order. Call `tick()`
    now and then.

    `most` and `most_of_all` bound the memory, in bytes, for one peer and for all together.
    """

    def __init__(
        self, most: int = limits.JOIN_BYTES, most_of_all: int = limits.JOIN_BYTES_ALL
    ) -> None:
        self._most = most
        self._most_of_all = most_of_all
        self._peers: dict[str, OrderedDict[int, _Join]] = {}
        self._sizes: dict[str, int] = {}
        self._total = 0

    @property
    def size(self) -> int:
        """Bytes that are held for incomplete frames."""
        return self._total

    def join(self, peer: str, frames: list[Incoming], now: float) -> list[Incoming]:
        """A batch with its parts taken out, and in the place of a last one the whole frame.

        A part that contradicts the others, or is past a limit, is `Damaged`; the frame that it
        belongs to is given up.
        """
        if not any(type(frame) is Part for frame in frames):
            return frames
        whole: list[Incoming] = []
        for frame in frames:
            if not isinstance(frame, Part):
                whole.append(frame)
                continue
            try:
                joined = self._received(peer, frame, now)
            except RemoteProtocolError as error:
                joined = Damaged("part", frame.id, str(error))
            if joined is not None:
                whole.append(joined)
        return whole

    def tick(self, now: float) -> None:
        """Give up what nothing was added to for `limits.JOIN_WITHIN`: its sender has done so."""
        for peer, joins in list(self._peers.items()):
            last = now - limits.JOIN_WITHIN
            for key in [key for key, join in joins.items() if join.touched <= last]:
                self._drop(peer, key)

    def _received(self, peer: str, part: Part, now: float) -> Incoming | None:
        if part.index >= part.count:
            raise RemoteProtocolError(f"part {part.index} of {part.count} from {peer}")
        joins = self._peers.setdefault(peer, OrderedDict())
        join = joins.get(part.key)
        if join is None:
            if len(joins) >= limits.JOINS:
                self._drop(peer, next(iter(joins)))
            joins = self._peers.setdefault(peer, joins)
            join = joins[part.key] = _Join(part.count)
        join.touched = now
        if join.count != part.count:
            self._drop(peer, part.key)
            raise RemoteProtocolError(f"{peer} does not know how many parts its frame has")
        if part.index not in join.pieces:
            self._add(peer, join, part)
        if len(join.pieces) < join.count:
            return None
        self._drop(peer, part.key)
        text = "".join(join.pieces[index] for index in range(join.count))
        return codec.decode_frame(codec.inflated(text, limits.FRAME))

    def forget(self, peer: str) -> None:
        """The peer is gone: what it began it will not end."""
        for key in list(self._peers.get(peer, ())):
            self._drop(peer, key)

    def _add(self, peer: str, join: _Join, part: Part) -> None:
        size = len(part.data)
        mine = self._sizes.get(peer, 0) + size
        if mine > self._most or self._total + size > self._most_of_all:
            self._drop(peer, part.key)
            raise RemoteProtocolError(f"too much of {peer} is incomplete: {mine} bytes")
        join.pieces[part.index] = part.data
        join.size += size
        self._sizes[peer] = mine
        self._total += size

    def _drop(self, peer: str, key: int) -> None:
        join = self._peers[peer].pop(key)
        self._total -= join.size
        self._sizes[peer] = self._sizes.get(peer, 0) - join.size
        if not self._peers[peer]:
            del self._peers[peer]
            self._sizes.pop(peer, None)
