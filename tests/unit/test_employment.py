"""Working for queues, over a made-up session and on a made-up clock."""

import asyncio
import base64
import contextlib
import itertools
import json
import random

import pytest
from msgspec import Raw, structs

from jabot import Context
from jabot.access import Access
from jabot.employment import Employment
from jabot.errors import JobCancelled
from jabot.intake import Intake
from jabot.jid import JID
from jabot.protocol import limits
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Heartbeat,
    Hello,
    Part,
    Rejected,
    State,
    Submit,
    Succeeded,
)
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


@pytest.fixture
async def scene(clock):
    scene = Scene(clock)
    scene.back()
    yield scene
    await scene.runner.abandon(1)
    scene.employment.close()
    scene.intake.close()
    scene.link.close()


@pytest.fixture
async def working(scene):
    """It works with the first of two nodes."""
    scene.shows(ONE, TWO)
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(ONE, HELLO)]
    return scene


def submit(job="j", task="hold", attempt=1, **more):
    more.setdefault("caller", ANN)
    return Submit(job, task, attempt=attempt, **more)


# -- finding a node ----------------------------------------------------------------------------


async def test_it_greets_the_queue_and_says_hello_to_one_of_its_nodes(scene):
    assert scene.greetings() == [QUEUE]
    scene.shows(TWO)
    await scene.clock.advance(0.05)
    scene.shows(ONE)
    assert await scene.hear() == []  # not to the quickest one
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(ONE, HELLO)]
    assert scene.choices == [[ONE, TWO]]


async def test_only_nodes_of_a_queue_are_worked_for(scene):
    scene.see(ONE, node={"tasks": "hold", "slots": "8"})  # a worker of the same account
    await scene.clock.advance(3)
    assert await scene.hear() == []
    scene.shows(TWO)
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(TWO, HELLO)]


async def test_a_queue_that_is_not_there_is_looked_for(scene, caplog):
    times = []
    for _ in range(300):
        await scene.clock.advance(0.1)
        times += [round(scene.clock.now - 1000, 1)] * len(scene.greetings())
    gaps = [round(b - a, 1) for a, b in itertools.pairwise(times)]
    assert gaps[:3] == [pytest.approx(seconds, abs=0.1) for seconds in (1, 2, 4)]
    assert set(gaps[3:]) == {5.0}
    assert caplog.text.count(f"nobody at {QUEUE} answers") == 1
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(ONE, HELLO)]


async def test_a_queue_that_does_not_take_us_is_asked_again(scene, caplog):
    scene.see(QUEUE, "error", condition="forbidden")
    await scene.clock.advance(3)
    assert f"{QUEUE} does not allow" in caplog.text
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(ONE, HELLO)]


async def test_when_its_node_goes_it_goes_to_another_one_at_once(working):
    working.see(ONE, "unavailable")
    assert await working.hear() == [(TWO, HELLO)]
    working.see(TWO, "unavailable")
    assert await working.hear() == []
    working.greetings()
    await working.clock.advance(0.6)
    assert working.greetings() == [QUEUE]
    working.shows(ONE)
    assert await working.hear() == [(ONE, HELLO)]


async def test_an_address_that_nobody_has_is_left(scene):
    scene.shows(ONE, TWO)
    await scene.clock.advance(0.2)
    ((peer, _, number),) = scene.take()
    scene.answer(peer, number, "service-unavailable")
    assert await scene.hear() == [(TWO, HELLO)]


@pytest.mark.parametrize("how", ["forbidden", "resource-constraint", "rejected"])
async def test_a_node_that_refuses(scene, how):
    async def refuse():
        await turns()
        ((peer, frames, number),) = scene.batches()
        assert frames == [HELLO]
        if how == "rejected":
            scene.answer(peer, number)
            scene.say(peer, Rejected("hello", 0, "not_allowed", "you may not"))
        else:
            scene.answer(peer, number, how)
        await turns()
        return peer

    scene.shows(ONE, TWO)
    await scene.clock.advance(0.2)
    assert await refuse() == ONE
    assert await refuse() == TWO  # at once
    now, gaps = scene.clock.now, []
    for _ in range(6):
        while not any(stanza.get("type") == "set" for stanza in scene.session.stanzas):
            await scene.clock.advance(0.1)
        gaps.append(scene.clock.now - now)
        now = scene.clock.now
        await refuse()
    assert max(gaps) <= 5.1
    assert gaps[-1] > 1
    while not (heard := await scene.hear()):
        await scene.clock.advance(0.1)
    assert heard[0][1] == HELLO  # it never gives up


