"""Run a fault campaign: python -m campaign --seed 1 --minutes 10 --store sqlite.

The last line that is printed has the figures; the exit code is 1 when one that must be 0 is not.
"""

import argparse
import asyncio
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import msgspec

from . import isolation
from .checker import History, Verdict, judge
from .evidence import gather
from .journal import Journal
from .nemesis import Nemesis
from .plan import QUIET, plan
from .stage import QUEUES, Settings, Stage


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--minutes", type=float, default=5.0, help="of faults (default: 5)")
    parser.add_argument("--store", choices=sorted(QUEUES), default="sqlite")
    parser.add_argument("--server", choices=["ejabberd", "embedded"], default="ejabberd")
    parser.add_argument("--folder", type=Path, help="for logs and journals; kept")
    return parser.parse_args(given)


def main() -> int:
    given = arguments(sys.argv[1:])
    if problem := isolation.problem():
        print(problem, file=sys.stderr)
        return 2
    if not isolation.is_inside():
        asked = [f"--{name}={value}" for name, value in vars(given).items() if value is not None]
        isolation.enter("campaign", asked)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="jabot-campaign-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # PostgreSQL runs as another user
    settings = Settings(given.seed, given.minutes * 60, given.store, given.server)
    verdict = campaign(settings, folder.resolve())
    if given.folder is None and verdict.holds:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"logs and journals: {folder}")
    print(verdict, flush=True)
    return 0 if verdict.holds and verdict.executed else 1


def campaign(settings: Settings, folder: Path) -> Verdict:
    """All of it."""
    stage = Stage(settings, folder)
    journal = Journal(folder / "nemesis.jsonl")
    nemesis = Nemesis(stage, journal)
    stage.start()
    faults = plan(settings.seed, settings.seconds, settings.lease, stage.targets)
    print(
        f"seed {settings.seed}, {settings.seconds + QUIET:.0f} s, {settings.store},"
        f" {settings.server}: {len(faults)} faults"
    )
    print(*faults, sep="\n", flush=True)
    nemesis.carry_out(faults)
    print("peace", flush=True)
    answered = stage.quiet()
    stage.stop()
    history = asyncio.run(
        gather(
            folder,
            stage.store,
            [actor.name for actor in stage.workers],
            [actor.name for actor in stage.callers],
        )
    )
    if stage.postgres is not None:
        stage.postgres.stop()
    (folder / "history.json").write_bytes(msgspec.json.encode(history))
    verdict = judge(history)
    if not verdict.executed:
        verdict.problems.append("nothing was tried: no job was acknowledged and executed")
    _tell(history, verdict, nemesis.ended, answered)
    return verdict


def _tell(history: History, verdict: Verdict, ended: list[str], answered: bool) -> None:
    """What the figures do not say."""
    states = Counter(stored.state for stored in history.stored.values())
    print("in the store:", ", ".join(f"{count} {state}" for state, count in sorted(states.items())))
    lost = Counter(_reason(lost.why) for lost in history.lost)
    for reason, count in lost.most_common():
        print(f"attempts lost: {count} whose worker {reason}")
    if ended:
        print("programs that ended by themselves, and were started again:", ", ".join(ended))
    if not answered:
        print("callers still waited for outcomes when they were stopped")
    print(*verdict.problems[:50], sep="\n", end="\n" if verdict.problems else "")


def _reason(why: str) -> str:
    """Without whose worker it was."""
    return re.sub(r"^.*?/\S+ ", "", why)


if __name__ == "__main__":
    sys.exit(main())
