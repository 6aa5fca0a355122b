"""Carries a plan out."""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from .journal import Journal
from .plan import Fault
from .stage import Stage

_LOOK = 0.2  # seconds between two looks for programs that ended by themselves
_CHUNK = b"\0" * 1_048_576


class Nemesis:
    """Does harm, and undoes it after its time."""

    def __init__(self, stage: Stage, journal: Journal) -> None:
        self._stage = stage
        self._journal = journal
        self._ballast = stage.disk / "ballast"
        # For ever: a server ends with the thread that started it.
        self._threads = ThreadPoolExecutor(32, "nemesis")
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self.ended: list[str] = []
        """Programs that ended by themselves: which, and how."""

    def carry_out(self, faults: Sequence[Fault]) -> None:
        """All of them, each in a thread of its own; everything works again in the end."""
        begun = time.monotonic()
        over = begun + max((fault.at + fault.lasts for fault in faults), default=0.0)
        doing = []
        for fault in faults:
            while (wait := begun + fault.at - time.monotonic()) > 0:
                time.sleep(min(wait, _LOOK))
                self._supervise()
            doing.append(self._threads.submit(self._do, fault))
        while time.monotonic() < over or not all(one.done() for one in doing):
            time.sleep(_LOOK)
            self._supervise()
        for one in doing:
            one.result()
        self._heal(faults)

    def _do(self, fault: Fault) -> None:
        """It waits for the one before it on the same target: a server takes its time to start."""
        begin, end = self._deeds(fault)
        with self._locks[fault.claims]:
            self._note("fault", fault)
            begin()
            time.sleep(fault.lasts)
            end()
            self._note("healed", fault)

    def _note(self, what: str, fault: Fault) -> None:
        self._journal.note(what, kind=fault.kind, target=fault.target, detail=fault.detail)

    def _deeds(self, fault: Fault) -> tuple[Callable[[], object], Callable[[], object]]:
        stage, name = self._stage, fault.target
        if fault.kind == "cut":
            return (
                lambda: stage.hosts.cut(name, fault.detail),
                lambda: stage.hosts.join(name, fault.detail),
            )
        if fault.kind == "fill":
            return self._fill, self._free
        if fault.kind == "jump":
            clock = stage.clocks[name]
            return lambda: clock.set(float(fault.detail)), lambda: None  # it stays so: see _heal
        if name == "server":
            return self._deeds_to_server(fault.kind)
        if name == "store":
            return self._deeds_to_store(fault.kind)
        actor = stage.actors[name]
        begin = {"kill": actor.kill, "freeze": actor.freeze, "restart": actor.terminate}
        return begin[fault.kind], actor.thaw if fault.kind == "freeze" else actor.start

    def _deeds_to_server(self, kind: str) -> tuple[Callable[[], object], Callable[[], object]]:
        server = self._stage.server
        if kind == "freeze":
            return server.pause, server.resume
        return server.kill if kind == "kill" else server.stop, server.start

    def _deeds_to_store(self, kind: str) -> tuple[Callable[[], object], Callable[[], object]]:
        postgres = self._stage.postgres
        assert postgres is not None
        if kind == "freeze":
            return postgres.pause, postgres.resume
        return lambda: postgres.stop(immediate=True), self._start_store

    def _fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file:
            for size in (len(_CHUNK), 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(_CHUNK[:size])

    def _free(self) -> None:
        self._ballast.unlink(missing_ok=True)
        self._start_store()

    def _start_store(self) -> None:
        """PostgreSQL, if it is not running: it ends itself on a full disk."""
        postgres = self._stage.postgres
        if postgres is not None and not postgres.is_running and not self._ballast.exists():
            postgres.start()

    def _supervise(self) -> None:
        """Start again what ended by itself, as a service manager does."""
        for actor in self._stage.actors.values():
            code = actor.revive()
            if code is not None:
                self._journal.note("ended", target=actor.name, code=code)
                self.ended.append(f"{actor.name} (exit code {code})")

    def _heal(self, faults: Sequence[Fault]) -> None:
        """Nobody is to wait for a moment of the fastest clock in vain."""
        fastest = max([0.0, *(float(fault.detail) for fault in faults if fault.kind == "jump")])
        for clock in self._stage.clocks.values():
            clock.set(fastest)
        self._journal.note("peace")
