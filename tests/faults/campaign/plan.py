"""What befalls whom, and when: a plan that follows from a seed alone."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

QUIET = 2.0  # seconds at the beginning
GAP = 3.0  # seconds between the beginnings of two faults, on average
WAYS = ("both", "from", "to")
JUMPS = (-1500, -90, 90, 1500)  # seconds that a clock is wrong


@dataclass(frozen=True)
class Fault:
    """One fault. Times in seconds from the beginning."""

    at: float
    kind: str  # one of `KINDS`
    target: str  # a program or its machine
    lasts: float
    detail: str = ""

    def __str__(self) -> str:
        detail = f" ({self.detail})" if self.detail else ""
        return f"{self.at:7.2f} s  {self.kind} {self.target}{detail} for {self.lasts:.2f} s"

    @property
    def claims(self) -> str:
        """What no two faults may work on at a time."""
        part = {"cut": "network", "jump": "clock", "fill": "disk"}.get(self.kind, "process")
        return f"{part} of {self.target}"


def plan(
    seed: int, seconds: float, lease: float, targets: Mapping[str, list[str]], *, every: float = GAP
) -> list[Fault]:
    """The faults of a campaign.

    `targets` are the programs of each role. Each kind of fault comes once, with some role, before
    any comes again; then each kind in each role.
    """
    chance = random.Random(seed)
    gap = min(every, seconds / (2 * len(KINDS)))
    free: dict[str, float] = {}
    faults: list[Fault] = []
    at = QUIET
    for kind, role in _deck(chance, targets):
        at += chance.uniform(0.5, 1.5) * gap
        fault = _fault(chance, at, kind, chance.choice(targets[role]), lease)
        if fault.at + fault.lasts > QUIET + seconds:
            return faults
        if fault.at < free.get(fault.claims, 0.0):
            continue  # it has its turn later
        free[fault.claims] = fault.at + fault.lasts + 1.0
        faults.append(fault)
    return faults


# Who can have which fault.
KINDS: dict[str, tuple[str, ...]] = {
    "kill": ("worker", "queue", "caller", "server", "store"),
    "freeze": ("worker", "queue", "caller", "server", "store"),
    "cut": ("worker", "queue", "caller", "server", "store"),
    "restart": ("worker", "queue", "server"),
    "fill": ("disk",),
    "jump": ("queue", "worker", "store"),
}


def _deck(chance: random.Random, targets: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    cards = [(kind, role) for kind, roles in KINDS.items() for role in roles if targets.get(role)]
    chance.shuffle(cards)
    first = [next(card for card in cards if card[0] == kind) for kind in KINDS]
    chance.shuffle(first)
    yield from first
    while True:
        chance.shuffle(cards)
        yield from cards


def _fault(chance: random.Random, at: float, kind: str, target: str, lease: float) -> Fault:
    if kind == "kill":
        return Fault(at, kind, target, chance.uniform(0.2, 2.5))
    if kind == "freeze":
        return Fault(at, kind, target, chance.uniform(0.8, 2.0) * lease)
    if kind == "cut":
        return Fault(at, kind, target, chance.uniform(0.5, 2.0) * lease, chance.choice(WAYS))
    if kind == "jump":
        return Fault(at, kind, target, chance.uniform(1.0, 6.0), str(chance.choice(JUMPS)))
    return Fault(at, kind, target, chance.uniform(0.5, 2.5))
