"""A broadcast over a made-up network: whatever happens, each node gives one reply."""

import asyncio
from random import Random
from typing import ClassVar
from xml.etree import ElementTree as ET

import pytest
from msgspec import Raw

from jabot.calls import Audience, Broadcast, Calls
from jabot.calls.audience import EVERYBODY
from jabot.calls.broadcast import Plan, read_batch
from jabot.calls.calls import closed
from jabot.cli.broadcast import _Heard
from jabot.cli.progress import ProgressLine
from jabot.errors import (
    ConfigError,
    ConnectionFailed,
    JobTimeout,
    NobodyThere,
    NotAllowed,
    StanzaError,
    TaskFailed,
    TooLarge,
)
from jabot.jid import JID
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Failed,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
)
from jabot.testing.clock import Clock
from jabot.xmpp.room import Occupant
from unit.clock import turns
from unit.linked import Wire

ROOM = "fleet@conference.localhost"
NODE = {"tasks": "lift", "running": "0", "slots": "4"}
INFO = "http://jabber.org/protocol/disco#info"
TIMEOUT = 10.0
RESULT = Raw(b"7")


class Requests:
    """What servers and rooms say of themselves."""

    def __init__(self):
        self.asked, self.contacts, self.problem = [], [], None

    async def ask(self, kind, to, payload):
        self.asked.append(str(to))
        if self.problem is not None:
            raise self.problem
        if to is None:
            items = "".join(f"<item jid='{jid}' subscription='{s}'/>" for jid, s in self.contacts)
            return ET.fromstring(f"<query xmlns='jabber:iq:roster'>{items}</query>")
        if str(to).startswith("missing@"):
            raise StanzaError("item-not-found")
        category = "conference" if "conference." in str(to) else "server"
        return ET.fromstring(f"<query xmlns='{INFO}'><identity category='{category}'/></query>")


class Rooms:
    """One room, and who is in it."""

    def __init__(self):
        self.listeners, self.there, self.entered, self.inside = [], {}, set(), True
        self.reason, self.barred, self.left = "", False, []

    def __contains__(self, address):
        return address in self.entered

    def enter(self, room):
        self.entered.add(room.address)

    def leave(self, address):
        self.entered.remove(address)
        self.left.append(address)

    def is_inside(self, address):
        return address in self.entered and self.inside

    def problem(self, address):
        return self.reason

    def is_barred(self, address):
        return self.barred

    def occupants(self, address):
        return list(self.there.values())

    def comes(self, jid, *, is_node=True, is_queue=False):
        nick = jid.rpartition("-")[2]
        self.there[jid] = Occupant(nick, JID(jid), is_node, is_queue)

    def goes(self, jid):
        occupant = self.there.pop(jid, None)
        for listener in self.listeners if occupant is not None else ():
            listener.went(JID(ROOM), occupant, "left")


class Fleet(Wire):
    """Nodes at the other end of a wire, in a room."""

    def __init__(self, count=0):
        super().__init__()
        self.session.requests = Requests()
        self.rooms = Rooms()
        self.calls = Calls(self.session, self.link)
        self.audience = Audience(self.session, self.rooms, self.calls)
        self.link.online()
        self.nodes = [f"bot{number}@localhost/host-{number}" for number in range(count)]
        for jid in self.nodes:
            self.rooms.comes(jid)
        self.rooms.comes("ann@localhost/desk", is_node=False)

    def broadcast(self, to=ROOM, **options):
        plan = Plan.of("lift", ((), {}), to, options.pop("timeout", TIMEOUT), **options)
        return Broadcast(self.calls, self.audience, plan)

    def close(self):
        self.calls.close(closed("the test"))
        self.link.close()


@pytest.fixture
async def fleet(clock):
    fleet = Fleet(3)
    yield fleet
    fleet.close()
    await turns()


async def hear(broadcast):
    return [reply async for reply in broadcast]


def submits(fleet):
    """The peers that were given the job since the last call; their batches are answered."""
    found = {}
    for peer, frames, number in fleet.batches():
        for frame in frames:
            if isinstance(frame, Submit):
                found[peer] = frame
        fleet.answer(peer, number)
    return found


# -- histories -------------------------------------------------------------------------------------


