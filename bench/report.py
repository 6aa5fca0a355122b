"""What a run found, as a page of the documentation and as tables on a terminal."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import PROCESSES, Results
from bench.plan import HEADLINE, ONE_AT_A_TIME

_TEMPLATE = Path(__file__).with_name("benchmarks.md.template")
_NOT_MEASURED = "–"

Rows = list[list[str]]


def write_page(results: Results, page: Path) -> None:
    """The page, from the template and the figures."""
    page.write_text(page_text(results, _TEMPLATE.read_text()))


def page_text(results: Results, template: str) -> str:
    about = results["about"]
    return Template(template).substitute(
        machine=machine_text(about),
        rounds=about["rounds"],
        targets=markdown(*targets_table(about["targets"])),
        overview=markdown(*overview_table(results)),
        loads=markdown(*loads_table(results)),
        durable=durable_text(results),
        crashes=crashes_text(results),
        durable_cpu=markdown(*durable_cpu_table(results)),
        disk=disk_text(about),
        syncs=syncs_text(about),
        backlog=backlog_text(about),
        fleet=fleet_text(about),
        cpu=markdown(*cpu_table(results)),
        memory=markdown(*memory_table(results)),
        versions=markdown(*versions_table(results)),
        idle=idle_text(results),
    )


def print_tables(results: Results, console: Console) -> None:
    """The same tables for a person who waits for them."""
    for title, (head, rows) in (
        ("Results: medians of the rounds", overview_table(results)),
        ("Jobs per second, by jobs in flight (lowest–highest round)", loads_table(results)),
        ("Durable jobs: medians of the rounds", durable_table(results)),
        ("Durable jobs, when a worker is killed (sums of all crashes)", crashes_table(results)),
        ("Targets", targets_table(results["about"]["targets"])),
    ):
        if not rows:
            continue
        table = Table(*head, title=title, title_justify="left")
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*row)
        console.print(table)


def subjects(results: Results) -> Iterable[tuple[str, Any]]:
    """The entries of direct jobs, with their names for people."""
    return ((label, entry) for label, entry in _everything(results) if "durable" not in entry)


def durable_subjects(results: Results) -> Iterable[tuple[str, Any]]:
    """The entries of durable jobs, with their names for people."""
    return ((label, entry) for label, entry in _everything(results) if "durable" in entry)


def _everything(results: Results) -> Iterable[tuple[str, Any]]:
    return ((entry["label"], entry) for name, entry in results.items() if name != "about")


# -- tables: their heads and rows ----------------------------------------------------------------


def overview_table(results: Results) -> tuple[list[str], Rows]:
    head = ["", f"jobs/s, {HEADLINE:,} in flight", "round trip p50", "round trip p99"]
    rows = [
        [
            label,
            _whole(entry.get("jobs_per_s")),
            _milliseconds(entry.get("rtt_p50_ms")),
            _milliseconds(entry.get("rtt_p99_ms")),
        ]
        for label, entry in subjects(results)
    ]
    return head, rows


def loads_table(results: Results) -> tuple[list[str], Rows]:
    loads = sorted({int(load) for _, entry in subjects(results) for load in entry["in_flight"]})
    rows = [
        [label, *(_with_spread(entry["in_flight"].get(str(load))) for load in loads)]
        for label, entry in subjects(results)
    ]
    return ["in flight", *(f"{load:,}" for load in loads)], rows


def durable_table(results: Results) -> tuple[list[str], Rows]:
    head = ["", f"jobs/s, {HEADLINE:,} in flight", "submit to start p50", "p99", "next attempt"]
    rows = [
        [
            label,
            _with_spread(entry["in_flight"].get(str(HEADLINE))),
            _milliseconds(entry["durable"]["start_p50_ms"]),
            _milliseconds(entry["durable"]["start_p99_ms"]),
            _recovery(entry["durable"]["recovery"]),
            entry["durable"]["on_disk"],
        ]
        for label, entry in durable_subjects(results)
    ]
    return [*head, "on disk after a submit"], rows


def crashes_table(results: Results) -> tuple[list[str], Rows]:
    counts = ("jobs", "cut", "unfinished", "ran_twice")
    rows = [
        [label, str(len(crashes["seconds"])), *(f"{crashes[name]:,}" for name in counts)]
        for label, entry in durable_subjects(results)
        if (crashes := entry["durable"]["recovery"]) is not None
    ]
    return ["", "crashes", "jobs", "cut off", "not finished at the cap", "ran twice"], rows


def durable_cpu_table(results: Results) -> tuple[list[str], Rows]:
    rows = [
        [label, *(f"{each:.3f}" for each in (*figures, sum(figures)))]
        for label, entry in durable_subjects(results)
        if (load := entry["in_flight"].get(str(HEADLINE))) is not None
        for figures in [[load["cpu_s_per_1000"][process] for process in PROCESSES]]
    ]
    return ["CPU s per 1,000 durable jobs", *PROCESSES, "together"], rows


def cpu_table(results: Results) -> tuple[list[str], Rows]:
    """Seconds of CPU for 1,000 jobs, one at a time and at the headline's load."""
    heads = ["CPU s per 1,000 jobs", *PROCESSES, "together"]
    rows: Rows = []
    for load in (ONE_AT_A_TIME, HEADLINE):
        rows += _process_rows(
            results,
            load,
            "cpu_s_per_1000",
            lambda figures: [f"{each:.3f}" for each in (*figures, sum(figures))],
        )
    return heads, rows


