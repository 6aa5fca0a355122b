"""What a program writes, as progress: a few texts a second, however much it is."""

from __future__ import annotations

import asyncio
import codecs
import io
import re
from collections import deque
from collections.abc import Callable

from jabot.tasks import Step

_PACE = 0.1  # seconds between two steps
_MOST = 4_000  # characters in one step; the wire cuts at 4,096
_LINE = 1_000  # characters of one line
_TAIL = 20  # lines that are kept for who wants to know why it failed
_LOOKED_AT = 500  # lines of one piece of output; of more, the last

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b.|[\x00-\x08\x0b-\x1f\x7f]")


class Output:
    """Cuts bytes into lines, and reports those that came within a tenth of a second as one step.

    Lines end at `\\n` or `\\r` (bars of progress). What is not UTF-8 is replaced, colours and other
    control characters are taken out, long lines are cut, and of a flood the newest are reported.
    """

    def __init__(self, report: Callable[[Step], None]) -> None:
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._decoder = io.IncrementalNewlineDecoder(
            codecs.getincrementaldecoder("utf-8")("replace"), translate=True
        )
        self._rest = ""  # of the line that is not complete yet
        self._lines: deque[str] = deque()  # not reported yet
        self._size = 0  # of them, in characters
        self._left_out = 0
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._next: asyncio.TimerHandle | None = None
        self._reported = float("-inf")

    def last(self, count: int = _TAIL) -> str:
        """The last lines, up to 20."""
        return "\n".join(list(self._tail)[-count:])

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """The program wrote this."""
        *lines, self._rest = (self._rest + self._decoder.decode(data, final)).split("\n")
        self._rest = self._rest[: 2 * _LINE]  # escapes are still in it
        if len(lines) > _LOOKED_AT:
            self._left_out += len(self._lines) + len(lines) - _LOOKED_AT
            self._lines.clear()
            self._size = 0
        for line in lines[-_LOOKED_AT:]:
            self._add(line)
        if self._lines and self._next is None:
            due = max(self._reported + _PACE, self._loop.time())
            self._next = self._loop.call_at(due, self._flush)

    def close(self) -> None:
        """The program wrote all; report what is left."""
        self.feed(b"", final=True)
        if self._rest:
            self._add(self._rest)
            self._rest = ""
        if self._next is not None:
            self._next.cancel()
        self._flush()

    def _add(self, line: str) -> None:
        line = _ESCAPES.sub("", line).rstrip()
        if len(line) > _LINE:
            line = f"{line[: _LINE - 1]}…"
        self._tail.append(line)
        self._lines.append(line)
        self._size += len(line) + 1
        while self._size > _MOST:
            self._size -= len(self._lines.popleft()) + 1
            self._left_out += 1

    def _flush(self) -> None:
        self._next = None
        if not self._lines:
            return
        self._reported = self._loop.time()
        gap = [f"... {self._left_out} lines left out ..."] if self._left_out else []
        text = "\n".join([*gap, *self._lines])
        self._lines.clear()
        self._size = self._left_out = 0
        if text:
            self._report(Step(text=text))
