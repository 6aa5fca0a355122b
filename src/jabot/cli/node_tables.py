"""Nodes that are online, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from jabot.cli.screen import one_line, plain_table
from jabot.peers import Peer, as_text


def plain_node(peer: Peer) -> dict[str, Any]:
    """For a program."""
    return {
        "jid": peer.jid,
        "running": peer.running,
        "waiting": peer.waiting,
        "slots": peer.slots,
        "load": peer.load,
        "tasks": None if peer.tasks is None else sorted(peer.tasks),
        "labels": dict(peer.labels),
        "version": peer.version,
    }


def node_table(peers: Sequence[Peer]) -> Table:
    """For a person: one line for each node."""
    table = plain_table("NODE", "LOAD", "TASKS", "LABELS", folded=True)
    for peer in peers:
        tasks = "?" if peer.tasks is None else ", ".join(sorted(peer.tasks)) or "-"
        labels = as_text(peer.labels) or "-"
        table.add_row(one_line(peer.jid), _load(peer), one_line(tasks), one_line(labels))
    return table


def _load(peer: Peer) -> Text:
    """`3 of 8`, and how many wait; red when one more would have to."""
    text = f"{peer.running} of {peer.slots}"
    if peer.waiting:
        text += f", {peer.waiting} waiting"
    return Text(text, style="red" if peer.load >= 1 else "green")
