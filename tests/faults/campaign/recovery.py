"""How soon a lost worker's job begins elsewhere: python -m campaign.recovery KILLS [CUTS] [LEASE].

Kills workers with SIGKILL, and cuts others off in both directions, while each runs a job; prints
the seconds from there to the begin of the next attempt. The grace is the default (1 s).
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import isolation
from .actor import Actor
from .journal import read
from .stage import Settings, Stage

_LIMIT = 60.0


def begins(stage: Stage) -> list[dict[str, Any]]:
    """All executions so far, oldest first."""
    lines = [
        line
        for actor in stage.workers
        for line in read(stage.folder / f"{actor.name}.jsonl")
        if line["what"] == "begin"
    ]
    return sorted(lines, key=lambda line: line["mono"])


def once(stage: Stage, how: str) -> float:
    """Harm the worker that began the newest attempt; seconds until the next one begins."""
    before = begins(stage)
    newest = before[-1]
    victim: Actor = stage.actors[newest["worker"]]
    at = time.monotonic()
    if how == "kill":
        victim.kill()
    else:
        stage.hosts.cut(victim.name, "both")
    while len(now := begins(stage)) == len(before):
        if time.monotonic() > at + _LIMIT:
            raise RuntimeError(f"attempt {newest['attempt']} has no heir after {_LIMIT:.0f} s")
        time.sleep(0.01)
    if now[-1]["worker"] == victim.name or now[-1]["attempt"] <= newest["attempt"]:
        raise RuntimeError(f"not the next attempt elsewhere: {now[-1]}")
    _mend(stage, victim, how)
    return float(now[-1]["mono"] - at)


def _mend(stage: Stage, victim: Actor, how: str) -> None:
    """The victim works again."""
    seen = len(victim.log())
    if how == "cut":
        stage.hosts.join(victim.name, "both")
        victim.kill()
    victim.start()
    victim.await_log("working for", after=seen)


def measure(stage: Stage, how: str, count: int) -> list[float]:
    """As often as that."""
    return [once(stage, how) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="campaign.recovery")
    parser.add_argument("kills", type=int)
    parser.add_argument("cuts", type=int, nargs="?", default=0)
    parser.add_argument("lease", type=int, nargs="?", default=3, help="seconds")
    given = parser.parse_args()
    kills, cuts, lease = given.kills, given.cuts, given.lease
    if problem := isolation.problem():
        sys.exit(problem)
    if not isolation.is_inside():
        isolation.enter("campaign.recovery", [str(kills), str(cuts), str(lease)])
    folder = Path(tempfile.mkdtemp(prefix="jabot-recovery-"))
    folder.chmod(0o755)
    print(f"logs and journals, until it ends well: {folder}", flush=True)
    settings = Settings(seed=0, seconds=0.0, lease=lease, only="endless", losses=1_000_000)
    stage = Stage(settings, folder)
    stage.start()
    deadline = time.monotonic() + _LIMIT
    while not begins(stage) and time.monotonic() < deadline:
        time.sleep(0.01)
    for how, count in (("kill", kills), ("cut", cuts)):
        took = sorted(measure(stage, how, count))
        if took:
            p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
            print(
                f"{how}: {len(took)} times, lease {lease} s, median"
                f" {statistics.median(took):.2f} s, p99 {p99:.2f} s, most {took[-1]:.2f} s",
                flush=True,
            )
    for actor in stage.actors.values():
        actor.kill()
    stage.server.kill()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
