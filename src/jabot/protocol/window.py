"""Batches that clock themselves: few on the way to a peer, and what comes meanwhile piles up."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from msgspec import Struct

from jabot.protocol import codec, limits
from jabot.protocol.frames import Frame, Heartbeat, Progress
from jabot.protocol.parts import split

Wanted = Callable[[Frame], bool]


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes into one stanza."""

    id: int  # counts up within the process
    peer: str
    text: str
    deflated: bool
    frames: int


class _Item(Struct, eq=False, gc=False):
    """A frame, or one part of it, on its way."""

    serial: int
    frame: Frame
    encoded: bytes
    parts: list[int] | None = None  # how many of the frame's parts are unanswered; shared by them


@dataclass(frozen=True, slots=True)
class Leftover:
    """The frames that a window still had."""

    unanswered: list[Frame]  # sent, and perhaps received
    unsent: list[Frame]  # or sent, and given back


class Window:
    """What is on its way to one peer, and the pile of what is not yet.

    At most `size` batches are unanswered at a time. While they are, frames pile up, and the next
    batch takes as many of them as fit: an idle link sends at once, a busy one sends few and large
    stanzas, and nobody has to tune that.
    """

    def __init__(
        self, peer: str, numbers: Iterator[int] | None = None, size: int = limits.WINDOW
    ) -> None:
        self.peer = peer
        self._numbers = numbers if numbers is not None else itertools.count(1)
        self._size = size
        self._pile: deque[_Item] = deque()
        self._pile_bytes = 0
        self._steps: dict[str, deque[_Item]] = {}  # waiting progress, by job
        self._sent: dict[int, list[_Item]] = {}
        self._put_off: set[int] = set()  # of them, those that the peer has given back

    @property
    def room(self) -> int:
        """How many more frames may come; at 0 who has some should wait. Nothing is refused."""
        if self._pile_bytes >= limits.PILE_BYTES:
            return 0
        return max(0, limits.PILE_FRAMES - len(self._pile))

    @property
    def choked(self) -> bool:
        """Whether the peer takes nothing and still wants more: then its batches are answered with
        `resource-constraint`, or its questions would fill our memory with answers."""
        return len(self._pile) >= limits.CHOKED_FRAMES or self._pile_bytes >= limits.CHOKED_BYTES

    @property
    def ready(self) -> bool:
        """Whether `take()` gives something."""
        return bool(self._pile) and len(self._sent) < self._size

    @property
    def free(self) -> bool:
        """Whether what is pushed now goes with the next `take()`, before all that comes later."""
        return not self._pile and len(self._sent) < self._size

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is unanswered."""
        return not self._pile and not self._sent

    @property
    def waiting(self) -> int:
        """How many frames wait in the pile."""
        return len(self._pile)

    @property
    def unanswered(self) -> int:
        """How many batches are on their way."""
        return len(self._sent)

    def push(self, frame: Frame) -> None:
        """Put a frame at the end of the pile.

        Past `limits.PILE_STEPS` of one job, new progress takes the place of the last one that
        waits. Raises `TooLarge` or `LocalProtocolError` for what cannot be sent at all.
        """
        encoded = codec.encode_frame(frame)
        if type(frame) is Progress:
            self._push_step(frame, encoded)
        elif type(frame) is Heartbeat and len(encoded) <= limits.BATCH_MADE:
            self._push_first(frame, encoded)
        elif len(encoded) <= limits.BATCH_MADE:
            self._pile.append(_Item(next(self._numbers), frame, encoded))
            self._pile_bytes += len(encoded)
        else:
            parts = split(frame, encoded, next(self._numbers))
            left = [len(parts)]
            for part in parts:
                self._append(_Item(next(self._numbers), frame, codec.encode_frame(part), left))

    def take(self) -> Batch | None:
        """The next batch to send; None when nothing waits or the window is full."""
        if not self._pile or len(self._sent) >= self._size:
            return None
        items: list[_Item] = []
        room = limits.BATCH_MADE
        while self._pile and len(items) < limits.BATCH_FRAMES:
            item = self._pile[0]
            room -= len(item.encoded) + 1
            if items and room < 0:
                break
            items.append(item)
            self._pile.popleft()
            if type(item.frame) is Progress:
                self._forget_step(item.frame.id, item)
            self._pile_bytes -= len(item.encoded)
        number = next(self._numbers)
        self._sent[number] = items
        text = codec.encode_batch([item.encoded for item in items], deflate=items[0].parts is None)
        return Batch(number, self.peer, text.text, text.deflated, len(items))

    def answered(self, batch: int) -> list[Frame]:
        """The peer has answered; gives the frames that it has wholly received now."""
        done: list[Frame] = []
        self._put_off.discard(batch)
        for item in self._sent.pop(batch, ()):
            if item.parts is None:
                done.append(item.frame)
            else:
                item.parts[0] -= 1
                if item.parts[0] == 0:
                    done.append(item.frame)
        return done

    def put_off(self, batch: int) -> list[Frame]:
        """The peer has taken nothing of it, for now; it keeps its place in the window until
        `failed()`. Gives its frames."""
        if batch in self._sent:
            self._put_off.add(batch)
        return _frames(self._sent.get(batch, ()))

    def failed(self, batch: int, wanted: Wanted = lambda frame: True) -> list[Frame]:
        """It is to be sent again. What is still wanted goes to the front, in the old order; gives
        the frames that may have been received: none when it was put off."""
        items = self._sent.pop(batch, [])
        was_put_off = batch in self._put_off
        self._put_off.discard(batch)
        again = [item for item in items if wanted(item.frame)]
        self._drop_parts_of(item for item in items if item not in again)
        if again:
            # By number: batches that were sent after this one may have failed before it.
            self._pile = deque(sorted([*again, *self._pile], key=_serial))
            self._pile_bytes += sum(len(item.encoded) for item in again)
        return [] if was_put_off else _frames(items)

    def refused(self, batch: int) -> list[Frame]:
        """The batch is lost for good: nobody is there, or it was not understood. Gives its frames,
        without those of which parts are elsewhere: they go with it."""
        items = self._sent.pop(batch, [])
        self._put_off.discard(batch)
        self._drop_parts_of(items)
        return _frames(items)

    def gone(self) -> Leftover:
        """The peer or the connection is gone. Everything comes back; the window is as new."""
        back = [items for number, items in self._sent.items() if number in self._put_off]
        away = [items for number, items in self._sent.items() if number not in self._put_off]
        sent = _frames(sorted(itertools.chain(*away), key=_serial))
        seen = {id(frame) for frame in sent}
        waiting = sorted(itertools.chain(*back, self._pile), key=_serial)
        unsent = [frame for frame in _frames(waiting) if id(frame) not in seen]
        self._sent.clear()
        self._put_off.clear()
        self._pile.clear()
        self._steps.clear()
        self._pile_bytes = 0
        return Leftover(sent, unsent)

    def _drop_parts_of(self, items: Iterable[_Item]) -> None:
        broken = {id(item.parts) for item in items if item.parts is not None}
        if broken:
            self._pile = deque(item for item in self._pile if id(item.parts) not in broken)
            self._pile_bytes = sum(len(item.encoded) for item in self._pile)
            for number, sent in self._sent.items():
                self._sent[number] = [item for item in sent if id(item.parts) not in broken]

    def _append(self, item: _Item) -> None:
        self._pile.append(item)
        self._pile_bytes += len(item.encoded)

    def _push_step(self, frame: Progress, encoded: bytes) -> None:
        steps = self._steps.get(frame.id)
        if steps is None:
            steps = self._steps[frame.id] = deque()
        elif len(steps) >= limits.PILE_STEPS:
            last = steps[-1]
            self._pile_bytes += len(encoded) - len(last.encoded)
            last.frame, last.encoded = frame, encoded
            return
        item = _Item(next(self._numbers), frame, encoded)
        steps.append(item)
        self._append(item)

    def _push_first(self, frame: Heartbeat, encoded: bytes) -> None:
        """Leases are not to run out behind what takes long to be sent."""
        self._pile.appendleft(_Item(0, frame, encoded))
        self._pile_bytes += len(encoded)

    def _forget_step(self, job: str, item: _Item) -> None:
        steps = self._steps.get(job)
        if steps and steps[0] is item:  # one that was sent in vain before is not counted
            steps.popleft()
            if not steps:
                del self._steps[job]


def _serial(item: _Item) -> int:
    return item.serial


def _frames(items: Iterable[_Item]) -> list[Frame]:
    """Each frame once, though several of its parts may be among the items."""
    frames: list[Frame] = []
    last: list[int] | None = None
    for item in items:
        if item.parts is None or item.parts is not last:
            frames.append(item.frame)
        last = item.parts
    return frames
