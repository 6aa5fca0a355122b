"""The machine of a run, and whether it is quiet."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

_CPU_INFO = Path("/proc/cpuinfo")
_BUSY = 0.3  # of a core: what else may run before the figures mean little
_LOOK = 1.0  # seconds


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
