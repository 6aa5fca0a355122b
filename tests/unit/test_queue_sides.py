"""What the sides of a queue that callers and workers see do at once, before any time is over."""

import asyncio

import pytest
from msgspec import Raw

from jabot.protocol import limits
from jabot.protocol.frames import Query, Rejected, Submit, Succeeded
from jabot.protocol.options import NO_OPTIONS
from jabot.protocol.states import JobState
from jabot.queue.callers import Callers
from jabot.queue.store.records import Record
from jabot.queue.store.store import News
from jabot.queue.store.verbs import Add, Adopt, Claim, Finish, Orphans
from unit.clock import turns
from unit.queue_house import APP, BOT, BOT_TOO

LEASE = 15.0


# -- callers: what another node of the queue tells ------------------------------------------------


class Around:
    """Callers, with a record of what they do."""

    def __init__(self):
        self.records, self.sent, self.told, self.follow = {}, [], [], set()
        self.callers = Callers(self, self._look, print, print, self)

    def _look(self, job_id, told):
        told(self.records.get(job_id))

    def has(self, job_id, state):
        empty = (Raw(b"[]"), Raw(b"{}"))
        times = (0.0, 0.0, None, 1, 1, 0)
        self.records[job_id] = Record(
            job_id, "app@x", "lift", state, *empty, NO_OPTIONS, {}, *times, result=Raw(b"5")
        )

    # as a link
    def is_full(self, peer):
        return False

    def push(self, peer, frame):
        self.sent.append((peer, frame.id))

    # as those who tell people
    def follows(self, job_id):
        return job_id in self.follow

    def ended(self, record):
        self.told.append(record.id)


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.RUNNING, None])
async def test_who_listens_here_hears_of_an_end_from_elsewhere(state):
    """That is looked up: the word may be wrong by now."""
    around = Around()
    if state is not None:
        around.has("j1", state)
    assert around.callers.listen("j1", APP, "other name")
    around.callers.heard(News("ended", "j1", ""))
    ended = state is JobState.SUCCEEDED
    assert around.sent == ([(APP, "other name")] if ended else [])
    assert around.told == (["j1"] if ended else [])


async def test_a_person_here_hears_of_an_end_from_elsewhere():
    around = Around()
    around.has("j1", JobState.SUCCEEDED)
    around.has("j2", JobState.SUCCEEDED)
    around.follow.add("j1")
    around.callers.heard(News("ended", "j1", ""))
    around.callers.heard(News("ended", "j2", ""))  # nobody here waits for it
    assert (around.sent, around.told) == ([], ["j1"])


# -- callers: which jobs a worker may be looked for ------------------------------------------------


async def test_only_what_may_begin_is_looked_for(house):
    await house.submit("now", "lift")
    await house.submit("later", "dance", delay=5.0)
    await house.submit("last", "rest", after=["now"])
    assert house.serving.ready.kinds == ["lift"]
    assert [verb.kinds for verb in house.shelf.said(Claim)] == []  # nobody is there


# -- workers ---------------------------------------------------------------------------------------


async def test_a_worker_that_has_lost_what_it_took_is_not_waited_for(house):
    """It is responsible since it answered."""
    await house.work(BOT, slots=1)
    await house.submit("j")
    assert [frame.attempt for frame in house.heard(BOT, Submit)] == [1]
    await house.work(BOT, slots=1, held=[])
    assert [frame.attempt for frame in house.heard(BOT, Submit)] == [2]


@pytest.mark.parametrize("how", ["bounced", "gone"])
async def test_what_never_reached_a_worker_is_anothers_at_once(house, how):
    """The batch that nobody took, or what waits for its turn to be sent."""
    await house.work(BOT, slots=20)
    house.heard(BOT)
    house.takes_nothing.add(BOT)
    sent = []
    for number in range(9):  # each is a batch, as long as there is room for one
        await house.submit(f"j{number}")
        sent += [frame.id for frame in house.heard(BOT, Submit)]
    assert sent == [f"j{number}" for number in range(8)]
    await house.work(BOT_TOO, slots=20)
    assert house.heard(BOT_TOO, Submit) == []
    if how == "bounced":
        peer, batch = house._unanswered.pop(0)
        house.answer(peer, batch, "service-unavailable")
    else:
        house.see(BOT, "unavailable")
    await turns()
    given = [(frame.id, frame.attempt) for frame in house.heard(BOT_TOO, Submit)]
    assert (("j0" if how == "bounced" else "j8"), 2) in given
    assert ("j1", 2) not in given  # that may have arrived
    assert {(await house.record(job)).runs for job, _ in given} == {1}  # the first did not count


