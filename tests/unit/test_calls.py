"""The caller's side over a made-up session: greetings, who gets a job, what ends it."""

import asyncio
import gc
import itertools
from dataclasses import dataclass

import pytest
from msgspec import Raw

from jabot.calls import Calls
from jabot.calls.calls import closed
from jabot.calls.options import Call, options
from jabot.calls.watch import Watch
from jabot.errors import (
    ConnectionFailed,
    Draining,
    JobCancelled,
    JobTimeout,
    NobodyThere,
    NotAllowed,
    RemoteProtocolError,
    TaskFailed,
    TooLarge,
    UnknownJob,
    UnknownTask,
    WorkerLost,
)
from jabot.protocol.frames import (
    Cancel,
    Describe,
    Description,
    Failed,
    Progress,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
)
from jabot.tasks import Retry, Step
from unit.clock import turns
from unit.linked import BOT, OTHER, Wire

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


@pytest.fixture
async def caller(clock):
    caller = Caller(clock)
    yield caller
    caller.calls.close(closed("the test"))
    caller.link.close()
    await turns()


async def taken(caller, slots="4", **given):
    """A job that BOT has."""
    submitting = caller.submit(**given)
    await turns()
    caller.see(BOT, node=NODE | {"slots": slots})
    ((peer, frame),) = await caller.offered()
    assert peer == BOT
    return await submitting, frame


async def test_a_job_from_the_greeting_to_the_result(caller):
    submitting = caller.submit()
    await turns()
    assert caller.greetings() == [("hello", POOL)]
    assert caller.take() == []
    caller.see(BOT, node=NODE)
    ((_, frame),) = await caller.offered()
    job = await submitting
    assert (frame.id, frame.task, job.peer, job.attempt) == (job.id, "lift", BOT, 1)
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    assert await job == 7
    assert len(caller.calls) == 0


async def test_greetings_grow_rarer_until_somebody_answers(caller, clock):
    submitting = caller.submit(wait=True)
    await turns()
    began, at = clock.now, []
    for _ in range(1200):
        at += [round(clock.now - began, 1) for _ in caller.greetings()]
        await clock.advance(0.1)
    assert at[0] == 0
    pauses = [round(b - a) for a, b in itertools.pairwise(at)]
    assert pauses[:5] == [1, 2, 4, 8, 16]
    assert set(pauses[5:]) == {30}
    caller.see(BOT, node=NODE)
    assert len(await caller.offered()) == 1
    await submitting


async def test_nobody_answers(caller, clock):
    submitting = caller.submit()
    await clock.advance(1.9)
    assert not submitting.done()
    await clock.advance(0.2)
    with pytest.raises(NobodyThere, match=f"{POOL}"):
        await submitting
    assert len(caller.calls) == 0


async def test_a_refusal_ends_it_at_once_also_when_it_would_wait(caller):
    for wait in (False, True):
        submitting = caller.submit(wait=wait)
        await turns()
        caller.see(BOT, "error", condition="forbidden")
        await turns()
        with pytest.raises(NotAllowed):
            await submitting


async def test_a_refusal_counts_for_the_account_when_the_node_was_greeted_by_itself_before(caller):
    caller.calls.directory.watch(BOT)
    submitting = caller.submit()
    await turns()
    caller.see(BOT, "error", condition="forbidden")
    with pytest.raises(NotAllowed, match=f"^{POOL} does not allow"):
        await submitting


async def test_a_node_that_too_many_have_greeted(caller, clock):
    """The caller learns why nobody is there; with `wait` it greets on until there is room."""
    submitting, waiting = caller.submit(), caller.submit(wait=True)
    await turns()
    caller.see(BOT, "error", condition="resource-constraint")
    await clock.advance(0.2)
    with pytest.raises(NobodyThere, match="too many of them have greeted it"):
        await submitting
    caller.see(BOT, node=NODE)
    assert len(await caller.offered()) == 1
    await waiting


async def test_an_address_without_a_server_is_told_in_words(caller):
    submitting = caller.submit(to="bot")
    await turns()
    caller.see("bot", "error", condition="remote-server-not-found")
    with pytest.raises(NobodyThere, match=r"no server for bot; an account is written name@domain"):
        await submitting


