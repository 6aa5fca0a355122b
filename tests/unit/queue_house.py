"""A queue without a server: all of its parts, a store that can be away, and a made-up wire."""

import asyncio
import contextlib
import itertools
import json

import msgspec
from msgspec import Raw

from jabot import queue_serving
from jabot.account import Account
from jabot.errors import JabotError, StoreUnavailable
from jabot.jid import JID
from jabot.protocol import codec, limits
from jabot.protocol.frames import Describe, Hello, Submit
from jabot.protocol.options import JobOptions
from jabot.protocol.parts import Joiner, split
from jabot.queue.store import open_store
from jabot.queue.store.verbs import Look
from jabot.queue_node import QueueNode
from jabot.xmpp import Timing
from jabot.xmpp import frames as wire
from unit.clock import turns
from unit.linked import Session, Wire

QUEUE = "jobs@localhost/q-1"
APP, APP_TOO = "app@localhost/web-1", "app@localhost/web-2"
BOT, BOT_TOO = "bot@localhost/host-1", "bot@localhost/host-2"
OTHER = "other@localhost/desk"


class Shelf:
    """A store that can be away, or lose the answer to what it has done."""

    def __init__(self, store):
        self._store = store
        self.away = False
        self.deaf = 0  # how many answers are lost from now on
        self.stuck = None  # an event that everything waits for
        self.verbs = []  # by transaction

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def apply(self, verbs):
        if self.stuck is not None:
            await self.stuck.wait()
        if self.away:
            raise StoreUnavailable("the store is away")
        self.verbs.append(verbs)
        answers = await self._store.apply(verbs)
        if self.deaf:
            self.deaf -= 1
            raise StoreUnavailable("the answer was lost")
        return answers

    def said(self, kind):
        """All verbs of a kind that it was asked for."""
        return [verb for verbs in self.verbs for verb in verbs if type(verb) is kind]


class House(Wire):
    """One queue. Peers are played by the test: batches to them are answered by `heard()`."""

    def __init__(self, monkeypatch, clock, store=None, **options):
        def session(account, owner, timing):
            made = Session()
            made.jid = JID(QUEUE)
            return made

        shelf = self.shelf = Shelf(store or open_store("sqlite:///:memory:"))
        monkeypatch.setattr("jabot.serving.Session", session)
        monkeypatch.setattr(queue_serving, "open_store", lambda url: shelf)
        allow = {"app@localhost": "*", "other@localhost": "*"}
        given = {"allow": allow, "work": ["bot@localhost"], **options}
        node = QueueNode("jobs@localhost", **given)
        account, timing = Account(JID("jobs@localhost"), "", None), Timing(wall=lambda: clock.now)
        self.serving = node._make_serving(account, timing)
        self.session, self.link = self.serving.session, self.serving.link
        self._numbers = itertools.count(1)
        self._joiner = Joiner()
        self.takes_nothing = set()  # peers whose batches stay unanswered
        self._unanswered = []
        self._heard = {}
        self._answers = {}

    async def __aenter__(self):
        await self.shelf.open()
        self._working = asyncio.create_task(self.serving.ledger.run())
        self.serving.upkeep.start()
        self.serving.link.online()
        await turns()
        return self

    async def __aexit__(self, *_):
        self.serving.upkeep.close()
        self.serving.outcomes.close()
        self.serving.catalogue.close()
        self.serving.calls.close(JabotError("the test is over"))
        self._working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._working
        for part in (self.serving.intake, self.serving.employment, self.link):
            part.close()
        await self.shelf.close()

    async def tell(self, peer, *frames):
        """A batch comes in, what is large in parts; what it brings about happens."""
        for frame in frames:
            encoded = codec.encode_frame(frame)
            if len(encoded) > limits.BATCH_MADE:
                for part in split(frame, encoded, next(self._numbers)):
                    self.say(peer, part)
            else:
                self.say(peer, frame)
        await turns()

    async def work(self, peer=BOT, slots=4, tasks=("lift",), held=(), labels=None, **defaults):
        """A worker says hello."""
        told = {task: JobOptions(**defaults) for task in tasks}
        hello = Hello(list(held), slots, Raw(msgspec.json.encode(told)), labels or {})
        await self.tell(peer, hello)

    async def submit(self, job, task="lift", peer=APP, **options):
        """A caller gives a job away."""
        args = options.pop("args", Raw(b"[]"))
        timeout = options.pop("timeout", None)
        raw = Raw(msgspec.json.encode(JobOptions(**options))) if options else Raw(b"null")
        await self.tell(peer, Submit(job, task, args, timeout=timeout, options=raw))

    async def working(self, *jobs, peer=BOT, **options):
        """A worker has these jobs, and has taken all that it was told; the attempts."""
        await self.work(peer)
        for job in jobs:
            await self.submit(job, **options)
        self.answers(peer)
        return [frame.attempt for frame in self.heard(peer, Submit)]

    async def settled(self, peer=APP):
        """All that a peer gets when it takes everything."""
        heard = []
        for _ in range(60):
            heard += self.heard(peer)
            await turns()
        return heard

    def heard(self, peer, kind=None):
        """The frames that a peer has got since the last call. All peers take theirs."""
        self._collect()
        frames, self._heard[peer] = self._heard.get(peer, []), []
        if kind is not None:
            return [frame for frame in frames if isinstance(frame, kind)]
        return frames

    def answers(self, peer):
        """How the batches of a peer were answered since the last call."""
        self._collect()
        return self._answers.pop(peer, [])

    def _collect(self):
        for peer, batch in self._unanswered:
            if peer not in self.takes_nothing:
                self.answer(peer, batch)
        self._unanswered = [each for each in self._unanswered if each[0] in self.takes_nothing]
        while entries := self.take():
            for entry in entries:
                if len(entry) == 2:
                    self._answers.setdefault(entry[0], []).append(entry[1])
                    continue
                peer, frames, batch = entry
                frames = self._joiner.join(peer, frames, 0.0)
                told = [frame for frame in frames if not isinstance(frame, Describe)]
                self._heard.setdefault(peer, []).extend(told)
                if peer in self.takes_nothing:
                    self._unanswered.append((peer, batch))
                else:
                    self.answer(peer, batch)

    async def say_raw(self, peer, *frames):
        """A batch of JSON that is written by hand."""
        text = codec.encode_batch([json.dumps(frame).encode() for frame in frames])
        self.come(peer, wire.batch("x", next(self._numbers), text.text, text.deflated))
        await turns()

    async def record(self, job):
        """What the store knows of a job."""
        (found,) = await self.shelf._store.apply([Look(job)])
        return found

    @property
    def ledger_works(self):
        return not self._working.done()
