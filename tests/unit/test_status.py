"""What a node tells of itself: the author's fields, and who learns which part."""

import asyncio
import threading

import msgspec
import pytest

from jabot import JID, ConfigError, Node, NodeStatus
from jabot.access import Access
from jabot.peers import Peer
from jabot.runner import Desk, Runner
from jabot.status import Status, StatusFields
from jabot.tasks import Registry, Task

ANN, BOSS, NODE = JID("ann@localhost/1"), JID("boss@localhost/1"), JID("bot@localhost/1")
BOB = JID("bob@localhost/1")


# --- fields -------------------------------------------------------------------------------------


def test_fields_are_values_and_functions():
    fields, given = StatusFields(), {"a": [1]}
    fields["depth"], fields["parts"] = 3, given
    fields["asked"] = lambda: fields["depth"] + 1
    given["a"].append(2)  # what it was counts
    assert fields.read() == {"depth": 3, "parts": {"a": [1]}, "asked": 4}
    fields["depth"] = 7
    del fields["parts"]
    assert (fields.read(), list(fields), len(fields)) == (
        {"depth": 7, "asked": 8},
        ["depth", "asked"],
        2,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", 1),
        ("x" * 65, 1),
        (7, 1),
        ("object", object()),
        ("nan", [float("nan")]),
        ("large", "x" * 4096),
    ],
)
def test_what_cannot_be_told_is_said_at_once(name, value):
    fields = StatusFields()
    with pytest.raises(ConfigError, match="status field"):
        fields[name] = value
    assert not fields


def test_there_is_a_most_of_fields():
    fields = StatusFields()
    for number in range(64):
        fields[f"field {number}"] = number
    with pytest.raises(ConfigError, match="64 already"):
        fields["one more"] = 1
    fields["field 0"] = 7  # those that are there may change
    assert fields.read()["field 0"] == 7


@pytest.mark.parametrize("bad", [lambda: 1 / 0, lambda: object(), lambda: "x" * 5000])
def test_a_function_that_cannot_tell_harms_nobody(bad, caplog):
    fields = StatusFields()
    fields["bad"], fields["good"] = bad, 1
    assert fields.read() == {"bad": None, "good": 1}
    assert "the status field bad could not be told" in caplog.text


def test_fields_may_come_from_threads_while_they_are_read():
    fields = StatusFields()

    def change(mine):
        for number in range(500):
            fields[f"{mine}"] = number
            del fields[f"{mine}"]

    threads = [threading.Thread(target=change, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        fields.read()
        list(fields)
    assert fields.read() == {}


# --- the status ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["node.status", "node.x"])
def test_no_task_of_an_author_begins_like_the_nodes_own(name):
    with pytest.raises(ConfigError, match="begins with node"):
        Node().task(name=name)(lambda: None)


@pytest.fixture
async def desk():
    runner = Runner(concurrency=2)
    access = Access({"ann@localhost": "*", "bob@localhost": ["hold"]}, manage=["boss@localhost"])
    desk = Desk(lambda: NODE, Registry(), runner, access, {})
    yield desk
    await runner.abandon(1)


def told(desk):
    return Status(lambda: desk, StatusFields(), lambda: Peer(str(NODE), running=2, slots=2))


async def hold() -> None:
    await asyncio.Event().wait()


async def fall() -> None:
    raise ValueError("ouch")


async def test_jobs_and_errors_of_others_are_told_to_who_manages(desk):
    failed = desk.start(Task(fall), ANN, lambda signature: ((), {}))
    with pytest.raises(Exception, match="ouch"):
        await failed
    mine, other = (desk.start(Task(hold), who, lambda signature: ((), {})) for who in (ANN, BOB))
    while mine.started is None or other.started is None:
        await asyncio.sleep(0)
    waiting = desk.start(Task(hold), ANN, lambda signature: ((), {}))
    status = told(desk)

    by_asker = {who: status.of(who) for who in (ANN, BOB, BOSS)}
    jobs = {who: [job.id for job in found.jobs] for who, found in by_asker.items()}
    assert jobs == {ANN: [mine.id], BOB: [other.id], BOSS: [mine.id, other.id]}
    assert waiting.id not in jobs[BOSS]
    assert by_asker[BOB].last_error is None
    for who in (ANN, BOSS):
        assert by_asker[who].last_error.task == "fall"
        assert by_asker[who].last_error.message == "ValueError: ouch"
    assert by_asker[BOSS].load == 1


async def test_memory_is_left_out_where_the_system_does_not_tell(desk, monkeypatch):
    assert told(desk).of(ANN).memory > 1_000_000
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        told(desk).of(ANN)

    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr("pathlib.Path.read_text", missing)
    assert told(desk).of(ANN).memory is None


async def test_it_is_a_job_that_takes_no_slot(desk):
    task = told(desk).task()
    desk.own_tasks[task.name] = task
    desk.access.offer_to_all([task.name])
    for _ in range(3):
        desk.start(Task(hold), ANN, lambda signature: ((), {}))
    job = desk.start(task, BOB, lambda signature: ((), {}))
    assert job.status == "succeeded"
    found = msgspec.convert(job.value, NodeStatus)
    assert (found.jid, found.slots, found.fields) == (str(NODE), 2, {})
    assert len(desk.runner.jobs) == 3