async def test_the_refusal_of_one_node_is_not_that_of_the_pool(caller):
    submitting = caller.submit()
    await turns()
    caller.see(BOT, node=NODE)
    caller.see(OTHER, "error", condition="forbidden")
    ((peer, _),) = await caller.offered()
    assert peer == BOT
    await submitting


async def test_the_first_that_answers_does_not_get_all(caller, clock):
    submitting = [caller.submit() for _ in range(16)]
    await turns()
    caller.see(BOT, node=NODE)
    first = await caller.offered()
    assert [peer for peer, _ in first] == 4 * [BOT]  # its slots
    caller.see(OTHER, node=NODE | {"slots": "8"})
    await clock.advance(0.2)
    peers = [peer for peer, _ in first + await caller.offered()]
    assert 4 <= peers.count(BOT) <= 6
    assert len(peers) == 16
    await asyncio.gather(*submitting)


async def test_a_pool_is_greeted_again_soon_when_one_of_it_left(caller, clock):
    await taken(caller)
    await clock.advance(5)
    caller.greetings()
    await clock.advance(20)
    assert caller.greetings() == []
    caller.see(BOT, "unavailable")
    await clock.advance(0.6)
    assert caller.greetings() == [("hello", POOL)]


async def test_an_address_that_nobody_asks_for_is_left_alone(caller, clock):
    job, _ = await taken(caller)
    await clock.advance(400)  # the job is still out there
    assert caller.greetings()
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    await clock.advance(400)
    # Not even a farewell: whoever has given *us* jobs would take us for gone.
    assert {kind for kind, _ in caller.greetings()} <= {"hello"}
    await clock.advance(400)
    assert caller.greetings() == []


async def test_a_worker_that_vanishes(caller, clock):
    job, _ = await taken(caller)
    caller.see(BOT, "unavailable")
    await clock.advance(0.4)
    assert job.status == "unknown"
    await clock.advance(0.2)
    with pytest.raises(WorkerLost):
        await job


async def test_a_job_moves_to_another_worker(caller, clock):
    job, _ = await taken(caller, retries=Retry(attempts=2, backoff=0))
    caller.see(OTHER, node=NODE)
    caller.see(BOT, "unavailable")
    await clock.advance(0.6)
    ((peer, frame),) = await caller.offered()
    assert (peer, frame.attempt, frame.id) == (OTHER, 2, job.id)
    assert (job.peer, job.attempt) == (OTHER, 2)
    caller.see(OTHER, "unavailable")
    await clock.advance(0.6)
    with pytest.raises(WorkerLost):
        await job


async def test_one_that_has_failed_it_is_asked_again_when_there_is_no_other(caller, clock):
    job, _ = await taken(caller, retries=Retry(attempts=2, backoff=0))
    caller.say(BOT, Failed(job.id, 1, "E", ""))
    await clock.advance(0.9)
    assert await caller.offered() == []
    await clock.advance(0.2)
    ((peer, frame),) = await caller.offered()
    assert (peer, frame.attempt) == (BOT, 2)
    caller.say(BOT, Failed(job.id, 2, "E", ""))
    with pytest.raises(TaskFailed):
        await job


async def test_a_job_that_is_handed_back_waits_a_minute_for_another_worker(caller, clock):
    job, _ = await taken(caller)
    caller.say(BOT, Rejected(job.id, 1, "draining", "bye"))
    caller.see(BOT, "unavailable")
    await clock.advance(59)
    assert job.status == "unknown"
    await clock.advance(2)
    with pytest.raises(Draining, match="bye"):
        await job


async def test_a_time_limit_while_it_waits(caller, clock):
    submitting = caller.submit(wait=True, timeout=5)
    await clock.advance(4.9)
    assert not submitting.done()
    await clock.advance(0.2)
    with pytest.raises(JobTimeout):
        await submitting


async def test_what_is_not_said_while_offline(caller, clock):
    """Nobody is there only when somebody could have answered."""
    submitting, listing = caller.submit(), asyncio.ensure_future(caller.calls.nodes(POOL))
    await clock.advance(1)
    caller.drop()
    late = caller.submit()
    await clock.advance(60)
    assert not submitting.done()
    assert not listing.done()
    caller.greetings()
    caller.back()
    await turns()
    assert caller.greetings() == [("hello", POOL)]
    caller.see(BOT, node=NODE)
    assert len(await caller.offered()) == 2
    await submitting
    await late
    await clock.advance(0.4)
    assert [peer.jid for peer in await listing] == [BOT]


