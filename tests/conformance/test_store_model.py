"""Any order of verbs, beside a model in plain Python: no job lost, none running twice at once."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import stores
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jabot.protocol.options import Lane
from jabot.protocol.states import TRANSITIONS, JobState
from jabot.protocol.states import JobEvent as Event
from jabot.queue.store.verbs import Filter, List

TASKS = ("lift", "carry")
SLOTS = {"one": 1, "two": 2}


@dataclass
class Job:
    """What the model knows of one."""

    id: str
    task: str
    priority: int
    due: float
    lane: str | None
    unique: str | None
    parents: list[str]
    state: JobState
    attempt: int = 0
    place: int = 0
    waits: set[str] = field(default_factory=set)


class Model(RuleBasedStateMachine):
    """Each rule is a verb; the store must answer as the model does."""

    kind: str

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.store = stores.KINDS[self.kind](Path(self.directory.name))
        self.queue = stores.Asked(self.store)
        self.jobs: dict[str, Job] = {}
        self.made = 0
        self.now = 0.0

    def ask(self, asked):
        return self.loop.run_until_complete(asked)

    @initialize()
    def open(self):
        self.ask(self.store.open())

    def teardown(self):
        self.ask(self.store.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.directory.cleanup()

    # -- the model's side --------------------------------------------------------------------------

    def change(self, job, event):
        job.state = TRANSITIONS[job.state][event]
        if job.state is JobState.SUCCEEDED:
            for child in self.jobs.values():
                if job.id in child.waits:
                    child.waits.discard(job.id)
                    if not child.waits and child.state is JobState.SCHEDULED:
                        child.due = max(child.due, self.now)
                        if child.due <= self.now:
                            self.change(child, Event.DUE)
        elif job.state.ended:
            for child in self.jobs.values():
                if job.id in child.parents and not child.state.ended:
                    self.change(child, Event.FAIL)

    def running(self, **of):
        return [
            job
            for job in self.jobs.values()
            if job.state is JobState.RUNNING
            and all(getattr(job, name) == value for name, value in of.items())
        ]

    # -- verbs -------------------------------------------------------------------------------------

    @rule(
        task=st.sampled_from(TASKS),
        priority=st.integers(-1, 1),
        delay=st.sampled_from([0.0, 0.0, 3.0]),
        lane=st.sampled_from([None, None, *SLOTS]),
        unique=st.sampled_from([None, None, "u", "v"]),
        data=st.data(),
    )
    def add(self, task, priority, delay, lane, unique, data):
        parents = data.draw(
            st.lists(st.sampled_from(sorted(self.jobs)), max_size=2) if self.jobs else st.just([])
        )
        self.made += 1
        name = f"j{self.made}"
        added = self.ask(
            self.queue.add(
                name,
                task=task,
                priority=priority,
                delay=delay,
                lane=lane and Lane(lane, slots=SLOTS[lane]),
                unique=unique,
                after=parents,
                now=self.now,
            )
        )
        waiting = [
            job.id
            for job in self.jobs.values()
            if unique and job.unique == unique
            if not job.state.ended and job.state is not JobState.RUNNING
        ]
        if waiting:
            assert added.id in waiting
            assert not added.is_new
            return
        states = {self.jobs[parent].state for parent in parents}
        waits = {p for p in parents if self.jobs[p].state is not JobState.SUCCEEDED}
        state = JobState.SCHEDULED if waits or delay else JobState.AVAILABLE
        if states & {JobState.FAILED, JobState.CANCELLED}:
            state = JobState.FAILED
        self.jobs[name] = Job(
            name,
            task,
            priority,
            self.now + delay,
            lane,
            unique,
            parents,
            state,
            place=len(self.jobs),
            waits=waits,
        )
        assert (added.id, added.is_new, added.state) == (name, True, state)

    @rule(most=st.integers(0, 4), kinds=st.lists(st.sampled_from(TASKS), min_size=1, max_size=2))
    def claim(self, most, kinds):
        free = [
            job
            for job in self.jobs.values()
            if job.state is JobState.AVAILABLE and not job.waits and job.task in kinds
        ]
        records = self.ask(self.queue.claim(most, *kinds, now=self.now))
        assert len(records) <= most
        order = [(-record.priority, self.jobs[record.id].place) for record in records]
        assert order == sorted(order) or any(record.options.lane for record in records)
        for record in records:
            job = self.jobs[record.id]
            assert job in free
            assert record.attempt == job.attempt + 1
            self.change(job, Event.START)
            job.attempt += 1
        self.limits_hold()
        if len(records) < most:  # then none is left that might run
            for job in free:
                if job.state is JobState.AVAILABLE:
                    assert self.hindered(job)

    def hindered(self, job):
        full = job.lane and len(self.running(lane=job.lane)) >= SLOTS[job.lane]
        # behind one of its name that runs, or that is before it
        behind = job.unique and any(
            other is not job
            and other.unique == job.unique
            and other.state in (JobState.RUNNING, JobState.AVAILABLE)
            for other in self.jobs.values()
        )
        return full or behind

    def limits_hold(self):
        for lane, slots in SLOTS.items():
            assert len(self.running(lane=lane)) <= slots
        for unique in "uv":
            assert len(self.running(unique=unique)) <= 1

    @precondition(lambda self: self.jobs)
    @rule(
        data=st.data(),
        event=st.sampled_from(["succeed", "succeed", "fail", "retry", "release", "cancel"]),
        stale=st.sampled_from([0, 0, 0, -1, 1]),
        wait=st.sampled_from([0.0, 2.0]),
    )
    def finish(self, data, event, stale, wait):
        running = sorted(job.id for job in self.running())
        job = self.jobs[data.draw(st.sampled_from(running or sorted(self.jobs)))]
        attempt = job.attempt + stale
        at = self.now + wait
        done = self.ask(self.queue.finish(job.id, event, attempt=attempt, at=at, now=self.now))
        stands = job.state is JobState.RUNNING and stale == 0
        assert done.stands == stands
        if stands:
            before = {each.id: each.state for each in self.jobs.values()}
            self.change(job, Event(event))
            if event == "retry":
                job.due = at
                if at <= self.now:
                    self.change(job, Event.DUE)
            failed = {
                each.id
                for each in self.jobs.values()
                if each is not job and each.state.ended and not before[each.id].ended
            }
            assert set(done.ended) == failed
        assert done.state is job.state

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data):
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        if job.state is JobState.RUNNING:
            return
        self.ask(self.queue.cancel(job.id, now=self.now))
        if Event.CANCEL in TRANSITIONS[job.state]:
            self.change(job, Event.CANCEL)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def revive(self, data):
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        record = self.ask(self.queue.revive(job.id, now=self.now))
        if Event.REVIVE not in TRANSITIONS[job.state]:
            assert record is None
            return
        states = {self.jobs[parent].state for parent in job.parents}
        if not states & {JobState.FAILED, JobState.CANCELLED}:
            self.change(job, Event.REVIVE)
            job.waits = {p for p in job.parents if self.jobs[p].state is not JobState.SUCCEEDED}
        assert record.state is job.state

    @rule(step=st.sampled_from([0.0, 1.0, 5.0]))
    def due(self, step):
        self.now += step
        self.ask(self.queue.due(self.now))
        for job in self.jobs.values():
            if Event.DUE in TRANSITIONS[job.state] and not job.waits and job.due <= self.now:
                self.change(job, Event.DUE)

    @invariant()
    def agrees(self):
        if not self.jobs:
            return
        listed = {job.id: job for job in self.ask(self.queue.do(List(Filter(), most=10_000)))}
        assert {name: job.state for name, job in self.jobs.items()} == {
            name: job.state for name, job in listed.items()
        }
        assert {name: job.attempt for name, job in self.jobs.items()} == {
            name: job.attempt for name, job in listed.items()
        }


@pytest.mark.parametrize("kind", list(stores.KINDS))
@pytest.mark.timeout(180)
def test_any_order_of_verbs(kind):
    case = type(f"Model_{kind}", (Model,), {"kind": kind}).TestCase
    case.settings = settings(
        max_examples=100 if kind == "sqlite-memory" else 10,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
