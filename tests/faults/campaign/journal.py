"""What happened, one JSON line each: a single write, so that a kill leaves no half of one."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Appends to a file. Several processes may write to the same one."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def note(self, what: str, **more: object) -> None:
        """Add a line. `mono` is the clock that all processes of a machine share, and that no jump
        of the wall clock touches."""
        line = {"what": what, "mono": time.monotonic(), "wall": time.time(), **more}
        os.write(self._file, json.dumps(line).encode() + b"\n")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal, oldest first; none when nobody wrote."""
    if path.exists():
        with path.open() as lines:
            yield from map(json.loads, lines)
