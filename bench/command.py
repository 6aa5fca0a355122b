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
from bench.environments import EnvironmentFailedError
from bench.figures import Visit, judged, summary
from bench.machine import is_quiet, machine
from bench.plan import FULL, ONE_AT_A_TIME, QUICK, Plan
from bench.processes import ProgramFailedError
from bench.servers import Servers
from bench.subjects import SUBJECTS, Subject
from bench.visit import visit

_DOCS = Path(__file__).resolve().parents[1] / "docs"
_PAGE = _DOCS / "benchmarks.md"
_PAGE_FIGURES = _DOCS / "benchmarks.json"
_OTHER_FIGURES = Path(__file__).with_name("results.json")

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130

progress = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if options.page_from:
        report.write_page(json.loads(options.page_from.read_text()), options.page or _PAGE)
        return 0
    chosen = options.only or SUBJECTS
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
    complete = len(chosen) == len(SUBJECTS) and not options.quick
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jabot-bench-")))
        servers = Servers(folder)
        stack.callback(servers.close)
        subjects = [subject(servers) for subject in chosen]
        for subject in subjects:
            subject.prepare(progress.print)
        about = machine()
        if not is_quiet(about["busy_cores"]):
            progress.print(
                f"[yellow]Other programs keep {about['busy_cores']} cores busy:[/] "
                "the ratios may still hold, the figures will not."
            )
        visits, failures = _measure(subjects, plan)
        results: dict[str, Any] = {
            subject.name: {"label": subject.label}
            | summary(visits[subject.name])
            | {"versions": subject.versions()}
            for subject in subjects
            if subject.name not in failures
        }
    about |= {"rounds": plan.rounds, "quick": options.quick, "failures": failures}
    results["about"] = about | {"targets": judged(results)}
    figures = options.json or (_PAGE_FIGURES if complete else _OTHER_FIGURES)
    figures.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    progress.print(f"wrote {figures}")
    if options.page or (complete and not failures):
        page = options.page or _PAGE
        report.write_page(results, page)
        progress.print(f"wrote {page}")
    report.print_tables(results, Console(highlight=False))
    return _FAILED if failures else 0


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
            progress.print(f"[dim]round {number}/{plan.rounds}[/] {subject.name:13}", end="")
            try:
                done = visit(subject, plan)
            except ProgramFailedError as problem:
                failures[subject.name] = str(problem).partition("\n")[0]
                progress.print("[red]failed:[/]")
                progress.print(str(problem), markup=False)
            else:
                visits[subject.name].append(done)
                progress.print(_line(done))
    return visits, failures


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
    return " · ".join(parts)


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
        help="some subjects: " + ", ".join(subject.short for subject in SUBJECTS),
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
    chosen = [subject for subject in SUBJECTS if {subject.name, subject.short} & wanted]
    known = {name for subject in SUBJECTS for name in (subject.name, subject.short)}
    if wanted - known or not chosen:
        names = ", ".join(subject.short for subject in SUBJECTS)
        raise argparse.ArgumentTypeError(f"{text!r}: choose among {names}")
    return chosen


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds")
    return int(text)
