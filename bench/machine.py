"""The machine of a run, and whether it is quiet."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psutil

_CPU_INFO = Path("/proc/cpuinfo")
_BUSY = 0.3  # of a core: what else may run before the figures mean little
_LOOK = 1.0  # seconds
_SYNCS = 50


def machine() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "busy_cores": busy_cores(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def disk(folder: Path) -> dict[str, Any]:
    """The file system below a folder, and how long it takes to get 4 KiB onto the disk."""
    mounted = psutil.disk_partitions(all=True)
    here = [each for each in mounted if folder.is_relative_to(each.mountpoint)]
    nearest = max(here, key=lambda each: len(each.mountpoint), default=None)
    return {"system": nearest.fstype if nearest else "unknown", "fsync_ms": _fsync_ms(folder)}


def _fsync_ms(folder: Path) -> float:
    """The median of a few."""
    times = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            begin = perf_counter()
            os.fsync(file.fileno())
            times.append(1000 * (perf_counter() - begin))
    return round(median(times), 2)


def busy_cores() -> float:
    """How many cores other programs keep busy just now."""
    return round(psutil.cpu_percent(_LOOK) / 100 * (os.cpu_count() or 1), 2)


def is_quiet(busy: float) -> bool:
    return busy <= _BUSY


def _cpu_model() -> str:
    if _CPU_INFO.is_file():
        for line in _CPU_INFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
