"""What a node tells of itself: the author's fields, and who learns which part."""

import asyncio

import msgspec
import pytest

from jabot import JID, ConfigError, Node, NodeJob, NodeStatus, NotAllowed, UnknownJob
from jabot.access import Access
from jabot.node_jobs import job_tasks
from jabot.peers import Peer
from jabot.runner import Desk, Options, Runner
from jabot.status import Status, StatusFields
from jabot.tasks import Registry, Step, Task

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


def test_fields_may_change_while_they_are_read():
    """By whatever is called for it; so by another thread, too."""
    fields = StatusFields()

    def told():
        fields["more"] = 2
        return 1

    fields["first"], fields["second"] = told, told
    assert fields.read() == {"first": 1, "second": 1}
    for name in fields:
        del fields[name]
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
    desk = Desk(lambda: NODE, Registry(), runner, access)
    yield desk
    await runner.abandon(1)


def told(desk):
    return Status(desk, StatusFields(), lambda: Peer(str(NODE), running=2, slots=2))


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
    desk.add_own(task)
    for _ in range(3):
        desk.start(Task(hold), ANN, lambda signature: ((), {}))
    job = desk.start(task, BOB, lambda signature: ((), {}))
    assert job.status == "succeeded"
    found = msgspec.convert(job.value, NodeStatus)
    assert (found.jid, found.slots, found.fields) == (str(NODE), 2, {})
    assert len(desk.runner.jobs) == 3


async def test_ends_are_counted(desk):
    failed, done = (desk.start(Task(f), ANN, lambda signature: ((), {})) for f in (fall, ready))
    with pytest.raises(Exception, match="ouch"):
        await failed
    await done
    cancelled = desk.start(Task(hold), ANN, lambda signature: ((), {}))
    desk.cancel(cancelled, ANN)
    status = told(desk).of(BOB)
    assert (status.succeeded, status.failed) == (1, 1)
    queue = Status(desk, StatusFields(), lambda: Peer(str(NODE), queue=True)).of(BOB)
    assert (queue.succeeded, queue.failed) == (None, None)  # of the jobs of its workers it cannot


async def ready() -> None: ...


# --- jobs ---------------------------------------------------------------------------------------


@pytest.fixture
def ask(desk):
    """What somebody is answered by one of the node's own tasks."""
    desk.add_own(*job_tasks(desk))

    def ask(name, asker, kind, **arguments):
        job = desk.start(desk.own_tasks[name], asker, lambda s: s.bind((), arguments))
        return msgspec.convert(job.value, kind)

    return ask


async def test_jobs_are_listed_for_who_has_a_right_to_see_them(desk, ask):
    jobs = [desk.start(Task(hold), who, lambda signature: ((), {})) for who in (ANN, BOB, BOB, ANN)]
    while jobs[1].started is None:
        await asyncio.sleep(0)
    jobs[0].report(Step(3, 10, "so far"))

    def ids(asker, **how):
        return [job.id for job in ask("node.jobs", asker, list[NodeJob], **how)]

    everything = [job.id for job in jobs]
    assert ids(BOSS) == everything
    assert ids(BOSS, limit=1) == everything[:1]
    assert ids(ANN) == [everything[0], everything[3]]
    with pytest.raises(NotAllowed):
        ids(JID("eve@localhost/1"))
    first, _, third, _ = ask("node.jobs", BOSS, list[NodeJob])
    assert (first.task, first.caller, first.state) == ("hold", ANN.bare, "running")
    assert (first.progress, first.attempt, first.stopping) == ("3 of 10 (30%), so far", 1, False)
    assert first.since is not None
    assert (third.state, third.since, third.progress) == ("available", None, "")


async def test_of_several_jobs_with_one_id_that_is_stopped_which_is_meant(desk, ask):
    """Callers make the ids: nobody is to have another's job stopped by who manages the node."""
    for who in (ANN, BOB):
        desk.start(Task(hold), who, lambda signature: ((), {}), Options(job_id="j"))

    def stopping():
        return [job.caller for job in ask("node.jobs", BOSS, list[NodeJob]) if job.stopping]

    which = r"2 jobs here .* say which: caller=ann@localhost, caller=bob@localhost$"
    with pytest.raises(UnknownJob, match=which):
        ask("node.cancel", BOSS, NodeJob, id="j")
    with pytest.raises(UnknownJob, match="or it has ended"):
        ask("node.cancel", ANN, NodeJob, id="j", caller=BOB.bare)
    assert stopping() == []
    assert ask("node.cancel", BOSS, NodeJob, id="j", caller=BOB.bare).caller == BOB.bare
    assert stopping() == [BOB.bare]
    assert ask("node.cancel", ANN, NodeJob, id="j").caller == ANN.bare
    assert stopping() == [ANN.bare, BOB.bare]


async def test_jobs_are_stopped_by_who_may_see_them(desk, ask):
    jobs = [desk.start(Task(hold), who, lambda signature: ((), {})) for who in (ANN, BOB)]
    while jobs[1].started is None:
        await asyncio.sleep(0)
    mine, other = jobs
    for asker, job_id in [(BOB, mine.id), (ANN, other.id), (ANN, mine.id[-4:]), (BOSS, "x")]:
        with pytest.raises(UnknownJob, match="or it has ended"):
            ask("node.cancel", asker, NodeJob, id=job_id)
    with pytest.raises(NotAllowed):
        ask("node.cancel", JID("eve@localhost/1"), NodeJob, id=mine.id)
    assert ask("node.cancel", BOB, NodeJob, id=other.id).stopping
    ask("node.cancel", BOSS, NodeJob, id=mine.id)
    for job, reason in [(other, "was cancelled$"), (mine, "was cancelled: by boss@localhost$")]:
        with pytest.raises(Exception, match=reason):
            await job
    assert ask("node.jobs", BOSS, list[NodeJob]) == []
