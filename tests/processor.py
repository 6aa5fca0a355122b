"""How much of a time a busy machine is to blame for.

busy = Busy(node.pid, xmpp.pid)
...
assert took - busy.waited < 1
"""

import os
from pathlib import Path


class Busy:
    """Adds up how long processes (this one, too) wait for a processor that others have: of each the
    thread that waits longest, for threads wait side by side.
    """

    def __init__(self, *pids: int) -> None:
        self._pids = {os.getpid(), *pids}
        self._before = self._look()

    @property
    def waited(self) -> float:
        """Seconds since this was made."""
        longest = dict.fromkeys(self._pids, 0)
        for (pid, thread), total in self._look().items():
            longest[pid] = max(longest[pid], total - self._before.get((pid, thread), 0))
        return sum(longest.values()) / 1e9

    def _look(self) -> dict[tuple[int, Path], int]:
        """Nanoseconds of each thread, as the kernel counts them."""
        found = {}
        for pid in self._pids:
            for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    _runs, waits, _times = file.read_text().split()
                except OSError:
                    continue  # it has ended
                found[pid, file] = int(waits)
        return found