class History:
    """One broadcast, with chance at the other end; what each node may be told as is noted."""

    FATES: ClassVar = {
        "answers": {"answered"},
        "answers late": {"silent"},
        "answers twice": {"answered"},
        "raises": {"failed"},
        "has a limit": {"failed"},
        "stops it": {"failed"},
        "refuses": {"refused"},
        "forbids": {"refused"},
        "drains": {"refused"},
        "is silent": {"silent"},
        "takes it": {"silent"},
        "is not there": {"left"},
        "dies": {"left"},
        "leaves unseen": {"left"},
    }

    def __init__(self, random):
        self.random = random
        self.fleet = Fleet(random.randint(1, 12))
        self.clock = Clock(asyncio.get_running_loop())
        self.fates = {jid: random.choice(list(self.FATES)) for jid in self.fleet.nodes}
        self.has = {}  # by node, the job that it has
        self.drops = random.random() < 0.3
        self.back_at = None
        self.batch = random.choice([None, None, 1, 3, "50%"])
        self.quorum = random.choice([None, None, None, 2])

    async def play(self):
        fleet, random = self.fleet, self.random
        broadcast = fleet.broadcast(batch=self.batch, quorum=self.quorum)
        hearing = asyncio.ensure_future(hear(broadcast))
        begun = self.clock.now
        at_once = broadcast._plan.at_once(len(fleet.nodes))
        limit = TIMEOUT * -(-len(fleet.nodes) // at_once)
        while not hearing.done():
            await self.clock.advance(random.uniform(0, 0.5))
            self.network()
            await turns()
            assert self.clock.now <= begun + limit + 1, self.fates
        replies = hearing.result()
        assert sorted(str(r.node) for r in replies) == sorted(fleet.nodes), self.fates
        answered = sum(reply.status == "answered" for reply in replies)
        enough = self.quorum is not None and answered >= self.quorum
        for reply in replies:
            allowed = self.FATES[self.fates[str(reply.node)]]
            if self.drops:  # then it cannot always be told why nothing came
                allowed = allowed | {"silent", "left"}
            assert reply.status in allowed | ({"silent"} if enough else set()), self.fates
        await self.all_is_stopped()

    async def all_is_stopped(self):
        """Nothing is left behind: every job that is not over was called off."""
        for _ in range(60):
            if not len(self.fleet.calls):
                break
            await self.clock.advance(1)
            self.network()
        assert not len(self.fleet.calls), self.fates
        assert not self.fleet.audience._visits
        assert not self.fleet.audience._followed
        self.fleet.close()
        await turns()

    def network(self):
        fleet, random = self.fleet, self.random
        if self.back_at is not None:
            if self.clock.now >= self.back_at:
                self.back_at = None
                fleet.back()
            return
        if self.drops and self.has and random.random() < 0.2:
            self.drops = "already"
            fleet.session.stanzas.clear()  # the last words are lost
            fleet.drop()
            self.back_at = self.clock.now + random.uniform(0, 2)
            return
        for element in fleet.session.elements:
            jid = element.get("to")
            if jid in self.fates and self.fates[jid] not in (
                *("forbids", "is not there", "is silent", "leaves unseen"),
            ):
                fleet.see(jid, node=NODE)
        fleet.session.elements.clear()
        for entry in fleet.take():
            if len(entry) == 3:
                self.batch_at(*entry)
        for jid, job in list(self.has.items()):
            if random.random() < 0.3:
                self.happens(jid, job)

    def batch_at(self, jid, frames, number):
        fleet, fate = self.fleet, self.fates[jid]
        if fate in ("is silent", "leaves unseen"):
            if fate == "leaves unseen":
                fleet.rooms.goes(jid)
            return
        if fate in ("is not there", "forbids"):
            condition = "forbidden" if fate == "forbids" else "service-unavailable"
            fleet.answer(jid, number, condition)
            return
        fleet.answer(jid, number)
        for frame in frames:
            if isinstance(frame, Submit):
                self.has.setdefault(jid, frame.id)
            elif isinstance(frame, Cancel):
                self.has.pop(jid, None)
                fleet.say(jid, Cancelled(frame.id, frame.attempt))
            elif isinstance(frame, Query):
                state = "running" if jid in self.has else "unknown"
                fleet.say(jid, State(frame.id, frame.attempt, state))

    def happens(self, jid, job):
        fleet, fate = self.fleet, self.fates[jid]
        frames = {
            "answers": [Succeeded(job, 1, RESULT)],
            "answers twice": 2 * [Succeeded(job, 1, RESULT)],
            "raises": [Failed(job, 1, "ValueError", "too heavy")],
            "has a limit": [Failed(job, 1, "JobTimeout", "too slow", code="timeout")],
            "stops it": [Cancelled(job, 1, "by its operator")],
            "refuses": [Rejected(job, 1, "bad_arguments", "no")],
            "drains": [Rejected(job, 1, "draining", "no")],
        }.get(fate)
        if fate == "dies":
            fleet.see(jid, "unavailable")
        elif frames is not None:
            fleet.say(jid, *frames)
        else:
            return
        del self.has[jid]


@pytest.mark.parametrize("block", range(4))
def test_each_node_gives_one_reply_whatever_happens(block):
    for seed in range(40 * block, 40 * block + 40):

        async def story(seed=seed):
            await History(Random(seed)).play()

        try:
            asyncio.run(story())
        except BaseException as error:
            error.add_note(f"the story of seed {seed}")
            raise


# -- one by one ------------------------------------------------------------------------------------


async def test_a_room_is_entered_for_it_and_left_again(fleet):
    hearing = [asyncio.ensure_future(hear(fleet.broadcast())) for _ in range(2)]
    await turns()
    assert ROOM in fleet.rooms
    assert fleet.session.requests.asked.count("conference.localhost") <= 2
    given = {}
    for peer, frames, number in fleet.batches():
        fleet.answer(peer, number)
        given[peer] = frames
    first, second = zip(*given.values(), strict=True)
    for jid, frame in zip(fleet.nodes, first, strict=True):
        fleet.say(jid, Succeeded(frame.id, 1, RESULT))
    assert [reply.result for reply in await hearing[0]] == [7, 7, 7]
    assert fleet.rooms.left == []  # the other one is still at it
    for jid, frame in zip(fleet.nodes, second, strict=True):
        fleet.say(jid, Succeeded(frame.id, 1, RESULT))
    await hearing[1]
    assert fleet.rooms.left == [ROOM]
    fleet.rooms.enter(type("Room", (), {"address": ROOM}))  # now it lives there
    asked = len(fleet.session.requests.asked)
    hearing = asyncio.ensure_future(hear(fleet.broadcast(quorum=1)))
    await turns()
    (jid, frame), *_ = submits(fleet).items()
    fleet.say(jid, Succeeded(frame.id, 1, RESULT))
    assert [reply.status for reply in await hearing] == ["answered", "silent", "silent"]
    assert ROOM in fleet.rooms
    assert len(fleet.session.requests.asked) == asked


async def test_the_jobs_are_called_off_when_enough_have_answered(fleet):
    hearing = asyncio.ensure_future(hear(fleet.broadcast(quorum=1)))
    await turns()
    given = submits(fleet)
    fleet.say(fleet.nodes[1], Succeeded(given[fleet.nodes[1]].id, 1, RESULT))
    await hearing
    await turns()
    called_off = {peer for peer, frames, _ in fleet.batches() if isinstance(frames[0], Cancel)}
    assert called_off == {fleet.nodes[0], fleet.nodes[2]}


async def test_each_node_has_its_time_from_when_it_is_asked(fleet, clock):
    begun = clock.now
    replies = await hear(fleet.broadcast(batch=1))
    assert [reply.seconds for reply in replies] == 3 * [pytest.approx(TIMEOUT, abs=0.1)]
    assert clock.now - begun == pytest.approx(3 * TIMEOUT, abs=0.5)


async def test_without_a_connection_it_ends_all_the_same(fleet, clock):
    fleet.drop()
    begun = clock.now
    with pytest.raises(JobTimeout, match="could not be found out within 15 s; nothing ran"):
        await hear(fleet.broadcast())
    assert clock.now - begun == pytest.approx(15, abs=0.5)


async def test_the_connection_goes_while_it_is_found_out_who_is_there(fleet):
    fleet.session.requests.problem = ConnectionFailed("the connection was lost")
    hearing = asyncio.ensure_future(hear(fleet.broadcast()))
    await turns()
    fleet.session.requests.problem = None
    while not (given := submits(fleet)):
        await asyncio.sleep(0.1)
    for jid, frame in given.items():
        fleet.say(jid, Succeeded(frame.id, 1, RESULT))
    assert len(await hearing) == 3


@pytest.mark.parametrize(("barred", "error"), [(True, NotAllowed), (False, NobodyThere)])
async def test_a_room_that_lets_nobody_in(fleet, barred, error):
    fleet.rooms.inside = False
    hearing = asyncio.ensure_future(hear(fleet.broadcast()))
    await turns()
    fleet.rooms.reason, fleet.rooms.barred = "it is for members only", barred
    for listener in fleet.rooms.listeners:
        listener.kept_out(JID(ROOM), "it is for members only")
    with pytest.raises(error, match=f"^not in the room {ROOM}: it is for members only$"):
        await hearing
    assert fleet.rooms.left == [ROOM]


async def test_rooms_that_are_of_no_use(fleet):
    with pytest.raises(NobodyThere, match="there is no room missing@"):
        await hear(fleet.broadcast("missing@conference.localhost"))
    assert not fleet.rooms.entered
    fleet.rooms.there = {"x": Occupant("x", None, True)}
    with pytest.raises(NotAllowed, match="hides who is in it"):
        await hear(fleet.broadcast())
    fleet.rooms.there = {}
    with pytest.raises(NobodyThere, match="no node is in the room"):
        await hear(fleet.broadcast())
    for address in ("conference.localhost", f"{ROOM}/nick"):
        with pytest.raises(ConfigError, match="is no room, but in the domain of rooms"):
            await hear(fleet.broadcast(address))
    assert fleet.session.requests.asked.count("conference.localhost") == 1


async def test_who_only_changed_its_name_has_not_left(fleet, clock):
    hearing = asyncio.ensure_future(hear(fleet.broadcast()))
    await turns()
    jid = fleet.nodes[0]
    fleet.rooms.goes(jid)
    fleet.rooms.comes(jid)
    await clock.advance(1)
    assert not hearing.done()
    assert {reply.status for reply in await hearing} == {"silent"}


async def test_contacts_are_greeted_and_gateways_are_not(fleet, clock):
    fleet.session.requests.contacts = [
        ("bot@localhost", "both"),
        ("irc.localhost", "both"),
        ("asked@localhost", "none"),
        ("seen@localhost", "from"),
        ("@", "both"),
    ]
    hearing = asyncio.ensure_future(hear(fleet.broadcast(EVERYBODY)))
    await turns()
    assert [e.get("to") for e in fleet.session.elements] == ["bot@localhost", "seen@localhost"]
    fleet.see("bot@localhost/host-1", node=NODE)
    fleet.see("bot@localhost/host-2", "error", condition="forbidden")
    await clock.advance(2.1)
    (frame,) = submits(fleet).values()
    fleet.say("bot@localhost/host-1", Succeeded(frame.id, 1, RESULT))
    told = {str(reply.node): reply.status for reply in await hearing}
    assert told == {"bot@localhost/host-1": "answered", "bot@localhost/host-2": "refused"}


async def test_a_pool_whose_nodes_all_refuse(fleet):
    hearing = asyncio.ensure_future(hear(fleet.broadcast("bot@localhost")))
    await turns()
    for number in (1, 2):
        fleet.see(f"bot@localhost/host-{number}", "error", condition="forbidden")
    replies = await hearing
    assert [(str(reply.node), reply.status) for reply in replies] == [
        ("bot@localhost/host-1", "refused"),
        ("bot@localhost/host-2", "refused"),
    ]
    assert all(isinstance(reply.error, NotAllowed) for reply in replies)


@pytest.mark.parametrize(
    ("batch", "read", "of_ten"), [(3, 3, 3), ("12", 12, 12), ("25%", 0.25, 2), ("1%", 0.01, 1)]
)
def test_batches(batch, read, of_ten):
    assert read_batch(batch) == read
    assert Plan.of("lift", ((), {}), ROOM, batch=batch).at_once(10) == of_ten


@pytest.mark.parametrize("batch", [0, -1, "", "0%", "101%", "half", "2.5", "%"])
def test_what_is_no_batch(batch):
    with pytest.raises(ConfigError, match="batch is a number of nodes or a part of them"):
        read_batch(batch)


def test_arguments_that_no_node_would_take():
    with pytest.raises(TooLarge):
        Plan.of("lift", (("x" * 17_000_000,), {}), ROOM)


def reply(status, error=None):
    return type("Reply", (), {"status": status, "error": error})


@pytest.mark.parametrize(
    ("replies", "quorum", "code"),
    [
        ([reply("answered")] * 3, None, 0),
        ([reply("answered"), reply("failed", TaskFailed())], None, 1),
        ([reply("answered"), reply("silent", JobTimeout())], 1, 0),
        ([reply("refused", NotAllowed())] * 2, None, 4),
        ([reply("silent", JobTimeout())] * 2, None, 124),
        ([reply("silent", JobTimeout()), reply("refused", NotAllowed())], None, 1),
    ],
)
def test_exit_codes(replies, quorum, code):
    heard = _Heard(ProgressLine("lift"), ROOM, quorum)
    heard.nodes = len(replies)
    heard.replies += replies
    assert heard.code() == code


async def test_a_queue_is_asked_for_what_it_does_itself(fleet):
    fleet.rooms.comes("jobs@localhost/host-9", is_queue=True)
    queue, *others = "jobs@localhost/host-9", *fleet.nodes
    for task, asked in (("lift", others), ("queue.stats", [*others, queue])):
        plan = Plan.of(task, ((), {}), ROOM)
        hearing = asyncio.ensure_future(hear(Broadcast(fleet.calls, fleet.audience, plan)))
        await turns()
        assert sorted(submits(fleet)) == asked
        hearing.cancel()
        await turns()
    for jid in others:
        fleet.rooms.goes(jid)
    with pytest.raises(NobodyThere, match="only queues are in the room"):
        await hear(fleet.broadcast())