async def test_what_a_refusal_says_is_logged_once(scene, caplog):
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    for _ in range(40):
        for peer, frame in await scene.hear():
            assert isinstance(frame, Hello)
            scene.say(peer, Rejected("hello", 0, "not_allowed", "you may not work here"))
        await scene.clock.advance(0.5)
    assert caplog.text.count("you may not work here") == 1


# -- signs of life -----------------------------------------------------------------------------


async def test_heartbeats_name_what_it_has(working):
    await working.clock.advance(4.9)
    assert await working.hear() == [(ONE, Heartbeat([]))]
    await working.gives(ONE, submit("a"), submit("b", attempt=3))
    await working.clock.advance(5)
    assert await working.hear() == [(ONE, Heartbeat([("a", 1), ("b", 3)]))]


async def test_heartbeats_are_as_frequent_as_the_lease_wants(scene):
    scene.shows(ONE, lease="3")
    await scene.clock.advance(0.2)
    await scene.hear()
    beats = 0
    for _ in range(10):
        await scene.clock.advance(1)
        beats += len(await scene.hear())
    assert beats == 10


async def test_only_the_queues_jobs_are_named(working):
    await working.gives(ANN, Submit("mine", "hold"))
    await working.gives(ONE, submit("a"))
    await working.clock.advance(5)
    heard = await working.hear()
    assert [frame for _, frame in heard if isinstance(frame, Heartbeat)] == [Heartbeat([("a", 1)])]


async def test_a_heartbeat_does_not_wait_behind_a_large_result(working):
    await working.gives(ONE, submit("a"))
    noise = base64.b64encode(random.Random(1).randbytes(2_000_000)).decode()
    working.ends("a", noise)
    await turns()
    sent = working.batches()
    assert len(sent) == limits.WINDOW
    await working.clock.advance(5)
    assert working.batches() == []  # the window is full
    working.answer(ONE, sent[0][2])
    await turns()
    ((_, frames, _),) = working.batches()
    assert frames[0] == Heartbeat([("a", 1)])
    assert isinstance(frames[1], Part)


async def test_a_node_that_is_silent_is_left_for_another_one(working, caplog):
    await working.gives(ONE, submit("a"))
    for _ in range(2):
        await working.clock.advance(5)
        heard = await working.hear(but=[ONE])
    assert (TWO, structs.replace(HELLO, held=[("a", 1)])) in heard
    assert "has taken nothing" in caplog.text


async def test_the_only_node_is_not_left_for_its_silence(scene):
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    await scene.hear()
    for _ in range(10):
        await scene.clock.advance(5)
        heard = await scene.hear(but=[ONE])
        assert all(isinstance(frame, Heartbeat) for _, frame in heard)


# -- what it holds, when it changes nodes ------------------------------------------------------


async def test_the_next_node_hears_what_it_has_and_then_the_outcomes(working):
    await working.gives(ONE, submit("runs"), submit("ended", attempt=2))
    working.ends("ended")
    outcome = Succeeded("ended", 2, Raw(b'"done"'))
    assert await working.hear(but=[ONE]) == [(ONE, outcome)]
    working.see(ONE, "unavailable")
    heard = await working.hear()
    hello = structs.replace(HELLO, held=[("runs", 1), ("ended", 2)])
    assert heard == [(TWO, hello), (TWO, outcome)]
    working.shows(ONE)
    working.ends("runs")
    assert await working.hear() == [(TWO, Succeeded("runs", 1, Raw(b'"done"')))]  # and to no other
    working.see(TWO, "unavailable")
    assert await working.hear() == [(ONE, HELLO)]


async def test_what_ended_while_nobody_was_there(scene):
    scene.shows(ONE)
    await scene.clock.advance(0.2)
    await scene.hear()
    await scene.gives(ONE, submit("a"))
    scene.see(ONE, "unavailable")
    scene.ends("a")
    assert await scene.hear() == []
    scene.shows(TWO)
    (hello, outcome) = await scene.hear()
    assert (hello[0], hello[1].held) == (TWO, [("a", 1)])
    assert outcome == (TWO, Succeeded("a", 1, Raw(b'"done"')))


async def test_after_a_reconnect_the_same_node_hears_of_it_at_once(working):
    await working.gives(ONE, submit("runs"), submit("ended"))
    working.drop()
    working.ends("ended")
    await turns()
    working.greetings()
    working.back()
    heard = await working.hear()
    assert working.greetings() == [QUEUE]
    assert [peer for peer, _ in heard] == [ONE, ONE]
    assert heard[0][1].held == [("runs", 1), ("ended", 1)]
    assert heard[1][1] == Succeeded("ended", 1, Raw(b'"done"'))