async def test_a_job_survives_a_reconnect(caller, clock):
    job, _ = await taken(caller)
    caller.drop()
    await clock.advance(100)
    caller.back()
    await turns()
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (BOT, [Query(job.id, 1)])
    caller.answer(BOT, number)
    caller.say(BOT, State(job.id, 1, "running"))
    await clock.advance(100)
    assert job.status == "unknown"
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    assert await job == 7


async def test_leaving_while_outcomes_still_come(caller, caplog):
    job, _ = await taken(caller)
    other = caller.submit(wait=True, to="nobody@localhost")
    listing = asyncio.ensure_future(caller.calls.nodes("nobody@localhost"))
    await turns()
    caller.calls.close(closed("the client"))
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    await turns()
    assert caller.take()[-1] == (BOT, "")  # the worker need not say it again
    for ended in (job, other):
        with pytest.raises(ConnectionFailed, match="the client was closed"):
            await ended
    await asyncio.gather(listing, return_exceptions=True)
    with pytest.raises(ConnectionFailed):
        await caller.submit()
    assert "Traceback" not in caplog.text


async def test_a_callback_that_cancels_others_which_need_a_worker(caller, clock):
    """All of them are lost in one and the same moment."""
    first, _ = await taken(caller, "40")
    others = [
        (await taken(caller, "40", retries=Retry(attempts=3, backoff=0)))[0] for _ in range(3)
    ]
    first.errback(lambda _: [job.cancel("the first one failed") for job in others])
    last, _ = await taken(caller, "40")
    caller.see(BOT, "unavailable")
    await clock.advance(0.6)
    for job in others:
        with pytest.raises(JobCancelled, match="the first one failed"):
            await job
    with pytest.raises(WorkerLost):
        await last
    assert len(caller.calls) == 0


async def test_what_cannot_be_submitted_leaves_nothing_behind(caller):
    caller.see(BOT, node=NODE)
    await taken(caller)
    before = len(caller.calls)
    big = Raw(b'["' + b"x" * (17 * 2**20) + b'"]')
    with pytest.raises(TooLarge):
        await caller.calls.submit(Call("lift", big), options(POOL))
    assert len(caller.calls) == before


async def test_a_quick_refusal_is_raised_and_a_quick_failure_is_the_jobs(caller):
    caller.see(BOT, node=NODE)
    for frame, error in (
        (lambda job_id: Rejected(job_id, 1, "unknown_task", "no"), UnknownTask),
        (lambda job_id: Failed(job_id, 1, "E", "big", "", "too_large"), None),
    ):
        submitting = caller.submit()
        await turns()
        caller.see(BOT, node=NODE)
        await turns()
        ((_, (offered,), _),) = caller.batches()
        caller.say(BOT, frame(offered.id))
        if error is not None:
            with pytest.raises(error):
                await submitting
        else:
            with pytest.raises(TooLarge):
                await (await submitting)


async def test_descriptions_are_kept_by_their_version(caller):
    asking = asyncio.ensure_future(caller.calls.descriptions.at(POOL, "lift"))
    again = asyncio.ensure_future(caller.calls.descriptions.at(POOL, "lift"))
    await turns()
    caller.see(BOT, node=NODE)
    await caller.clock.advance(0.4)
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (BOT, [Describe("lift")])
    caller.answer(BOT, number)
    text = b'{"lift":{"doc":"d","args":{},"result":{},"new":1}}'
    caller.say(BOT, Description("lift", "v", Raw(text)))
    assert (await asking)["lift"].doc == "d"
    assert (await again)["lift"].doc == "d"
    assert (await caller.calls.descriptions.at(POOL, "lift"))["lift"].doc == "d"
    assert caller.batches() == []
    caller.see(BOT, node=NODE | {"version": "w"})
    asking = asyncio.ensure_future(caller.calls.descriptions.at(POOL, "lift"))
    await caller.clock.advance(0.4)
    assert len(caller.batches()) == 1
    caller.see(BOT, "unavailable")
    with pytest.raises(WorkerLost):
        await asking


