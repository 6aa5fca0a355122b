"""What an author writes, and one run of it, on a session that goes nowhere."""

import asyncio
import threading
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest

import jabot
from jabot import JID, Account, ConfigError, ConnectionFailed, JabotError, Node, Replaced, Retry
from jabot.queue_node import QueueNode
from jabot.runner.timers import Timer
from jabot.schedule import Cron, Every
from jabot.tasks import Task
from jabot.xmpp import IncomingPresence, IncomingText
from jabot.xmpp.disco import Disco
from jabot.xmpp.requests import Requests
from unit.clock import turns
from unit.fakes import ALICE, BOSS, EVE, OWN, Mouth

ACCOUNT = Account(JID("bot@localhost"), "x")


# --- the definition -----------------------------------------------------------------------------


def test_a_task_with_and_without_options():
    node = Node()

    @node.task
    def lift():
        return 1

    @node.task(name="größe", done="{result}")
    def size():
        return 2

    assert isinstance(lift, Task)
    assert (lift(), size()) == (1, 2)
    assert [task.name for task in node.tasks] == ["lift", "größe"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Node, "help"), (Node, "exit"), (Node, "Status"), (QueueNode, "help"), (QueueNode, "pause")],
)
def test_a_task_cannot_take_the_name_of_a_command(kind, name):
    with pytest.raises(ConfigError, match="jabot's own"):
        kind().task(name=name)(lambda: None)


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"allow": {"a@b@c": "*"}},
        {"allow": ["a@b"]},
        {"manage": "a@b"},
        {"drain_limit": "soon"},
        {"drain_limit": 0},
        {"queue": "jobs@localhost/one"},
        {"queue": ["jobs@localhost", "a@b@c"]},
        {"rooms": "localhost"},
        {"rooms": ["fleet@conference.localhost", "fleet@conference.localhost/nick"]},
    ],
)
def test_options_that_cannot_be_used(options):
    with pytest.raises(ConfigError):
        Node(**options)


def test_timers_are_read_when_they_are_written():
    node = Node()
    every = node.every("1h 30m")(print)
    cron = node.cron("0 3 * * *", ZoneInfo("Europe/Berlin"))(print)
    assert isinstance(every, Timer)
    assert every.schedule == Every(5400)
    assert cron.schedule == Cron("0 3 * * *", ZoneInfo("Europe/Berlin"))
    with pytest.raises(ConfigError):
        node.every("soon")
    with pytest.raises(ConfigError):
        node.cron("never")


def test_there_is_one_on_message_function():
    node = Node()
    assert node.on_message(print) is print
    with pytest.raises(ConfigError, match="on_message"):
        node.on_message(print)


def test_before_it_is_served_a_node_can_neither_speak_nor_show_itself():
    node = Node()
    for act in (lambda: node.deliver("a@b", "x"), lambda: node.status("away"), lambda: node.jid):
        with pytest.raises(JabotError, match="not being served yet"):
            act()
    node.stop()  # nothing to stop


def test_can_is_asked_of_the_rules():
    node = Node(allow={"alice@localhost": ["lift"]}, manage=["boss@localhost"])
    own = JID("bot@localhost")
    assert node.can(own, ALICE, "lift")
    assert not node.can(own, ALICE, "exit")
    assert node.can(own, BOSS, "exit")
    assert not node.can(own, EVE, "lift")


# --- one run ------------------------------------------------------------------------------------


class Session(Mouth):
    """A session that is online until it is stopped or told to fail."""

    def __init__(self, account, listener, timing=None):
        super().__init__()
        self.jid, self.listener, self.connected = OWN, listener, False
        self.ended = asyncio.get_running_loop().create_future()
        Session.last = self
        self.requests = Requests(lambda: OWN, self.send)
        self.disco = Disco(self.requests)

    async def run(self):
        self.connected = True
        self.listener.online()
        await self.ended

    async def stop(self):
        if not self.ended.done():
            self.ended.set_result(None)

    async def ping(self, limit): ...

    def carry(self, carrier): ...

    @property
    def is_online(self):
        return self.connected

    @property
    def has_room(self):
        return self.connected

    def send_stanzas(self, xml):
        raise AssertionError("nobody sends frames here")

    def shows(self):
        """The presence that went out since the last call: type, show, status."""
        sent = [e for e in self.lossy if e.tag == "{jabber:client}presence"]
        self.lossy.clear()
        show, status = "{jabber:client}show", "{jabber:client}status"
        return [(e.get("type"), e.findtext(show), e.findtext(status)) for e in sent]

    def say(self, body, sender=ALICE):
        text = IncomingText(sender, OWN, body, "1", "chat", False, None, None, False)
        self.listener.text_received(text)

    def appear(self, sender, type="available"):  # noqa: A002
        self.listener.presence_received(IncomingPresence(sender, OWN, type, "", "", None))


