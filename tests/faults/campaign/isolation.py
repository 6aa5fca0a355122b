"""Namespaces of our own, so that nothing of a campaign can outlive it or harm this machine."""

import os
import shutil
import sys
from typing import NoReturn

_INSIDE = "JABOT_CAMPAIGN_INSIDE"
_NEEDED = {"unshare": "util-linux", "mount": "mount", "ip": "iproute2"}


def problem() -> str:
    """Why no campaign can be run here; empty when one can."""
    missing = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} is not installed: apt-get install {' '.join(missing)}"
    if os.geteuid() != 0:
        return "the fault campaign makes network namespaces and mounts: run it as root (sudo)"
    return ""


def is_inside() -> bool:
    """Whether this process is in such namespaces already."""
    return _INSIDE in os.environ


def enter(module: str, arguments: list[str]) -> NoReturn:
    """Run a module of ours again, as the first process of new namespaces.

    When that process ends, in whichever way, the kernel ends all others in there and takes the
    networks and mounts away.
    """
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = [*apart, sys.executable, "-m", module, *arguments]
    os.execvpe(command[0], command, os.environ | {_INSIDE: "1"})