async def test_a_question_that_was_given_up_fails_in_silence(caller):
    asking = asyncio.ensure_future(caller.calls.descriptions.of_node(BOT))
    await turns()
    asking.cancel()
    await turns()
    caller.see(BOT, "unavailable")
    await turns()
    gc.collect()  # a future that nobody awaits complains when it goes


async def test_a_question_is_asked_again_after_a_break(caller, caplog):
    caller.calls.directory.watch(BOT)
    asking = asyncio.ensure_future(caller.calls.descriptions.of_node(BOT, "lift"))
    await turns()
    assert [frames for _, frames, _ in caller.batches()] == [[Describe("lift")]]
    caller.drop()
    also = asyncio.ensure_future(caller.calls.descriptions.of_node(BOT))  # while it is away
    await turns()
    caller.back()
    await turns()
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (BOT, [Describe("lift"), Describe(None)])
    caller.answer(BOT, number, "forbidden")
    for refused in (asking, also):
        with pytest.raises(NotAllowed):
            await refused
    caller.see(BOT, node=NODE)
    caller.say(BOT, Description("lift", "v", Raw(b"{}")))
    assert "a description that nobody asked for" in caplog.text


async def test_a_cancelled_submitter(caller):
    submitting = caller.submit()
    await turns()
    caller.see(BOT, node=NODE)
    await turns()
    ((_, (offered,), number),) = caller.batches()
    submitting.cancel()
    await turns()
    assert [frames for _, frames, _ in caller.batches()] == [
        [Cancel(offered.id, 1, "its submitter gave up")]
    ]
    caller.answer(BOT, number)
    with pytest.raises(asyncio.CancelledError):
        await submitting


async def test_a_pool_whose_first_answer_does_not_offer_the_task_is_waited_for(caller):
    submitting = caller.submit(task="rare")
    await turns()
    caller.see(BOT, node=NODE)
    assert await caller.offered() == []
    caller.see(OTHER, node=NODE | {"tasks": "rare"})
    ((peer, frame),) = await caller.offered()
    assert peer == OTHER
    await submitting
    caller.say(OTHER, Succeeded(frame.id, 1, Raw(b"7")))


async def test_the_time_of_a_job_counts_from_the_submit(caller, clock):
    caller.drop()
    submitting = caller.submit(timeout=1)
    await clock.advance(1.1)
    with pytest.raises(JobTimeout):
        await submitting


async def test_what_a_callback_does_harms_no_other_job(caller, clock):
    """It cancels a job that is told of behind its own in the same batch."""
    one, _ = await taken(caller)
    two, _ = await taken(caller)
    one.callback(lambda _: two.cancel())
    one.callback(lambda _: 1 / 0)
    three, _ = await taken(caller)
    caller.say(
        BOT,
        Succeeded(one.id, 1, Raw(b"1")),
        Failed(two.id, 1, "E", "no"),
        Succeeded(three.id, 1, Raw(b"3")),
    )
    assert (await one, await three) == (1, 3)


async def test_a_result_type_that_raises_fails_its_own_job_only(caller):
    @dataclass
    class Picky:
        n: int

        def __post_init__(self):
            raise KeyError(self.n)

    picky, _ = await taken(caller)
    picky._result_type = Picky
    other, _ = await taken(caller)
    caller.say(BOT, Succeeded(picky.id, 1, Raw(b'{"n": 1}')), Succeeded(other.id, 1, Raw(b"7")))
    assert await other == 7
    with pytest.raises(RemoteProtocolError):
        await picky


async def attaching(caller):
    """Two who ask for the same job: the second one while the first one waits for an answer."""
    first = asyncio.ensure_future(caller.calls.attach("x1", options(POOL)))
    await turns()
    caller.see(BOT, node=NODE)
    await caller.clock.advance(0.4)
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (BOT, [Query("x1")])
    caller.answer(BOT, number)
    second = asyncio.ensure_future(caller.calls.attach("x1", options(POOL)))
    await turns()
    assert not first.done()
    assert not second.done()
    return first, second


async def test_all_who_ask_for_a_job_wait_for_the_same_answer(caller):
    first, second = await attaching(caller)
    caller.say(BOT, State("x1", 1, "running"))
    job = await first
    assert await second is job
    assert await caller.calls.attach("x1", options(POOL)) is job
    caller.say(BOT, Succeeded("x1", 1, Raw(b"7")))
    assert await job == 7


