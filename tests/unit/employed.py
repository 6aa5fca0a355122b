"""A node that works for a queue, over a link that is made up."""

import asyncio
import contextlib

from msgspec import Raw

from jabot import Context
from jabot.access import Access
from jabot.employment import Employment
from jabot.intake import Intake
from jabot.jid import JID
from jabot.protocol.frames import Hello, Submit
from jabot.runner import Desk, Runner
from jabot.tasks import Registry, Task
from unit.clock import turns
from unit.linked import Wire

NODE = JID("bot@localhost/host-1")
QUEUE = "jobs@localhost"
ONE, TWO = f"{QUEUE}/one", f"{QUEUE}/two"
ANN = "ann@localhost/web-1"
HELLO = Hello([], 2, Raw(b'{"hold":{}}'), {"gpu": "a100"}, "v1")


class Scene(Wire):
    """A node with two slots that works for one queue."""

    def __init__(self, clock, queues=(QUEUE,)):
        super().__init__()
        self.clock, self.runner = clock, Runner(concurrency=2, on_change=self._changed)
        self.gates, self.began, self.choices = {}, [], []
        tasks = Registry()

        async def hold(name: str = "", *, ctx: Context) -> str:
            self.began.append(ctx)
            gate = self.gates.setdefault(ctx.job_id, asyncio.get_running_loop().create_future())
            return await asyncio.shield(gate)

        async def fail() -> None:
            raise ValueError("no")

        async def stubborn(*, ctx: Context) -> str:
            self.began.append(ctx)
            ctx.let_go = asyncio.Event()
            while not ctx.let_go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await ctx.let_go.wait()
            if ctx.cancelled:
                raise asyncio.CancelledError
            return "done"

        tasks.add(Task(hold))
        tasks.add(Task(stubborn))
        tasks.add(Task(fail, retries=3))
        self.access = Access({"ann@localhost": "*"})
        for queue in queues:
            self.access.work_for(queue)
        self.desk = Desk(lambda: NODE, tasks, self.runner, self.access)
        self.intake = Intake(self.desk, self.link, 50)
        self.employment = Employment(
            self.session, self.link, self.intake, queues, self._abilities, self._choose
        )

    def _abilities(self, queue):
        others = self.runner.running + self.runner.waiting - self.runner.unfinished(queue)
        slots = 0 if self.runner.draining else max(0, 2 - others)
        return Hello([], slots, HELLO.tasks, HELLO.labels, HELLO.version)

    def _choose(self, nodes):
        self.choices.append(sorted(nodes))
        return min(nodes)

    def _changed(self):
        if hasattr(self, "employment"):
            self.employment.news()

    def shows(self, *nodes, lease="15"):
        for node in nodes:
            self.see(node, node={"queue": "1", "lease": lease})

    def greetings(self):
        """Whom it has greeted since the last call."""
        said, self.session.elements = self.session.elements, []
        return [e.get("to") for e in said if any(child.tag.endswith("}hello") for child in e)]

    async def hear(self, *, answer=True, but=()):
        """What it says by batches, as `(peer, frame)`, which are answered; `but` not by these."""
        await turns()
        heard = []
        for entry in self.take():
            if len(entry) == 3:
                heard += [(entry[0], frame) for frame in entry[1]]
                if answer and entry[0] not in but:
                    self.answer(entry[0], entry[2])
        return heard

    async def gives(self, node, *frames):
        self.say(node, *frames)
        return await self.hear()

    def ends(self, job, value="done"):
        self.gates[job].set_result(value)


def submit(job="j", task="hold", attempt=1, **more):
    more.setdefault("caller", ANN)
    return Submit(job, task, attempt=attempt, **more)
