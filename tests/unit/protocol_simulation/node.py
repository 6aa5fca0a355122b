"""A program on the made-up network: both ends, their windows, and what a link does between them."""

from jabot.errors import NobodyThere, RemoteProtocolError
from jabot.protocol import codec
from jabot.protocol.caller import Caller
from jabot.protocol.events import (
    CancelJob,
    JobAccepted,
    JobEnded,
    JobNeedsWorker,
    JobStepped,
    StartJob,
)
from jabot.protocol.parts import Joiner
from jabot.protocol.windows import Windows
from jabot.protocol.worker import Worker
from jabot.protocol.worker_actions import WorkerSettings

ANSWER_WITHIN = 0.7  # seconds after which a batch is sent again
GRACE = 1.5
RETENTION = 30.0


class SimulatedNode:
    """`runner` gets the worker's events, `book` the outcomes of the caller's jobs."""

    def __init__(self, network, account, name, book, runner, room=1000):
        self.network, self.account, self.address = network, account, f"{account}/{name}"
        self.book, self.runner = book, runner
        self.windows, self.joiner = Windows(), Joiner()
        self.caller = Caller(self.windows.push, GRACE)
        self.worker = Worker(
            self.windows.push, WorkerSettings(retention=RETENTION, jobs_per_account=room)
        )
        self.is_online = self.dead = False
        self.session = 0
        self.pending = set()
        self.there = {}  # peers -> their account
        self._timer = None
        network.nodes.append(self)

    # -- its life ------------------------------------------------------------------------------

    def connect(self):
        if self.dead or self.is_online:
            return
        self.is_online = True
        self.session += 1
        self.network.come(self)
        if self.session > 1:
            self.handle(self.caller.reconnected(self.network.now))
            self.worker.reconnected()
        self.flush()

    def lose_connection(self):
        if self.dead or not self.is_online:
            return
        self.is_online = False
        self.network.go(self)
        self.pending.clear()
        self.there.clear()
        self.caller.connection_lost(self.windows.all_gone())

    def kill(self):
        self.lose_connection()
        self.dead = True
        self.runner.killed(self)
        self.book.killed(self)

    # -- what the network says -----------------------------------------------------------------

    def presence_received(self, peer, account, here):
        if here:
            self.there[peer] = account
            self.worker.peer_here(peer)
            self.handle(self.caller.peer_here(peer, self.network.now))
            self.book.somebody_came(self)
        else:
            self.there.pop(peer, None)
            self.pending = {entry for entry in self.pending if entry[0] != peer}
            leftover = self.windows.gone(peer)
            self.joiner.forget(peer)
            self.worker.peer_gone(peer)
            self.handle(self.caller.peer_gone(peer, leftover, self.network.now))
        self.flush()

    def batch_received(self, peer, account, text, deflated, answer):
        try:
            frames = codec.decode_batch(text, deflated=deflated)
            frames = self.joiner.join(peer, frames, self.network.now)
        except RemoteProtocolError as error:
            answer("error", str(error))
            return
        now = self.network.now
        self.handle(self.worker.received(peer, account, frames, now))
        self.handle(self.caller.received(peer, frames, now))
        self.flush()
        answer("result")

    def _answered(self, peer, batch, what, why):
        if (peer, batch) not in self.pending:
            return
        self.pending.discard((peer, batch))
        now = self.network.now
        if what == "result":
            frames = self.windows.answered(peer, batch)
            self.worker.answered(peer, frames, now)
            self.handle(self.caller.answered(peer, frames, now))
        elif what == "bounce":
            frames = self.windows.refused(peer, batch)
            self.worker.peer_gone(peer)
            self.handle(self.caller.bounced(peer, frames, now))
        else:
            frames, error = self.windows.refused(peer, batch), RemoteProtocolError(why)
            self.handle(self.worker.refused(peer, frames, error, now))
            self.handle(self.caller.refused(peer, frames, error, now))
        self.flush()

    def _late(self, peer, batch, session):
        if (peer, batch) in self.pending and session == self.session and not self.dead:
            self.pending.discard((peer, batch))
            frames = self.windows.failed(peer, batch, lambda frame: self.caller.wants(peer, frame))
            self.caller.unanswered(peer, frames)
            self.flush()

    # -- what it does --------------------------------------------------------------------------

    def flush(self):
        """Send what may be sent, and see to the next timer."""
        if self.is_online:
            while (batch := self.windows.take()) is not None:
                number, peer = batch.id, batch.peer
                self.pending.add((peer, number))
                self.network.batch(
                    self,
                    peer,
                    batch.text,
                    batch.deflated,
                    lambda what, why, p=peer, n=number: self._answered(p, n, what, why),
                )
                self.network.after(ANSWER_WITHIN, self._late, peer, number, self.session)
        due = self.caller.next_timer()
        if due is not None and (self._timer is None or due < self._timer):
            self._timer = due
            self.network.at(due, self._tick, due)

    def _tick(self, due):
        if self._timer == due:
            self._timer = None
        if not self.dead:
            self.handle(self.caller.tick(self.network.now))
            self.flush()

    def handle(self, events):
        for event in events:
            match event:
                case StartJob():
                    self.runner.start(self, event)
                case CancelJob():
                    self.runner.cancel(self, event)
                case JobEnded() | JobStepped() | JobAccepted():
                    self.book.told(self, event)
                case JobNeedsWorker():
                    self.book.needs_worker(self, event)

    def place(self, job_id, peer):
        """Give a waiting job away, or give it up without a peer."""
        if peer is None:
            self.handle(self.caller.give_up(job_id, NobodyThere("nobody is online")))
        else:
            self.caller.place(job_id, peer, self.network.now)
        self.flush()