def memory_table(results: Results) -> tuple[list[str], Rows]:
    rows: Rows = []
    for load in (HEADLINE, 30_000):
        rows += _process_rows(
            results, load, "memory_mb", lambda figures: [f"{each:.0f}" for each in figures]
        )
    return ["MB after the load", *PROCESSES], rows


def targets_table(targets: Sequence[Any]) -> tuple[list[str], Rows]:
    rows = [
        [
            target["what"],
            target["wanted"],
            f"{target['median']:.3g} ({target['low']:.3g}–{target['high']:.3g})",
            "yes" if target["met"] else "no",
        ]
        for target in targets
    ]
    return ["target", "wanted", "found", "met"], rows


def versions_table(results: Results) -> tuple[list[str], Rows]:
    rows = [
        [label, ", ".join(f"{name} {version}" for name, version in entry["versions"].items())]
        for label, entry in _everything(results)
    ]
    return ["", "versions"], rows


# -- texts ---------------------------------------------------------------------------------------


def machine_text(about: Any) -> str:
    quick = " (a quick run)" if about["quick"] else ""
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gb']:g} GB of memory, "
        f"{about['system']}, Python {about['python']}; measured on {about['date']}{quick}. "
        f"Before the first round, other programs kept {about['busy_cores']:g} cores busy."
    )


def idle_text(results: Results) -> str:
    for _, entry in subjects(results):
        if idle := entry.get("idle"):
            return (
                f"A worker of jabot that is signed in and has nothing to do uses "
                f"{idle['cpu_percent']['median']:.1f} % of a core and "
                f"{idle['rss_mb']['median']:.0f} MB (RSS)."
            )
    return "No idle worker was watched."


def durable_text(results: Results) -> str:
    head, rows = durable_table(results)
    return markdown(head, rows) if rows else "No durable subject was measured in this run."


def crashes_text(results: Results) -> str:
    head, rows = crashes_table(results)
    return markdown(head, rows) if rows else "No worker was killed in this run."


def disk_text(about: Any) -> str:
    found = about.get("disk")
    if found is None:
        return ""
    return (
        f"Getting 4 KiB onto the disk ({found['system']}) takes {found['fsync_ms']:g} ms. "
        "A slower disk changes the figures of all that sync."
    )


def syncs_text(about: Any) -> str:
    """What strace counted, if it was there."""
    found = about.get("syncs")
    if not found:
        return "System calls were not counted in this run (`strace` was not there)."
    head = ["jobs in a transaction of the queue on SQLite", "transactions", "syncs of the disk"]
    return markdown(head, [[f"{each:,}" for each in row] for row in found])