@pytest.fixture
async def serve(clock, monkeypatch):
    """Serves a node; gives its session once it is announced."""
    monkeypatch.setattr("jabot.serving.Session", Session)
    runs = []

    async def serve(node):
        node.running = asyncio.ensure_future(node.serve(ACCOUNT))
        runs.append(node.running)
        await turns()
        if node.running.done():
            await node.running
        Session.last.appear(OWN)
        await asyncio.sleep(0.5)
        return Session.last

    yield serve
    for running in runs:
        running.cancel()
    await asyncio.gather(*runs, return_exceptions=True)


async def test_a_run_from_start_to_farewell(serve, clock):
    node, order = Node(allow={"alice@localhost": "*"}, farewell="jabot down"), []

    @node.task
    async def lift():
        await asyncio.sleep(10)
        order.append("lifted")

    @node.on_start
    async def on_start():
        order.append("start")

    @node.on_stop
    async def on_stop():
        order.append("stop")

    session = await serve(node)
    assert order == ["start"]
    assert session.shows()[-1] == (None, "chat", "0 of 8 running")
    session.say("lift")
    node.stop()
    await asyncio.sleep(5)
    assert not node.running.done()
    session.say("lift")
    assert session.said()[-1] == "I am stopping and take no new jobs."
    await node.running
    assert order == ["start", "lifted", "stop"]
    assert session.shows()[-2:] == [
        (None, "away", "jabot down"),
        ("unavailable", None, "jabot down"),
    ]
    assert "is done" in session.said()[-1]


async def test_exit_by_chat_stops_it(serve):
    node = Node(manage=["boss@localhost"])
    session = await serve(node)
    session.say("exit", BOSS)
    await node.running
    assert session.said() == ["Leaving."]


async def test_hooks_may_be_plain_functions(serve):
    node, threads = Node(), []
    node.on_start(lambda: threads.append(threading.current_thread()))
    node.on_stop(lambda: 1 / 0)  # is logged, and the node leaves all the same
    running = asyncio.ensure_future(node.serve(ACCOUNT))
    while not threads:
        await asyncio.sleep(0)
    await turns()
    node.stop()
    await running
    assert threads != [threading.main_thread()]


async def test_a_start_hook_that_raises_keeps_it_from_signing_in(serve):
    node = Node()

    @node.on_start
    async def fails():
        raise LookupError("no database")

    with pytest.raises(LookupError, match="no database"):
        await serve(node)
    assert not Session.last.connected


async def test_a_rule_for_a_task_that_is_not_there_keeps_it_from_signing_in(serve):
    node = Node(allow={"alice@localhost": ["lfit"]})
    node.task(name="lift")(lambda: None)
    with pytest.raises(ConfigError, match="run lfit, and this node has no such task"):
        await serve(node)
    assert not Session.last.connected


async def test_a_policy_that_no_queue_can_be_told_keeps_it_from_signing_in(serve):
    node = Node(queue=["jobs@localhost", "jobs@localhost", "other@localhost"])
    node.task(name="lift", retries=Retry(on=callable))(lambda: None)
    with pytest.raises(ConfigError, match="task lift: retries: this node works for a queue"):
        await serve(node)
    assert not Session.last.connected


async def test_what_runs_too_long_is_cancelled_when_it_stops(serve, clock):
    node = Node(allow={"alice@localhost": "*"}, drain_limit="30s")

    @node.task
    async def forever():
        await asyncio.Event().wait()

    session = await serve(node)
    session.say("forever")
    await turns()
    before = clock.now
    node.stop()
    await node.running
    assert clock.now - before == pytest.approx(30, abs=1)
    assert "was cancelled: the node is stopping" in session.said()[-1]


async def test_a_session_that_ends_for_good_ends_the_node_with_its_reason(serve):
    node = Node(allow={"alice@localhost": "*"})

    @node.task
    async def forever():
        await asyncio.Event().wait()

    session = await serve(node)
    session.say("forever")
    await turns()
    session.ended.set_exception(Replaced("another program"))
    with pytest.raises(Replaced):
        await node.running


