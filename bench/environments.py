"""A virtual environment for each peer, made once from its pinned requirements."""

import hashlib
import json
import platform
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

_FOLDER = Path(__file__).with_name(".envs")
_LIMIT = 600.0  # seconds for one pip


class EnvironmentFailedError(Exception):
    """pip could not install a peer."""


def environment(name: str, requirements: Path, say: Callable[[str], None]) -> Path:
    """The environment's folder of programs; it is made anew when the requirements changed."""
    folder = _FOLDER / name
    stamp, wanted = folder / ".made-from", _fingerprint(requirements)
    if not stamp.is_file() or stamp.read_text() != wanted:
        say(f"making the environment of {name} ...")
        venv.create(folder, clear=True, with_pip=True)
        _pip(folder, "install", "--quiet", "--requirement", str(requirements))
        stamp.write_text(wanted)
    return folder / "bin"


def versions(programs: Path, requirements: Path) -> dict[str, str]:
    """What is installed of what the requirements name."""
    listed = json.loads(_pip(programs.parent, "list", "--format", "json"))
    installed = {_normal(each["name"]): each["version"] for each in listed}
    names = re.findall(r"^([\w.-]+).*==", requirements.read_text(), re.MULTILINE)
    return {name: installed.get(_normal(name), "unknown") for name in names}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")


def _fingerprint(requirements: Path) -> str:
    content = f"{platform.python_version()} {sys.executable}\n{requirements.read_text()}"
    return hashlib.sha256(content.encode()).hexdigest()


def _pip(folder: Path, *arguments: str) -> str:
    command = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command line
            [*command, *arguments], capture_output=True, text=True, timeout=_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFailedError(f"pip took more than {_LIMIT:.0f} s") from None
    if done.returncode:
        raise EnvironmentFailedError(f"pip {' '.join(arguments)}:\n{done.stderr.strip()}")
    return done.stdout