def backlog_text(about: Any) -> str:
    """What `bench/backlog/run.py` found last, if it was run."""
    found = about.get("backlog")
    if not found:
        return "The backlog was not measured on this machine (`bench/backlog/run.py`)."
    head = [""]
    for kind in ("submits", "starts"):
        head += [f"{kind}/s, empty", "with the backlog", "ratio", "CPU of the queue for each, µs"]
    rows = []
    for store, each in found.items():
        row = [f"{store}, {each['jobs']:,} jobs"]
        for kind in ("submit", "dispatch"):
            empty, full = each["empty"], each["full"]
            cpu = f"{kind}_cpu_us"
            row += [_whole(empty[kind]), _whole(full[kind]), f"{each['ratio'][kind]:.2f}"]
            row.append(f"{_whole(empty[cpu])} → {_whole(full[cpu])}")
        rows.append([*row, f"{each['memory_mb']:.0f} MB", f"{each['restart_s']:.2f} s"])
    return markdown([*head, "memory of the queue", "restart after `kill -9`"], rows)


_FLEET = (  # rows of the page: the figure of bench/fleet.py, times what, and how it is written
    ("all joined and met, s", "join_s", 1, ".1f"),
    ("CPU of that: server, s", "join_server_cpu_s", 1, ".2f"),
    ("CPU of that: each node, ms", "join_node_cpu_s", 1000, ".0f"),
    ("broadcast until the last reply, median, ms", "broadcast_s", 1000, ",.0f"),
    ("the slowest of seven, ms", "broadcast_most_s", 1000, ",.0f"),
    ("the first one of a guest, ms", "broadcast_as_guest_s", 1000, ",.0f"),
    ("CPU of a broadcast: server, ms", "broadcast_server_cpu_ms", 1, ".0f"),
    ("CPU of a broadcast: each node, ms", "broadcast_node_cpu_ms", 1, ".1f"),
    ("CPU of a broadcast: caller, ms", "broadcast_caller_cpu_ms", 1, ".0f"),
    ("memory: server, MB", "server_mb", 1, ".0f"),
    ("memory: each further node in a process, MB", "node_mb", 1, ".1f"),
    ("CPU when nothing happens: server, %", "idle_server_percent", 1, ".2f"),
    ("CPU when nothing happens: each node, %", "idle_node_percent", 1, ".3f"),
)


def fleet_text(about: Any) -> str:
    """What `bench/fleet.py` found last, if it was run."""
    found = about.get("fleet")
    if not found:
        return "No fleet was measured on this machine (`bench/fleet.py`)."
    rooms = found["rooms"]
    rows = [
        [text, *(format(times * room[name], form) for room in rooms)]
        for text, name, times, form in _FLEET
    ]
    head = ["nodes", *(str(room["nodes"]) for room in rooms)]
    busy = max(room["busy_cores"] for room in rooms)
    return (
        f"{markdown(head, rows)}\n\n"
        f"Other programs kept up to {busy:g} cores busy when this was measured."
    )


def markdown(head: Sequence[str], rows: Rows) -> str:
    """A table, figures to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _process_rows(
    results: Results, load: int, figure: str, texts: Callable[[list[float]], list[str]]
) -> Rows:
    """A row for each subject that had this load."""
    return [
        [f"{label}, {load:,} in flight", *texts([measured[figure][p] for p in PROCESSES])]
        for label, entry in subjects(results)
        if (measured := entry["in_flight"].get(str(load))) is not None
    ]


def _with_spread(load: Any) -> str:
    if load is None:
        return _NOT_MEASURED
    rate = load["jobs_per_s"]
    return f"{_whole(rate['median'])} ({_whole(rate['low'])}–{_whole(rate['high'])})"


def _recovery(recovery: Any) -> str:
    """The time to the next attempt, or for how long there was none."""
    if recovery is None:
        return _NOT_MEASURED
    if recovery["median_s"] is None:
        return f"not within {recovery['cap_s']:g} s"
    return f"{recovery['median_s']:.3g} s"


def _whole(value: float | None) -> str:
    return _NOT_MEASURED if value is None else f"{value:,.0f}"


def _milliseconds(value: float | None) -> str:
    return _NOT_MEASURED if value is None else f"{value:.2f} ms"
