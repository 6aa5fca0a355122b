"""Measure rooms of nodes on one ejabberd: `python bench/fleet.py [--nodes 10,50,200]`.

For each number: how long it takes until all nodes are in the room and know each other, until all of
them have answered a broadcast, and what that costs the server, the nodes and the caller. A table
goes to standard output. A run with the usual numbers writes docs/fleet.json, which `make bench`
puts on its page; any other one writes bench/fleet.json. It ends with exit code 1 when a room takes
longer than it may: 60 s to gather, 2 s for a broadcast.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

# The folder above: `bench` and `tests` are packages in it.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import psutil  # noqa: E402 - after the line above
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import jabot  # noqa: E402
from bench.figures import too_slow_rooms  # noqa: E402
from bench.machine import machine  # noqa: E402
from bench.processes import Program, Usage, usage, usage_of  # noqa: E402
from bench.servers import Account, PlainEjabberd, Servers  # noqa: E402
from jabot.account import Account as JabotAccount  # noqa: E402
from jabot.account import ServerAddress  # noqa: E402

_NODES = Path(__file__).with_name("fleet_nodes.py")
_USUAL = (10, 50, 200)  # nodes
_PAGE_FIGURES = Path(__file__).resolve().parents[1] / "docs" / "fleet.json"
_OTHER_FIGURES = Path(__file__).with_name("fleet.json")
_POOL = 20  # nodes of one account, and of one process
_JOIN_LIMIT = 300.0  # seconds
_ROUNDS = 7  # broadcasts of one caller
_TIMEOUT = 30.0  # seconds for each node

progress = Console(stderr=True, highlight=False)


def measure(count: int) -> dict[str, Any]:
    """The figures of one room, on a server of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jabot-fleet-")))
        servers = Servers(folder)
        stack.callback(servers.close)
        server = servers.ejabberd
        room = f"fleet@conference.{server.domain}"
        caller = server.account("caller")
        programs = [
            stack.enter_context(_nodes(server, folder, caller, number, share, room))
            for number, share in enumerate(_shares(count))
        ]
        for program in programs:
            program.await_ready()
        pids = [program.pid for program in programs]
        before, server_before = usage_of(pids), usage(server.pid)
        began = time.perf_counter()
        with ThreadPoolExecutor(len(programs)) as pool:
            list(pool.map(lambda program: program.order(_JOIN_LIMIT, nodes=count), programs))
        joined = time.perf_counter() - began
        after, server_after = usage_of(pids), usage(server.pid)
        figures = {
            "nodes": count,
            "busy_cores": machine()["busy_cores"],
            "join_s": round(joined, 2),
            "join_server_cpu_s": round(server_after.cpu - server_before.cpu, 2),
            "join_node_cpu_s": round((after.cpu - before.cpu) / count, 3),
            "server_mb": round(server_after.memory, 1),
            "node_mb": round((after.memory - before.memory) / count, 2),
            "process_mb": round(after.memory / len(pids), 1),
            "nodes_a_process": min(count, _POOL),
        }
        called = asyncio.run(_broadcasts(server, caller, room, count, pids))
        figures |= called
        time.sleep(3.0)  # what the broadcasts have set going is over by then
        figures |= _idle(server.pid, pids, count)
        return figures


def _shares(count: int) -> list[int]:
    return [min(_POOL, count - begin) for begin in range(0, count, _POOL)]


@contextmanager
def _nodes(
    server: PlainEjabberd, folder: Path, caller: Account, number: int, share: int, room: str
) -> Iterator[Program]:
    account = server.account(f"bot{number}")
    environment = {
        "JABOT_JID": account.jid,
        "JABOT_PASSWORD": account.password,
        "JABOT_SERVER": server.address,
        "BENCH_CALLER": caller.jid,
        "PYTHONPATH": sys.path[0],
    }
    command = [sys.executable, str(_NODES), str(share), room]
    program = Program(f"nodes {number}", command, folder / f"nodes{number}.log", environment)
    try:
        yield program
    finally:
        program.stop()


async def _broadcasts(
    server: PlainEjabberd, caller: Account, room: str, count: int, pids: list[int]
) -> dict[str, Any]:
    """From the call to the last reply; the first one as a guest who knows nobody yet."""
    account = JabotAccount(
        jabot.JID(caller.jid), caller.password, ServerAddress.parse(server.address)
    )
    async with jabot.connect(account=account) as app:
        as_guest = await _broadcast(app, room, count)
    async with jabot.connect(account=account, rooms=[room]) as app:
        async for _ in app.broadcast("echo", 0, to=room, quorum=1):
            pass  # it is in the room, and they know each other
        before = _usages(server.pid, pids)
        times = [await _broadcast(app, room, count) for _ in range(_ROUNDS)]
        after = _usages(server.pid, pids)
    server_cpu, nodes_cpu, caller_cpu = (
        1000 * (b.cpu - a.cpu) / _ROUNDS for a, b in zip(before, after, strict=True)
    )
    return {
        "broadcast_as_guest_s": round(as_guest, 3),
        "broadcast_s": round(median(times), 3),
        "broadcast_most_s": round(max(times), 3),
        "broadcast_server_cpu_ms": round(server_cpu, 1),
        "broadcast_node_cpu_ms": round(nodes_cpu / count, 2),
        "broadcast_caller_cpu_ms": round(caller_cpu, 1),
    }


async def _broadcast(app: jabot.Client, room: str, count: int) -> float:
    began = time.perf_counter()
    statuses = [reply.status async for reply in app.broadcast("echo", 1, to=room, timeout=_TIMEOUT)]
    took = time.perf_counter() - began
    if statuses != count * ["answered"]:
        raise SystemExit(f"of {count} nodes not all have answered: {sorted(statuses)}")
    return took


def _usages(server: int, pids: list[int]) -> tuple[Usage, Usage, Usage]:
    return usage(server), usage_of(pids), usage(psutil.Process().pid)


def _idle(server: int, pids: list[int], count: int) -> dict[str, Any]:
    """What a room costs in which nothing happens."""
    seconds = 10.0
    before = usage(server).cpu, usage_of(pids).cpu
    time.sleep(seconds)
    used = usage(server).cpu - before[0], usage_of(pids).cpu - before[1]
    return {
        "idle_server_percent": round(100 * used[0] / seconds, 2),
        "idle_node_percent": round(100 * used[1] / seconds / count, 3),
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for row in rows:
        table.add_column(str(row["nodes"]), justify="right")
    for name in rows[0]:
        if name != "nodes":
            table.add_row(name, *(f"{row[name]:g}" for row in rows))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure rooms of nodes on one ejabberd.")
    parser.add_argument("--nodes", default=",".join(map(str, _USUAL)), help="how many, with commas")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    counts = tuple(map(int, given.nodes.split(",")))
    rows = []
    for count in counts:
        progress.print(f"{count} nodes ...")
        rows.append(measure(count))
    figures = given.json or (_PAGE_FIGURES if counts == _USUAL else _OTHER_FIGURES)
    figures.write_text(json.dumps({"machine": machine(), "rooms": rows}, indent=2) + "\n")
    progress.print(f"wrote {figures}")
    Console().print(_table(rows))
    if found := too_slow_rooms(rows):
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