async def test_after_a_reconnect_the_node_may_be_another_one(working):
    await working.gives(ONE, submit("runs"))
    working.drop()
    working.back()
    await turns()
    ((peer, _, number),) = working.batches()
    assert peer == ONE
    working.answer(peer, number, "service-unavailable")
    working.shows(TWO)
    ((peer, hello),) = await working.hear()
    assert (peer, hello.held) == (TWO, [("runs", 1)])


async def test_an_old_hello_is_never_said_again(working):
    """A queue takes what a hello does not name for lost."""
    working.see(ONE, "unavailable")
    assert await working.hear(answer=False) == [(TWO, HELLO)]
    await working.gives(TWO, submit("a"))
    hellos = []
    for _ in range(8):
        await working.clock.advance(5)
        heard = await working.hear(but=[TWO])
        hellos += [frame.held for _, frame in heard if isinstance(frame, Hello)]
    assert hellos == [[("a", 1)]]


# -- slots -------------------------------------------------------------------------------------


async def test_slots_that_others_take_are_not_offered(working):
    await working.gives(ANN, Submit("mine", "hold"))
    await working.clock.advance(1)
    ((peer, hello),) = await working.hear()
    assert (peer, hello.slots) == (ONE, 1)
    await working.gives(ONE, submit("a"))  # its own jobs count at the queue
    await working.clock.advance(2)
    assert await working.hear() == []
    working.ends("mine")
    await working.clock.advance(1)
    hellos = [frame for peer, frame in await working.hear() if peer == ONE]
    assert [(hello.slots, hello.held) for hello in hellos] == [(2, [("a", 1)])]


async def test_slots_are_not_told_for_each_job(working):
    for number in range(50):
        await working.gives(ANN, Submit(f"m{number}", "fail", timeout=0.01))
        await working.clock.advance(0.1)
    hellos = [f for p, f in await working.hear() if p == ONE and isinstance(f, Hello)]
    assert len(hellos) <= 6


async def test_a_node_that_stops_says_so_before_it_hands_back(working):
    await working.gives(ONE, submit("a"), submit("b"), submit("waits"))
    working.runner.draining = True
    working.employment.news()
    working.intake.drain()
    hello, handed_back = await working.hear()
    assert (hello[1].slots, len(hello[1].held)) == (0, 3)
    assert (handed_back[1].id, handed_back[1].code) == ("waits", "draining")
    working.see(ONE, "unavailable")  # also to the next one
    assert [f.slots for p, f in await working.hear() if p == TWO and isinstance(f, Hello)] == [0]


async def test_a_hello_that_would_wait_is_said_later(working):
    await working.gives(ONE, submit("a"))
    for _ in range(limits.WINDOW):
        working.began[0].progress(1)
        await turns()
    unanswered = working.batches()
    assert len(unanswered) == limits.WINDOW
    await working.gives(ANN, Submit("mine", "hold"))
    await working.clock.advance(3)
    assert [frame for peer, frame in await working.hear(answer=False) if peer == ONE] == []
    for peer, _, number in unanswered:
        working.answer(peer, number)
    await working.clock.advance(0.2)
    hellos = [f for p, f in await working.hear() if p == ONE and isinstance(f, Hello)]
    assert [(hello.slots, hello.held) for hello in hellos] == [(1, [("a", 1)])]


# -- jobs --------------------------------------------------------------------------------------


async def test_a_job_is_told_who_asked_first(working):
    parents = Raw(json.dumps([3, {"rows": 4}]).encode())
    await working.gives(ONE, submit(attempt=4, parents=parents))
    (ctx,) = working.began
    assert (str(ctx.caller), str(ctx.via), ctx.attempt) == (ANN, QUEUE, 4)
    assert ctx.parents == [3, {"rows": 4}]
    await working.gives(ANN, Submit("mine", "hold"))
    direct = working.began[1]
    assert (str(direct.caller), direct.via, direct.parents) == (ANN, None, [])


@pytest.mark.parametrize(
    ("peer", "frame", "code"),
    [
        (ANN, submit(caller="boss@localhost/x"), "not_allowed"),
        (TWO, submit(), "draining"),  # another node of the queue
        (ONE, submit(caller="a@b@c/"), "protocol"),
        (ONE, submit(parents=Raw(b'{"a":1}')), "protocol"),
    ],
)
async def test_who_may_speak_for_others(working, peer, frame, code):
    ((to, rejected),) = await working.gives(peer, frame)
    assert (to, rejected.id, rejected.code) == (peer, "j", code)
    assert working.began == []


