"""How much of a time a busy machine is to blame for.

busy = Busy(node.pid, xmpp.pid)
...
assert took - busy.waited < 1
"""

import os
from pathlib import Path


class Busy:
    """Adds up how long processes (this one, too) wait for a processor that others have."""

    def __init__(self, *pids: int) -> None:
        self._pids = {os.getpid(), *pids}
        self._before = self._look()

    @property
    def waited(self) -> float:
        """Seconds since this was made."""
        now = self._look()
        return sum(total - self._before.get(thread, 0) for thread, total in now.items()) / 1e9

    def _look(self) -> dict[Path, int]:
        """Nanoseconds of each thread, as the kernel counts them."""
        found = {}
        for pid in self._pids:
            for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    _runs, waits, _times = file.read_text().split()
                except OSError:
                    continue  # it has ended
                found[file] = int(waits)
        return found