async def test_all_who_ask_for_a_job_hear_that_nobody_knows_it(caller):
    first, second = await attaching(caller)
    caller.say(BOT, State("x1", 0, "unknown"))
    for asking in (first, second):
        with pytest.raises(UnknownJob, match="x1"):
            await asking


async def test_one_who_asks_for_a_job_and_gives_up_harms_nobody(caller):
    first, second = await attaching(caller)
    first.cancel()
    await turns()
    caller.say(BOT, State("x1", 1, "running"))
    assert (await second).peer == BOT


async def test_a_reader_that_nobody_else_holds_reads_to_the_end(caller):
    job, _ = await taken(caller)
    seen = []

    async def read():
        async for step in job.progress:
            seen.append(step)
        seen.append("end")

    asyncio.create_task(read())  # noqa: RUF006 - that is what it is about
    await turns()
    gc.collect()
    caller.say(BOT, Progress(job.id, 1, 1, 1.0))
    await turns()
    gc.collect()
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    await turns()
    assert seen == [Step(1), "end"]


async def test_to_look_at_the_progress_changes_nothing(caller):
    job, _ = await taken(caller)
    for _ in range(3):
        assert hasattr(job, "progress")
    assert job._readers == ()
    steps, others = aiter(job.progress), aiter(job.progress)
    assert len(job._readers) == 2
    caller.say(BOT, Progress(job.id, 1, 1, 1.0))
    assert await anext(steps) == Step(1)
    del others  # as when an `async for` is left
    caller.say(BOT, Progress(job.id, 1, 2, 2.0))
    assert len(job._readers) == 1
    late = aiter(job.progress)
    caller.say(BOT, Succeeded(job.id, 1, Raw(b"7")))
    for reader in (steps, late, job.progress):
        assert [step async for step in reader] == [Step(2)]
    assert job._readers == ()


# --- a worker that takes nothing for now --------------------------------------------------------


async def put_off(caller, peer):
    """The one batch that is under way comes back."""
    await turns()
    ((to, _, number),) = caller.batches()
    assert to == peer
    caller.answer(peer, number, "resource-constraint")


async def test_a_job_that_a_node_gave_back_goes_to_another_one_at_once(caller, clock):
    caller.see(BOT, node=NODE)
    submitting = caller.submit()
    await turns()
    caller.see(BOT, node=NODE)
    caller.see(OTHER, node=NODE | {"running": "1"})
    began = clock.now
    await put_off(caller, BOT)
    ((peer, submit),) = await caller.offered()
    assert (peer, submit.attempt, clock.now) == (OTHER, 2, began)
    await submitting
    await clock.advance(10)
    assert await caller.offered() == []  # it went to nobody else


async def test_a_job_that_its_only_node_gave_back_was_not_lost(caller, clock):
    """It may be given away again without a retry, for nothing ran."""
    submitting = caller.submit(to=BOT)
    await put_off(caller, BOT)
    caller.see(BOT, "unavailable")
    await clock.advance(1)
    with pytest.raises(NobodyThere, match="was not sent"):
        await submitting


async def test_a_job_that_a_node_gave_back_goes_there_again_when_no_other_will_do(caller, clock):
    submitting = caller.submit(to=BOT)
    await put_off(caller, BOT)
    await clock.advance(3.1)
    ((peer, submit),) = await caller.offered()
    assert (peer, submit.attempt) == (BOT, 1)
    await submitting


async def test_a_job_stays_doubtful_when_only_its_second_copy_came_back(caller, clock):
    submitting = caller.submit(to=BOT)
    await turns()
    caller.take()
    await clock.advance(30.1)  # no answer to the first one
    await put_off(caller, BOT)
    caller.see(BOT, "unavailable")
    await clock.advance(1)
    with pytest.raises(WorkerLost):
        await (await submitting)


async def test_what_was_waited_is_off_the_time_that_a_node_is_told(caller, clock):
    """The error speaks of the whole of it."""
    caller.drop()
    submitting = caller.submit(timeout=5)
    await clock.advance(2)
    caller.back()
    await turns()
    caller.see(BOT, node=NODE)
    ((_, frame),) = await caller.offered()
    assert frame.timeout == pytest.approx(3)
    job = await submitting
    await clock.advance(3.1)
    with pytest.raises(JobTimeout, match="after 5 s"):
        await job