async def test_the_queues_account_may_ask_for_itself(working):
    await working.gives(f"{QUEUE}/by-hand", Submit("j", "hold"))
    assert (str(working.began[0].caller), working.began[0].via) == (f"{QUEUE}/by-hand", None)


async def test_the_queue_decides_about_retries(working):
    (told,) = await working.gives(ONE, submit(task="fail"))
    assert (told[1].type, told[1].attempt) == ("ValueError", 1)
    (again,) = await working.gives(ONE, submit(task="fail", attempt=2))
    assert (again[1].type, again[1].attempt) == ("ValueError", 2)


async def test_a_cancel_reaches_the_job(working):
    await working.gives(ONE, submit())
    heard = await working.gives(ONE, Cancel("j", 1, "enough"))
    assert heard == [(ONE, Cancelled("j", 1, "enough"))]
    # One for an attempt that it has not is harmless.
    assert await working.gives(ONE, Cancel("k", 1)) == [(ONE, Cancelled("k", 1))]
    await working.gives(ONE, submit("k", attempt=2))
    assert working.began[1].job_id == "k"


async def test_an_attempt_that_was_given_up_is_no_cancelled_job(working):
    """The queue stops what it takes for lost, and gives the same worker the job again."""
    await working.gives(ONE, submit())
    heard = await working.gives(ONE, Cancel("j", 1, "this attempt is over"), submit(attempt=2))
    assert not any(isinstance(frame, Cancelled) for _, frame in heard)
    assert [ctx.attempt for ctx in working.began] == [1, 2]
    assert working.began[0].cancelled
    working.gates.pop("j", None)
    await working.gives(ONE, Cancel("j", 2, "enough"))
    assert working.runner.jobs == []


async def test_an_attempt_waits_for_the_end_of_the_one_before(working):
    await working.gives(ONE, submit(task="stubborn"))
    await working.gives(ONE, Cancel("j", 1, "over"), submit(task="stubborn", attempt=2))
    assert [ctx.attempt for ctx in working.began] == [1]
    await working.clock.advance(5)
    heartbeats = [f for _, f in await working.hear() if isinstance(f, Heartbeat)]
    assert heartbeats == [Heartbeat([("j", 2)])]
    working.see(ONE, "unavailable")  # it changes nodes meanwhile
    working.began[0].let_go.set()
    await working.clock.advance(1)
    assert [ctx.attempt for ctx in working.began] == [1, 2]
    working.began[1].let_go.set()
    heard = await working.hear()
    assert heard[-1] == (TWO, Succeeded("j", 2, Raw(b'"done"')))
    assert not any(isinstance(frame, Cancelled) for _, frame in heard)


async def test_what_a_stop_leaves_unfinished_is_lost_and_not_cancelled(working):
    await working.gives(ONE, submit("a"))
    await working.gives(ANN, Submit("mine", "hold"))
    await working.clock.advance(2)
    await working.hear()
    await working.runner.drain(1)
    heard = dict(await working.hear())
    failed = heard[ONE] if isinstance(heard[ONE], Failed) else None
    assert failed is not None
    assert (failed.id, failed.code, failed.type) == ("a", "lost", "WorkerLost")
    assert heard[ANN] == Cancelled("mine", 1, "the node is stopping")


async def test_a_job_that_was_cancelled_before_the_stop_is_cancelled(working):
    await working.gives(ONE, submit("a"), submit("b"))
    working.say(ONE, Cancel("a", 1, "enough"))
    working.runner.cancel(working.runner.jobs[1], "by hand")
    await working.runner.drain(0.1)
    told = {f.id: f for _, f in await working.hear() if not isinstance(f, Hello)}
    assert told == {"a": Cancelled("a", 1, "enough"), "b": Cancelled("b", 1, "by hand")}


async def test_a_copy_of_a_submit_runs_nothing(working):
    await working.gives(ONE, submit())
    assert await working.gives(ONE, submit()) == [(ONE, State("j", 1, "running"))]
    assert len(working.began) == 1


async def test_jobs_of_the_queue_are_counted_as_its_own(working):
    await working.gives(ONE, submit())
    assert working.runner.unfinished(QUEUE) == 1
    assert working.runner.unfinished("ann@localhost") == 0
    with pytest.raises(JobCancelled):
        job = working.runner.jobs[0]
        working.runner.cancel(job)
        await job


async def test_a_node_without_queues_has_nothing_to_do(clock):
    scene = Scene(clock, queues=())
    scene.back()
    await clock.advance(60)
    assert (scene.greetings(), await scene.hear()) == ([], [])
    scene.employment.close()
    scene.intake.close()
    scene.link.close()
