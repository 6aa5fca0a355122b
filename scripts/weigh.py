#!/usr/bin/env python3
"""What jabot weighs: its packages on disk, an import, and each program that idles.

Run it with the Python of an environment that has jabot and psutil, as that of `make venv`.
Times are of the processor, not by the clock, and each the least of a few: other work on the machine
adds to them, never takes away. Bytecode is compiled before anything is timed.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import psutil

ROUNDS = 5
ENV = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
IMPORTS = [
    "slixmpp",
    "jabot",
    "jabot.cli.run",
    "jabot.cli.queue",
    "jabot.cli.server",
    "jabot.testing",
]
WORKER = """
from jabot import Node
node = Node("bot@localhost")

@node.task
def lift() -> None: ...
"""


def main() -> None:
    """Print three tables."""
    print("| package | MB |\n|---|---|")
    sizes = {name: _size(name) for name in _closure("jabot")}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"| {name} | {size / 1e6:.1f} |")
    print(f"| all {len(sizes)} | {sum(sizes.values()) / 1e6:.1f} |\n")
    print("| import | CPU, ms |\n|---|---|")
    bare = _import_time("sys")
    for module in IMPORTS:
        print(f"| `{module}` | {1000 * (_import_time(module) - bare):.0f} |")
    print("\n| program | CPU until it is ready, s | memory idle, MB |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        _weigh_programs(Path(folder))


def _closure(name: str) -> set[str]:
    """The distributions that `pip install NAME` brings, itself among them."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if one in found or not list(metadata.distributions(name=one)):
            continue  # what a marker leaves out is not installed
        found.add(one)
        needs = metadata.requires(one) or []
        waiting += [re.split(r"[^\w.-]", need)[0] for need in needs if "extra ==" not in need]
    return found


def _size(name: str) -> int:
    if name == "jabot":  # may be installed as a link to its source
        import jabot

        files = Path(jabot.__file__).parent.rglob("*")
    else:
        files = (Path(str(file.locate())) for file in metadata.files(name) or [])
    return sum(f.stat().st_size for f in files if f.is_file() and f.suffix != ".pyc")


def _import_time(module: str) -> float:
    code = f"import time; import {module}; print(time.process_time())"
    times = [
        float(subprocess.check_output([sys.executable, "-c", code], env=ENV))  # noqa: S603
        for _ in range(ROUNDS)
    ]
    return min(times[1:])  # the first one compiles


def _weigh_programs(folder: Path) -> None:
    (folder / "worker.py").write_text(WORKER)
    jabot = [sys.executable, "-m", "jabot"]
    data = ["--data", str(folder / "server")]
    for name in ("bot", "jobs"):
        add = [*jabot, "server", "adduser", f"{name}@localhost", *data]
        subprocess.run(add, input=b"secret\n", check=True, capture_output=True)  # noqa: S603
    server = _start("jabot server", [*jabot, "server", "--port", "0", *data], "listening on", ENV)
    address = server.ready.split()[-1]
    env = ENV | {"JABOT_SERVER": address, "JABOT_PASSWORD": "secret"}
    programs = [
        ("jabot run", "bot", ["run", str(folder / "worker.py")]),
        ("jabot queue", "jobs", ["queue", "--store", f"sqlite:///{folder / 'jobs.db'}"]),
    ]
    try:
        for title, account, words in programs:
            own = env | {"JABOT_JID": f"{account}@localhost"}
            _start(title, [*jabot, *words], "is ready", own).stop()
    finally:
        server.stop()


class _start:  # noqa: N801 - reads as the verb that it is
    """A program, begun a few times to see what that takes; the last one stays."""

    def __init__(self, title: str, command: list[str], mark: str, env: dict[str, str]) -> None:
        work, memory = [], []
        for number in range(ROUNDS):
            if number:
                self.stop()
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            self.ready = next(line for line in self._process.stdout or () if mark in line)
            seen = psutil.Process(self._process.pid)
            work.append(sum(seen.cpu_times()[:2]))
            time.sleep(1)  # what is done once after the start belongs to it
            memory.append(seen.memory_info().rss)
        print(f"| `{title}` | {min(work):.2f} | {min(memory) / 1e6:.0f} |", flush=True)

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()


if __name__ == "__main__":
    main()
