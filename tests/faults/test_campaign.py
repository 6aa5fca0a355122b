"""Short campaigns of faults against a queue; `make chaos` runs long ones."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from campaign import isolation

FAULTS = Path(__file__).parent
LIMIT = 170.0


def campaign(folder, *options):
    """Start one; its process."""
    if problem := isolation.problem():
        if "CI" in os.environ:
            pytest.fail(problem, pytrace=False)
        pytest.skip(problem)
    return subprocess.Popen(
        [sys.executable, "-m", "campaign", "--folder", str(folder), *options],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(FAULTS.parent), str(FAULTS)))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.timeout(LIMIT + 30)
@pytest.mark.parametrize(("store", "server"), [("sqlite", "embedded"), ("postgres", "ejabberd")])
def test_a_queue_keeps_its_promises_whatever_befalls_it(tmp_path, store, server):
    """The seed is fixed, so that a run that fails can be had again: the plan is in its output."""
    running = campaign(
        tmp_path, "--seed=4", "--minutes=0.2", f"--store={store}", f"--server={server}"
    )
    try:
        printed, _ = running.communicate(timeout=LIMIT)
    finally:
        running.kill()
    last = printed.splitlines()[-1]
    figures = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", last)}
    assert running.returncode == 0, printed
    assert figures["executed"] > 10, printed
    promised = ("lost", "unexpected", "double_committed", "unexplained")
    assert [figures[name] for name in promised] == [0, 0, 0, 0], printed


async def test_a_campaign_that_is_killed_leaves_nothing_behind(tmp_path):
    """Its processes, networks and mounts go with it."""
    running = campaign(tmp_path, "--minutes=1", "--server=embedded")
    try:
        async with asyncio.timeout(50):
            while not (tmp_path / "caller2.jsonl").exists():
                assert running.poll() is None, running.communicate()[0]
                await asyncio.sleep(0.05)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    async with asyncio.timeout(20):
        while _using(tmp_path):
            await asyncio.sleep(0.05)
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    running.communicate()


def _using(folder):
    """The processes that work in a folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink().is_relative_to(folder):
                found.append(link.parent.name)
        except OSError:  # it has ended
            continue
    return found