async def test_the_load_is_shown(serve, clock):
    node = Node(allow={"alice@localhost": "*"}, concurrency=2)

    @node.task
    async def lift():
        await asyncio.sleep(10)

    session = await serve(node)
    await asyncio.sleep(2)
    shown = []
    for _ in range(3):
        session.shows()
        session.say("lift")
        await asyncio.sleep(1.5)
        shown += session.shows()
    assert shown == [
        (None, None, "1 of 2 running"),
        (None, "dnd", "2 of 2 running"),
        (None, "dnd", "2 of 2 running, 1 waiting"),
    ]
    await asyncio.sleep(60)
    assert session.shows()[-1] == (None, "chat", "0 of 2 running")


async def test_a_status_of_ones_own_goes_before_the_load(serve):
    node = Node(allow={"alice@localhost": "*"})
    session = await serve(node)
    await asyncio.sleep(2)
    session.shows()
    node.status("xa", "à la plage")
    await asyncio.sleep(2)
    node.status()
    await asyncio.sleep(2)
    assert session.shows() == [(None, "xa", "à la plage"), (None, "chat", "0 of 8 running")]
    with pytest.raises(ConfigError, match="dnd"):
        node.status("busy")


async def test_texts_are_delivered(serve):
    node = Node()
    session = await serve(node)
    node.deliver("alice@localhost", "здравствуй")
    [text] = session.texts
    assert (text.to, text.body, text.automatic) == ("alice@localhost", "здравствуй", False)
    with pytest.raises(ConfigError, match="not an address"):
        node.deliver("a@b@c", "x")
    assert node.jid == OWN


@pytest.mark.parametrize(("sender", "answer"), [(ALICE, "subscribed"), (EVE, "unsubscribed")])
async def test_being_a_contact_is_for_those_with_a_right(serve, sender, answer):
    session = await serve(Node(allow={"alice@localhost": "*"}))
    session.lossy.clear()
    session.appear(sender, "subscribe")
    [stanza] = session.lossy
    assert (stanza.get("type"), stanza.get("to")) == (answer, sender.bare)


async def test_what_comes_from_a_room_is_for_the_rooms_alone(serve):
    """Its occupants are no contacts, whatever the rules say of addresses there."""
    room = "fleet@conference.localhost"
    session = await serve(Node(allow={"*": "*"}, rooms=[jabot.Room(room, nick="chief")]))
    await turns()
    sent = [element.get("to") for element in session.lossy]
    assert f"{room}/chief" in sent
    session.lossy.clear()
    x = ET.fromstring("<x xmlns='http://jabber.org/protocol/muc#user'/>")
    for sender in (JID(f"{room}/ann"), JID("left@conference.localhost/ann")):
        stanza = IncomingPresence(sender, OWN, "available", "", "", {}, hello=True, room=x)
        session.listener.presence_received(stanza)
    session.say("help", JID(f"{room}/ann"))
    await turns()
    assert (session.lossy, session.texts) == ([], [])
    session.appear(ALICE)
    assert [element.get("to") for element in session.lossy] == [ALICE]


async def test_a_node_is_served_once_at_a_time_and_again_afterwards(serve):
    node, ticks = Node(), []

    @node.every(10)
    async def tick():
        ticks.append(1)

    await serve(node)
    with pytest.raises(ConfigError, match="being served already"):
        await node.serve(ACCOUNT)
    node.stop()
    await node.running
    await serve(node)
    await asyncio.sleep(11)
    assert ticks == [1]
    node.stop()
    await node.running


async def test_timers_run_while_it_serves(serve, clock):
    node, ticks = Node(), []

    @node.every("1s")
    async def tick():
        ticks.append(node.jid)

    await serve(node)
    await asyncio.sleep(3.2)
    node.stop()
    await node.running
    count = len(ticks)
    await asyncio.sleep(10)
    assert count == len(ticks) == 3


async def test_an_announcement_is_given_up_with_its_connection(serve, clock):
    session = await serve(Node())
    session.listener.offline()
    session.shows()
    session.listener.online()
    session.listener.offline()
    session.listener.online()
    await turns()
    session.appear(OWN)
    await asyncio.sleep(1)
    assert len(session.shows()) == 2


def test_the_version_of_the_original_in_the_demo_has_its_sentences():
    from jabot.demo.heavy import lift

    assert (lift.scheduled, lift.done) == ("Scheduled heavy job...", "Done lifting")


def test_errors_have_one_root():
    assert issubclass(Replaced, ConnectionFailed)
    assert issubclass(ConnectionFailed, jabot.JabotError)


async def test_a_node_gives_no_jobs_before_it_signs_in(serve, caplog):
    node, raised = Node(), []

    @node.on_start
    async def too_early():
        try:
            await node.submit("lift", to="bot@localhost")
        except JabotError as error:
            raised.append(str(error))

    await serve(node)
    assert "not signed in yet" in raised[0]
