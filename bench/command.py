"""The command line of the benchmark, and the order of a run."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import report
from bench.durable.figures import Crash, DurableVisit, durable_summary
from bench.durable.syncs import syncs
from bench.durable.visit import durable_visit
from bench.environments import EnvironmentFailedError
from bench.figures import Visit, judged, summary
from bench.machine import disk, is_quiet, machine
from bench.plan import FULL, ONE_AT_A_TIME, QUICK, Plan
from bench.processes import ProgramFailedError
from bench.servers import Servers, which
from bench.subjects import ALL, DURABLE, DurableSubject, Subject
from bench.visit import visit

_DOCS = Path(__file__).resolve().parents[1] / "docs"
_PAGE = _DOCS / "benchmarks.md"
_PAGE_FIGURES = _DOCS / "benchmarks.json"
_OTHERS = {  # what other programs measure for the page
    "backlog": _DOCS / "backlog.json",  # bench/backlog/run.py
    "fleet": _DOCS / "fleet.json",  # bench/fleet.py
}
_OTHER_FIGURES = Path(__file__).with_name("results.json")

_ON_DISK = "/var/tmp" if Path("/var/tmp").is_dir() else None  # noqa: S108 - /tmp may be memory
_ALL_DURABLE = "durable"
_SHORT = [subject.short for subject in ALL] + [_ALL_DURABLE]

_TURNS = 50  # transactions whose syncs are counted

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130

progress = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if options.page_from:
        _write_page(json.loads(options.page_from.read_text()), options.page or _PAGE)
        return 0
    chosen = options.only or ALL
    missing = sorted({package for subject in chosen for package in subject.missing()})
    if missing:
        progress.print(
            f"[red]Not installed: {', '.join(missing)}.[/] Please run "
            f"`apt-get install {' '.join(missing)}` as root, or choose other subjects with --only."
        )
        return _USAGE
    try:
        return _run(options, chosen)
    except EnvironmentFailedError as problem:
        progress.print("[red]An environment could not be made:[/]")
        progress.print(str(problem), markup=False)
        return _FAILED
    except KeyboardInterrupt:
        progress.print("\ninterrupted; all processes have ended")
        return _INTERRUPTED


def _run(options: argparse.Namespace, chosen: Sequence[type[Subject]]) -> int:
    plan: Plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    complete = len(chosen) == len(ALL) and not options.quick
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="jabot-bench-", dir=_ON_DISK)
        folder = Path(stack.enter_context(temporary))
        folder.chmod(0o711)  # PostgreSQL runs as another user, in a folder of its own below
        servers = Servers(folder)
        stack.callback(servers.close)
        subjects = [subject(servers) for subject in chosen]
        for subject in subjects:
            subject.prepare(progress.print)
        about = machine() | {"disk": disk(folder)}
        if not is_quiet(about["busy_cores"]):
            progress.print(
                f"[yellow]Other programs keep {about['busy_cores']} cores busy:[/] "
                "the ratios may still hold, the figures will not."
            )
        visits, failures = _measure(subjects, plan)
        results: dict[str, Any] = {
            subject.name: {"label": subject.label}
            | _entry(subject, visits[subject.name], plan)
            | {"versions": subject.versions()}
            for subject in subjects
            if subject.name not in failures
        }
    if any(subject.name == "durable_sqlite" for subject in subjects) and which("strace"):
        about["syncs"] = [(jobs, _TURNS, syncs(_TURNS, jobs)) for jobs in (1, 10, 100)]
    about |= {"rounds": plan.rounds, "quick": options.quick, "failures": failures}
    results["about"] = about | {"targets": judged(results)}
    figures = options.json or (_PAGE_FIGURES if complete else _OTHER_FIGURES)
    figures.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    progress.print(f"wrote {figures}")
    if options.page or (complete and not failures):
        page = options.page or _PAGE
        _write_page(results, page)
        progress.print(f"wrote {page}")
    report.print_tables(results, Console(highlight=False))
    return _FAILED if failures else 0


def _write_page(results: dict[str, Any], page: Path) -> None:
    """With what the last runs of the other programs found."""
    about = dict(results["about"])
    for name, figures in _OTHERS.items():
        if figures.is_file():
            about[name] = json.loads(figures.read_text())
    report.write_page(results | {"about": about}, page)


def _measure(
    subjects: Sequence[Subject], plan: Plan
) -> tuple[dict[str, list[Visit]], dict[str, str]]:
    """Visit all subjects in turn; one that fails is left out of the rounds that follow."""
    visits: dict[str, list[Visit]] = {subject.name: [] for subject in subjects}
    failures: dict[str, str] = {}
    for number in range(1, plan.rounds + 1):
        for subject in subjects:
            if subject.name in failures:
                continue
            progress.print(f"[dim]round {number}/{plan.rounds}[/] {subject.name:20}", end="")
            try:
                done = _visit(subject, plan, visits[subject.name])
            except ProgramFailedError as problem:
                failures[subject.name] = str(problem).partition("\n")[0]
                progress.print("[red]failed:[/]")
                progress.print(str(problem), markup=False)
            else:
                visits[subject.name].append(done)
                progress.print(_line(done))
    return visits, failures


def _visit(subject: Subject, plan: Plan, before: Sequence[Visit]) -> Visit:
    if not isinstance(subject, DurableSubject):
        return visit(subject, plan)
    crashes = [each.crash for each in before if isinstance(each, DurableVisit) and each.crash]
    # One that did not recover within the cap would only make us wait for it again.
    gave_up = any(crash.recovery_s is None for crash in crashes)
    return durable_visit(subject, plan, with_crash=len(before) < plan.crashes and not gave_up)


def _entry(subject: Subject, visits: Sequence[Visit], plan: Plan) -> dict[str, Any]:
    if not isinstance(subject, DurableSubject):
        return summary(visits)
    durable = [each for each in visits if isinstance(each, DurableVisit)]
    return durable_summary(durable, subject.on_disk, plan.recovery_cap)


def _line(done: Visit) -> str:
    """What one visit found, in a line."""
    parts = [
        f"{load.rtt_p50_ms:.2f} ms p50"
        if load.in_flight == ONE_AT_A_TIME
        else f"{load.in_flight:,}: {load.jobs_per_s:,.0f}/s"
        for load in done.loads
    ]
    if done.idle:
        parts.append(f"idle: {done.idle.cpu_percent:.1f} % CPU, {done.idle.rss_mb:.0f} MB")
    if isinstance(done, DurableVisit):
        parts.append(f"start: {done.start_p50_ms:.2f} ms p50, {done.start_p99_ms:.2f} ms p99")
        if done.crash is not None:
            parts.append(_crash_text(done.crash))
    return " · ".join(parts)


def _crash_text(crash: Crash) -> str:
    when = "not again" if crash.recovery_s is None else f"again after {crash.recovery_s:.2f} s"
    return (
        f"killed: {when}, of {crash.jobs} jobs {crash.cut} cut, "
        f"{crash.unfinished} unfinished, {crash.ran_twice} twice"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run.py",
        description="Measure jabot beside its peers on this machine, over loopback.",
        epilog="A full run of all subjects writes docs/benchmarks.md and docs/benchmarks.json; "
        "any other one writes bench/results.json.",
    )
    parser.add_argument(
        "--only",
        type=_subjects,
        metavar="NAME,...",
        help="some subjects, or all durable ones as `durable`: " + ", ".join(_SHORT),
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter loads: 40 s for two subjects"
    )
    parser.add_argument("--rounds", type=_rounds, metavar="N", help="how often to visit each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go")
    parser.add_argument("--page", type=Path, metavar="FILE", help="where the page goes")
    parser.add_argument(
        "--page-from",
        type=Path,
        metavar="JSON",
        help="measure nothing: write the page from figures of an earlier run",
    )
    return parser


def _subjects(text: str) -> list[type[Subject]]:
    wanted = {name.strip() for name in text.split(",") if name.strip()}
    known = {name for subject in ALL for name in (subject.name, subject.short)}
    if _ALL_DURABLE in wanted:
        wanted = wanted - {_ALL_DURABLE} | {subject.name for subject in DURABLE}
    if wanted - known or not wanted:
        raise argparse.ArgumentTypeError(f"{text!r}: choose among {', '.join(_SHORT)}")
    return [subject for subject in ALL if {subject.name, subject.short} & wanted]


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds")
    return int(text)