async def test_a_worker_that_goes_while_the_store_takes_its_time_gets_nothing(house):
    await house.work(BOT, slots=1)
    house.shelf.stuck = stuck = asyncio.Event()
    await house.submit("j")
    house.see(BOT, "unavailable")
    await turns()
    house.shelf.stuck = None
    stuck.set()
    await turns()
    assert house.heard(BOT, Submit) == []
    record = await house.record("j")
    assert (record.state, record.runs) == (JobState.AVAILABLE, 0)
    assert list(house.serving.crew) == []  # nobody remembers it


async def test_what_the_store_says_that_a_worker_has_is_watched(house, clock):
    """A worker that does not come back, after the queue was started anew."""
    args = (Raw(b"[]"), Raw(b"{}"), NO_OPTIONS, {}, 0.0)
    job = Add("j", "app@localhost", "lift", *args)
    await house.shelf.apply([job, Claim("old", BOT, ["lift"], 1, 0.0)])
    house.serving.attendance.take_over()
    await turns()
    await clock.advance(LEASE + 1)
    record = await house.record("j")
    assert (record.state, record.history[-1].outcome) == (JobState.AVAILABLE, "lost")


async def test_while_a_queue_stands_still_no_lease_runs_out(house, clock):
    """What the worker said meanwhile is still to be read: the lease has not passed for it."""
    await house.work()
    await house.submit("j1")
    assert house.heard(BOT, Submit)
    clock.now += 4 * LEASE
    await turns()
    assert house.serving.crew.held("j1").attempt == 1
    assert house.shelf.said(Finish) == []
    await clock.advance(LEASE + 1)  # and now it has
    (lost,) = house.shelf.said(Finish)
    assert lost.outcome == "lost"


@pytest.mark.parametrize("case", ["acked", "ours", "unacked", "ending"])
async def test_what_another_node_took_over_is_taken_back(house, monkeypatch, case):
    """But not what the worker has not taken yet, nor what it has ended."""
    if case == "unacked":
        house.takes_nothing.add(BOT)
    await house.work(BOT)
    await house.submit("j")
    house.heard(BOT)
    if case != "ours":  # the store says that this node has nothing
        apply = house.shelf.apply

        async def robbed(verbs):
            answers = await apply(verbs)
            pairs = zip(verbs, answers, strict=True)
            return [[] if type(verb) is Orphans else answer for verb, answer in pairs]

        monkeypatch.setattr(house.shelf, "apply", robbed)
    house.serving.attendance.take_over()
    if case == "ending":
        house.say(BOT, Succeeded("j", 1, Raw(b"5")))
    await turns()
    adopted = [verb.held for verb in house.shelf.said(Adopt)]
    assert adopted == ([[("j", 1)]] if case == "acked" else [])


@pytest.mark.parametrize("why", ["stopping", "wrong"])
async def test_a_refusal_is_heard_before_the_answer(house, why):
    """Else a caller would take a job for kept that nobody has."""
    house.takes_nothing.add(APP)
    for number in range(limits.WINDOW):  # nothing more goes out
        await house.tell(APP, Query(f"no such job {number}"))
    assert len(house.answers(APP)) == limits.WINDOW
    house.serving.front.draining = why == "stopping"
    await house.submit("late", after=["no such job"] if why == "wrong" else ())
    assert house.answers(APP) == []
    house.takes_nothing.clear()
    house.heard(APP)
    await turns()
    assert len(house.heard(APP, Rejected)) == 1
    await turns()
    assert house.answers(APP) == [""]
