"""A chat without a network: who talks in it, the room they do it in, and a task that they run.

`Mouth` stands in for the session below: it keeps what a node says. `Room` is a chat with a real
runner, pool and rules, on a mouth; `finish(room)` waits for its jobs.
"""

import asyncio

from jabot import JID, Context
from jabot.access import Access
from jabot.chat import Chat
from jabot.chat.direct import NAMES, Direct
from jabot.chat.obeying import Obeying
from jabot.chat.talk import Talks
from jabot.pool import Pool
from jabot.runner import Desk, Runner
from jabot.tasks import Registry, Task
from jabot.xmpp.stanzas import (
    CHAT_STATES,
    CLIENT,
    CORRECT,
    IncomingText,
    OutgoingText,
    read_text,
)
from unit.clock import turns

OWN = JID("bot@localhost/host-1")
BOSS = JID("boss@localhost/desk")
ALICE = JID("alice@localhost/phone")
BOB = JID("bob@localhost/desk")
EVE = JID("eve@evil.example/x")


class Mouth:
    """What a node says. `texts` are kept until delivered, `lossy` may get lost."""

    def __init__(self):
        self.texts: list[OutgoingText] = []
        self.arrivals = []  # what each text's arrival is told to
        self.lossy = []
        self.everything = []  # what a person's program gets, in order
        self.connected = True
        self.can = {}
        self.asked = []

    def send_text(self, text, arrived=None):
        self.texts.append(text)
        self.arrivals.append(arrived)
        self.everything.append(read(text.xml()))

    def send(self, element):
        if self.connected:
            self.lossy.append(element)
            if element.tag == f"{{{CLIENT}}}message":
                self.everything.append(read(element))
        return self.connected

    async def features(self, jid):
        self.asked.append(jid)
        return frozenset(self.can.get(jid, ()))

    def said(self, to=None):
        """The bodies of what was said since the last call, and forget them."""
        said = [text.body for text in self.texts if to is None or text.to == to]
        self.texts = [text for text in self.texts if to is not None and text.to != to]
        return said


def read(element):
    """A message as its receiver reads it."""
    element.set("from", str(OWN))
    return read_text(element, JID(element.get("to"))) or element


class Room:
    """A chat with everything below it, and people who talk to it."""

    def __init__(self, *, allow=None, runner=None, joined=True, **options):
        if allow is None:
            allow = {"alice@localhost": "*", "bob@localhost": ["lift"]}
        self.mouth, self.pool = Mouth(), Pool()
        self.runner = runner or Runner(concurrency=2)
        self.tasks = Registry(reserved=NAMES)
        access = Access(allow, manage=["boss@localhost"])
        self.desk = Desk(lambda: OWN, self.tasks, self.runner, access)
        self.stopped = 0
        if joined:
            self.pool.join(OWN, 1)
            self.pool.take_part()
        self.talks = Talks(self.mouth)
        self.clerk = Direct(self.desk, self.talks, self._stop)
        self.obeying = Obeying(self.clerk, **options)
        self.chat = Chat(self.obeying, self.talks, self.mouth, self.pool)

    def _stop(self):
        self.stopped += 1

    def task(self, function, **options):
        task = Task(function, **options)
        self.tasks.add(task)
        return task

    def hear(self, line, sender=ALICE, **fields):
        """A line comes in."""
        defaults = {
            "to": OWN,
            "id": "x",
            "type": "chat",
            "delayed": False,
            "chat_state": None,
            "replaces": None,
            "automatic": False,
        }
        self.chat.received(IncomingText(sender=sender, body=line, **defaults | fields))

    def ask(self, line, sender=ALICE, **fields):
        """A line comes in; gives what is answered at once."""
        self.mouth.said()
        self.hear(line, sender, **fields)
        return "\n---\n".join(self.mouth.said())


MODERN = {CHAT_STATES, CORRECT}


async def lift(reps: int = 3, *, ctx: Context) -> str:
    """Lift something heavy."""
    for n in range(reps):
        await asyncio.sleep(1)
        ctx.progress(n + 1, reps)
    return f"Lifted {reps}"


async def finish(room):
    """Return when all jobs have come to an end, and it was said."""
    for job in room.runner.jobs:
        await asyncio.wait([asyncio.ensure_future(_quietly(job))])
    await turns()


async def _quietly(job):
    try:
        return await job
    except Exception:
        return None