async def test_a_pool_of_two_versions_is_described_as_a_whole(caller):
    """Each version is asked once. Where both have a task, any of them may tell of it."""
    asking = asyncio.ensure_future(caller.calls.descriptions.at(POOL, None))
    await turns()
    third = "bot@localhost/host-3"
    caller.see(BOT, node=NODE | {"version": "old", "tasks": "lift"})
    caller.see(third, node=NODE | {"version": "old", "tasks": "lift"})
    caller.see(OTHER, node=NODE | {"version": "new", "tasks": "lift weigh"})
    described = {"old": ["lift"], "new": ["lift", "weigh"]}
    asked = []
    for _ in described:
        await caller.clock.advance(0.4)
        ((peer, frames, number),) = caller.batches()
        assert frames == [Describe(None)]
        version = "new" if peer == OTHER else "old"
        asked.append(version)
        tasks = ",".join(
            f'"{name}":{{"doc":"{version}","args":{{}},"result":{{}}}}'
            for name in described[version]
        )
        caller.answer(peer, number)
        caller.say(peer, Description(None, version, Raw(f"{{{tasks}}}".encode())))
    found = await asking
    assert sorted(asked) == ["new", "old"]
    assert sorted(found) == ["lift", "weigh"]
    assert found["lift"].doc in described
    # A task that one version alone has is asked for there.
    asking = asyncio.ensure_future(caller.calls.descriptions.at(POOL, "weigh"))
    await caller.clock.advance(0.4)
    ((peer, frames, number),) = caller.batches()
    assert (peer, frames) == (OTHER, [Describe("weigh")])
    caller.answer(peer, number)
    text = b'{"weigh":{"doc":"d","args":{},"result":{}}}'
    caller.say(peer, Description("weigh", "new", Raw(text)))
    assert (await asking)["weigh"].doc == "d"


# --- watching: `jabot nodes --watch`, `jabot top` -------------------------------------------------


class App:
    """What has calls, for a `Watch`."""

    def __init__(self, caller):
        self._calls = caller.calls


async def test_who_looks_every_second_learns_that_nobody_is_there(caller, clock):
    with Watch(App(caller), [POOL], lambda stanza: None) as there:
        assert (there.peers(), there.missing(), there.unclear()) == ([], {}, True)
        for _ in range(3):
            await clock.advance(1)
            assert there.peers() == []
        assert list(there.missing()) == [POOL]  # although it is greeted again and again
        assert "nobody at bot@localhost answers" in str(there.missing()[POOL])
        assert len(caller.greetings()) > 1
        for _ in range(5):
            await clock.advance(1)
            there.peers()
            assert there.missing()  # and stays so
        caller.see(BOT, node=NODE)
        assert [peer.jid for peer in there.peers()] == [BOT]
        assert (there.missing(), there.unclear()) == ({}, False)


async def test_a_refusal_is_known_at_once(caller, clock):
    with Watch(App(caller), [POOL], lambda stanza: None) as there:
        there.peers()
        caller.see(BOT, "error", condition="forbidden")
        await clock.advance(0.2)
        there.peers()
        assert isinstance(there.missing()[POOL], NotAllowed)
        assert "who runs it can, with allow=" in str(there.missing()[POOL])


async def test_who_watches_hears_of_presences_and_of_the_connection(caller, clock):
    heard = []
    with Watch(App(caller), [POOL], heard.append) as there:
        there.peers()
        caller.see(BOT, node=NODE)
        caller.see(BOT, "unavailable")
        assert [stanza.type for stanza in heard] == ["available", "unavailable"]
        assert there.peers() == []
        caller.see(BOT, node=NODE)
        del heard[:]
        caller.drop()
        assert (heard, there.is_online, there.peers()) == ([None], False, [])
        caller.back()
        assert (heard, there.is_online) == ([None, None], True)
        assert there.unclear()  # it was there before, and has had no time to answer
        caller.calls.close(closed("the test"))
        assert (len(heard), there.is_online) == (3, False)
        assert isinstance(there.closed, ConnectionFailed)
    caller.calls._tell_watchers()
    assert len(heard) == 3
