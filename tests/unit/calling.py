"""Calls over a link that is made up, and a job that a worker has."""

import asyncio

from jabot.calls import Calls
from jabot.calls.options import Call, options
from jabot.protocol.frames import Submit
from unit.clock import turns
from unit.linked import BOT, Wire

POOL = "bot@localhost"
NODE = {"tasks": "lift", "running": "0", "slots": "4", "version": "v"}


class Caller(Wire):
    """Calls over the link."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.calls = Calls(self.session, self.link)
        self.link.online()

    def submit(self, to=POOL, task="lift", **given):
        return asyncio.ensure_future(
            self.calls.submit(Call(task, result_type=int), options(to, **given)),
        )

    async def offered(self):
        """The submits that were sent since the last call, and the batches are answered."""
        await turns()
        found = []
        for peer, frames, number in self.batches():
            found += [(peer, frame) for frame in frames if isinstance(frame, Submit)]
            self.answer(peer, number)
        await turns()
        return found

    def greetings(self):
        """To whom, since the last call."""
        elements, self.session.elements = self.session.elements, []
        return [
            (element.get("type") or "hello", element.get("to"))
            for element in elements
            if element.get("to")
        ]


async def taken(caller, slots="4", **given):
    """A job that BOT has."""
    submitting = caller.submit(**given)
    await turns()
    caller.see(BOT, node=NODE | {"slots": slots})
    ((peer, frame),) = await caller.offered()
    assert peer == BOT
    return await submitting, frame
