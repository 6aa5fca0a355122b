"""When a node publishes its status, and what it takes away of others, with a made-up clock."""

import asyncio

import pytest

from jabot.access import Access
from jabot.errors import StanzaError
from jabot.jid import JID
from jabot.peers import Peer
from jabot.pool import Pool
from jabot.runner import Desk, Runner
from jabot.status import Status, StatusFields
from jabot.status_topic import StatusTopic
from jabot.tasks import Registry, Task
from jabot.topics import Publishing
from jabot.xmpp.topic_stanzas import Item
from unit.clock import turns

OWN = JID("bot@localhost/1")
ANN = JID("ann@localhost/1")


class Session:
    jid = OWN


class Topics:
    """The account's topics, at a server that may be too small, or refuse."""

    own = OWN.bare

    def __init__(self):
        self.published, self.retracted = [], []
        self.kept: list[Item] = []
        self.problems: list[Exception] = []

    async def create(self, topic, settings, of=None, *, change):
        return True

    async def publish(self, topic, item, of=None, settings=None):
        self.published.append(item)

    async def items(self, topic, most, of=None):
        return self.kept

    async def retract(self, topic, slot, of=None):
        if self.problems:
            raise self.problems.pop()
        if not slot:
            raise StanzaError("bad-request")
        self.retracted.append(slot)


class Told:
    """A node whose status is a topic."""

    def __init__(self):
        self.runner, self.topics = Runner(concurrency=2), Topics()
        self.fields, self.pool = StatusFields(), Pool()
        self.pool.join(OWN, 1)
        self.pool.take_part()
        access = Access({"ann@localhost": "*"}, manage=["bot@localhost"])
        self.desk = Desk(lambda: OWN, Registry(), self.runner, access)
        status = Status(self.desk, self.fields, self.peer)
        self.publishing = Publishing(self.topics, {})
        self.topic = StatusTopic(status, self.publishing, self.pool, Session())

    def peer(self):
        return Peer(str(OWN), running=self.runner.running, slots=2)


@pytest.fixture
async def node(clock):
    node = Told()
    node.topic.start()
    yield node
    node.topic.close()
    await node.runner.abandon(1)


async def hold() -> None:
    await asyncio.Event().wait()


async def test_a_job_that_runs_on_is_no_news(node, clock):
    job = node.desk.start(Task(hold), ANN, lambda signature: ((), {}))
    await turns()
    assert job.started is not None
    await clock.advance(20)
    assert len(node.topics.published) == 1
    node.desk.cancel(job, ANN)
    await clock.advance(2)
    assert len(node.topics.published) == 2
    await clock.advance(65)
    assert len(node.topics.published) == 4  # that it is still there


async def test_what_is_too_large_is_said_once(node, clock, caplog):
    for number in range(20):
        node.fields[f"field {number}"] = "x" * 4000
    for number in range(3):
        await clock.advance(2)
        node.fields["field 0"] = "x" * (3999 - number)
    assert len(node.topics.published) == 3
    assert caplog.text.count("as long as it is too large") == 1
    for number in range(20):
        node.fields[f"field {number}"] = "small"
    await clock.advance(2)
    for number in range(20):
        node.fields[f"field {number}"] = "x" * 4000
    await clock.advance(2)
    assert len(node.topics.published) == 5
    assert caplog.text.count("as long as it is too large") == 2


@pytest.mark.parametrize("problem", [TimeoutError(), StanzaError("internal-server-error")])
async def test_who_is_gone_is_not_forgotten_when_the_server_fails(node, clock, problem):
    for resource in ("2", "3"):
        node.pool.saw(JID(f"bot@localhost/{resource}"), 10)
    await clock.advance(2)
    node.topics.problems.append(problem)
    for resource in ("2", "3"):
        node.pool.saw(JID(f"bot@localhost/{resource}"), None)
    await clock.advance(40)
    assert sorted(node.topics.retracted) == ["2", "3"]


async def test_what_is_no_node_s_status_is_left_alone(node, clock, caplog):
    node.topics.kept = [Item("0001", "{}", str(ANN)), Item("0002", "{}", str(OWN), "7")]
    await clock.advance(2)
    assert (node.topics.retracted, caplog.text) == (["7"], "")


async def test_what_is_still_there_is_kept_though_it_went_and_came_back(node, clock):
    other = JID("bot@localhost/2")
    node.pool.saw(other, 10)
    await clock.advance(2)
    node.pool.saw(other, None)
    node.topics.problems.append(TimeoutError())
    await clock.advance(2)
    node.pool.saw(other, 20)
    await clock.advance(40)
    assert node.topics.retracted == []
