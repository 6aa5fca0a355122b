"""Wall clocks that jump."""

from pathlib import Path

_PRELOADED = "/usr/lib/*/faketime/libfaketimeMT.so.1"


class Clock:
    """A machine's wall clock that can be set; the monotonic one goes on as it was."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0.0)

    def set(self, offset: float) -> None:
        """So many seconds fast; negative: slow."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset:+.0f}")
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a program go by this clock."""
        return {
            "LD_PRELOAD": str(_preloaded()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # its name in older versions
            # Else each wait of a thread for another takes a moment of the faked clock, or many.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }


def _preloaded() -> Path:
    root, pattern = _PRELOADED.split("*", 1)
    found = sorted(Path(root).glob("*" + pattern))
    if not found:
        raise RuntimeError("faketime is not installed: apt-get install faketime")
    return found[0]
