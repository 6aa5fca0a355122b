"""Whose turn it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot import JID
from jabot.errors import ConfigError
from jabot.runner import Job
from jabot.runner.waiting import Waiting
from jabot.tasks import Task

LIMITS = (None, None, 1, 2)


def make_tasks():
    return [Task(lambda: None, name=f"t{n}", concurrency=c) for n, c in enumerate(LIMITS)]


def job(task):
    return Job(task, (), {}, JID("a@b/c"))


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_1(limit):
    with pytest.raises(ConfigError, match="task x: concurrency is at least 1"):
        Task(lambda: None, name="x", concurrency=limit)


def test_first_come_first_served_except_for_tasks_at_their_limit():
    free, _, single, _ = make_tasks()
    line = Waiting()
    a, b, c, d = job(single), job(single), job(free), job(single)
    for one in (a, b, c, d):
        line.add(one)
    assert [line.take(), line.take(), line.take()] == [a, c, None]
    assert len(line) == 2
    line.ended(single)
    late = job(free)
    line.add(late)
    assert [line.take(), line.take(), line.take()] == [b, late, None]


def test_who_leaves_the_line_is_not_served():
    free, _, single, _ = make_tasks()
    line = Waiting()
    jobs = [job(t) for t in (free, single, free, single)]
    for one in jobs:
        line.add(one)
    line.remove(jobs[0])
    line.remove(jobs[1])
    line.remove(jobs[1])
    line.remove(job(single))
    assert len(line) == 2
    assert [line.take(), line.take(), line.take(), len(line)] == [*jobs[2:], None, 0]


class Model:
    """The same, in the plainest way: one list, looked through from its beginning."""

    def __init__(self):
        self.line, self.running = [], []

    def take(self):
        for one in self.line:
            limit = one.task.concurrency
            if limit is None or sum(r.task is one.task for r in self.running) < limit:
                self.line.remove(one)
                self.running.append(one)
                return one
        return None


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "end", "remove"]), st.integers(0, 50))))
def test_it_does_what_the_plainest_way_would_do(actions):
    tasks, line, model = make_tasks(), Waiting(), Model()
    for action, number in actions:
        if action == "add":
            one = job(tasks[number % len(tasks)])
            line.add(one)
            model.line.append(one)
        elif action == "take":
            assert line.take() is model.take()
        elif action == "end" and model.running:
            line.ended(model.running.pop(number % len(model.running)).task)
        elif action == "remove" and model.line:
            line.remove(model.line.pop(number % len(model.line)))
        assert len(line) == len(model.line)
