"""How a node shows itself."""

import asyncio
import itertools

import pytest

from jabot.errors import ConnectionFailed
from jabot.jid import JID
from jabot.peers import Peer
from jabot.pool import Pool
from jabot.xmpp.disco import Disco
from jabot.xmpp.presence import Presence, Welcome
from jabot.xmpp.requests import Requests
from jabot.xmpp.stanzas import IncomingPresence, read_error
from unit.clock import turns
from unit.fakes import ALICE, BOB, EVE, OWN

OTHER = JID("bot@localhost/host-2")


class Session:
    """Records the presence that goes out: receiver, type, show, status, priority, since."""

    def __init__(self, clock):
        self.jid, self.clock, self.sent, self.pings, self.fails = OWN, clock, [], 0, None
        self.disco = Disco(Requests(lambda: OWN, self.send))

    def send(self, element):
        text = {child.tag.rpartition("}")[2]: child.text or child.get("since") for child in element}
        node = next((child.attrib for child in element if child.tag.endswith("}node")), {})
        condition = read_error(element)[0] if element.get("type") == "error" else None
        self.sent.append(
            {
                "at": round(self.clock.now - 1000, 3),
                "to": element.get("to"),
                "type": element.get("type"),
                **text,
                "running": node.get("running"),
                "tasks": node.get("tasks"),
                "condition": condition,
            }
        )
        return True

    async def ping(self, limit):
        self.pings += 1
        if self.fails:
            raise self.fails

    def take(self, *keys):
        """What was sent since the last call."""
        sent, self.sent = self.sent, []
        return [tuple(entry.get(key) for key in keys) for entry in sent]


class Scene:
    def __init__(self, clock):
        self.session, self.pool = Session(clock), Pool()
        self.running = 0
        self.strangers = Welcome.REFUSE
        self.presence = Presence(self.session, self.pool, self.welcome, self.offer)

    def welcome(self, jid):
        return self.strangers if jid == EVE else Welcome.SHOW

    def offer(self, to):
        return Peer(str(OWN), frozenset(["lift"]) if to else None, running=self.running)

    def hear(self, sender, type="available", node=None, hello=False):  # noqa: A002
        self.presence.received(IncomingPresence(sender, OWN, type, "", "", node, hello))

    async def announced(self):
        announcing = asyncio.ensure_future(self.presence.announce())
        await turns()
        self.hear(OWN)
        await announcing
        self.session.take()


@pytest.fixture
def scene(clock):
    return Scene(clock)


async def test_nothing_is_sent_before_the_announcement(scene):
    scene.presence.set("chat", "0 of 8 running")
    scene.hear(ALICE)
    scene.hear(OWN, "unavailable")
    scene.presence.step_back()
    scene.presence.farewell("down")
    await asyncio.sleep(5)
    assert scene.session.sent == []


async def test_the_announcement_has_two_steps(scene):
    scene.presence.set("chat", "free")
    announcing = asyncio.ensure_future(scene.presence.announce())
    await turns()
    # With this priority from the beginning, so that the server hands over what waited for us.
    assert scene.session.take("to", "show", "status", "priority", "node") == [
        (None, "chat", "free", "0", None)
    ]
    assert not scene.pool.answers
    await asyncio.sleep(2)
    assert scene.session.sent == []  # the server has not shown us ourselves yet
    scene.hear(OTHER, node={"since": str(10**13)})
    scene.hear(OWN)
    while not (told := scene.session.take("to", "show", "priority", "node")):
        await asyncio.sleep(0.01)
    assert told == [(None, "chat", "0", str(10**13 + 1))]
    assert not scene.pool.joined  # another may join in this very moment
    await announcing
    assert scene.pool.joined
    assert scene.pool.others == [OTHER]
    assert not scene.pool.answers


async def test_alone_the_node_answers_for_the_pool(scene):
    await scene.announced()
    assert scene.pool.answers


async def test_a_server_that_shows_us_nothing_does_not_hold_us_up(scene, caplog):
    await scene.presence.announce()
    assert scene.pool.answers
    assert [p for (p,) in scene.session.take("priority")] == ["0", "0"]
    assert "going on without it" in caplog.text


async def test_a_server_that_is_slow_to_answer_does_not_keep_us_from_the_pool(scene, caplog):
    scene.session.fails = TimeoutError()
    await scene.announced()
    assert scene.pool.answers
    assert "the server is slow; joining the pool" in caplog.text


async def test_a_connection_lost_meanwhile_ends_the_announcement(scene):
    scene.session.fails = ConnectionFailed("gone")
    announcing = asyncio.ensure_future(scene.presence.announce())
    await turns()
    scene.hear(OWN)
    await announcing
    assert not scene.pool.answers
    assert len(scene.session.sent) == 1


async def test_changes_are_paced_and_the_last_one_counts(scene):
    await scene.announced()
    await asyncio.sleep(5)
    now = round(scene.session.clock.now - 1000, 3)
    for n in range(10):
        scene.presence.set(None, f"{n} of 8 running")
        await asyncio.sleep(0.3)
    await asyncio.sleep(3)
    sent = scene.session.take("at", "status")
    assert sent[0] == (now, "0 of 8 running")  # the first at once
    assert sent[-1][1] == "9 of 8 running"
    times = [at for at, _ in sent]
    assert min(b - a for a, b in itertools.pairwise(times)) >= 0.999
    assert len(sent) == 4


async def test_a_large_pool_tells_its_load_to_callers_only(scene, clock):
    """To 40 others, everybody's presence comes each 16 seconds; a watcher's each second."""
    for number in range(40):
        scene.hear(JID(f"bot@localhost/other-{number}"), node={"since": "5"})
    await scene.announced()
    scene.hear(ALICE, hello=True)
    await clock.advance(16)
    scene.session.take()
    for number in range(1, 41):
        scene.running = number
        scene.presence.set(None, f"{number} running")
        await clock.advance(0.5)
    shown = scene.session.take("to", "running")
    assert [running for to, running in shown if to is None] == ["1", "32"]
    assert [running for to, running in shown if to] == ["1", *map(str, range(2, 41, 2))]
    await clock.advance(20)
    assert scene.session.take("to", "running") == [(None, "40")]


async def test_what_did_not_change_is_not_sent(scene):
    scene.presence.set("chat", "free")
    await scene.announced()
    scene.presence.set("chat", "free")
    await asyncio.sleep(5)
    assert scene.session.sent == []


async def test_the_pool_knows_who_takes_part_and_who_left(scene):
    await scene.announced()
    scene.hear(OTHER, node={"since": "1"})
    assert not scene.pool.answers
    scene.hear(OTHER, node={})
    assert scene.pool.answers
    scene.hear(OTHER, node={"since": "1"})
    scene.hear(OTHER, "unavailable", node={"since": "1"})
    assert scene.pool.answers


@pytest.mark.parametrize("since", ["", "-1", "soon", "1.5", "1 "])
async def test_a_seniority_that_cannot_be_read_counts_nothing(scene, since):
    await scene.announced()
    scene.hear(OTHER, node={"since": since})
    assert scene.pool.others == []


async def test_others_cannot_join_our_pool(scene):
    await scene.announced()
    scene.hear(BOB, node={"since": "1"})
    assert scene.pool.answers


async def test_a_program_without_node_is_not_of_the_pool(scene):
    await scene.announced()
    scene.hear(JID("bot@localhost/my-phone"))
    assert scene.pool.answers


async def test_who_may_and_greets_is_answered_until_they_leave(scene):
    await scene.announced()
    scene.presence.set("chat", "free")
    await asyncio.sleep(2)
    scene.session.take()
    scene.hear(ALICE)
    scene.hear(ALICE)
    scene.hear(EVE)
    scene.hear(JID("bob@localhost"))  # no program, but a contact list's doing
    assert scene.session.take("to", "status") == [(str(ALICE), "free")]
    scene.presence.set("dnd", "full")
    assert scene.session.take("to", "show") == [(None, "dnd"), (str(ALICE), "dnd")]
    scene.hear(ALICE, "unavailable")
    await asyncio.sleep(2)
    scene.presence.set(None, None)
    assert scene.session.take("to") == [(None,)]


async def test_a_greeting_during_the_announcement_is_answered_at_once(scene):
    announcing = asyncio.ensure_future(scene.presence.announce())
    await turns()
    scene.hear(ALICE)
    scene.hear(OWN)
    assert scene.session.take("to") == [(None,), (str(ALICE),)]
    await announcing
    assert scene.session.take("to", "priority") == [(None, "0"), (str(ALICE), "0")]


async def test_a_program_that_says_hello_is_told_what_it_may_run(scene):
    await scene.announced()
    scene.hear(ALICE, hello=True)
    scene.hear(ALICE, hello=True)  # each time: it may have forgotten us
    scene.presence.step_back()
    assert scene.session.take("to", "tasks") == [
        (str(ALICE), "lift"),
        (str(ALICE), "lift"),
        (None, None),
        (str(ALICE), "lift"),
    ]


async def test_a_program_that_may_do_nothing_here_is_told_so(scene):
    await scene.announced()
    scene.hear(EVE, hello=True)
    assert scene.session.take("to", "type") == [(str(EVE), "error")]
    scene.strangers = Welcome.SILENCE  # another one with this account decides
    scene.hear(EVE, hello=True)
    assert scene.session.take() == []
    scene.presence.step_back()
    assert scene.session.take("to") == [(None,)]


async def test_a_hello_of_the_own_pool_is_no_word_about_its_place_there(scene):
    await scene.announced()
    scene.hear(OTHER, node={"since": "1"})
    scene.hear(OTHER, hello=True)
    assert scene.pool.others == [OTHER]
    scene.hear(OWN, hello=True)  # a node may give jobs to itself
    assert scene.session.take("to") == [(str(OTHER),), (str(OWN),)]


async def test_a_change_of_the_load_alone_is_shown(scene):
    scene.presence.set("dnd", "busy with something else")
    await scene.announced()
    await asyncio.sleep(2)
    scene.running = 3
    scene.presence.set("dnd", "busy with something else")
    assert scene.session.take("running") == [("3",)]


async def test_a_watcher_whose_presence_bounces_is_forgotten(scene):
    await scene.announced()
    scene.hear(ALICE)
    scene.hear(ALICE, "error")
    scene.session.take()
    scene.presence.step_back()
    assert scene.session.take("to") == [(None,)]


async def test_an_account_has_only_so_many_watchers_and_the_next_one_is_told(scene, monkeypatch):
    monkeypatch.setattr("jabot.xmpp.watchers.MOST_OF_ONE", 2)
    monkeypatch.setattr("jabot.xmpp.watchers.MOST", 4)
    await scene.announced()
    alices = [f"alice@localhost/{n}" for n in range(3)]
    for alice in alices:
        scene.hear(JID(alice), hello=True)
    refused = "type", "condition"
    told = [(alices[0], None, None), (alices[1], None, None)]
    assert scene.session.take("to", *refused) == [
        *told,
        (alices[2], "error", "resource-constraint"),
    ]
    scene.hear(JID(alices[2]))  # a person's program says nothing that could be answered
    scene.hear(JID(alices[1]), hello=True)
    scene.hear(BOB, hello=True)  # who has done nothing
    assert scene.session.take("to", *refused) == [told[1], (str(BOB), None, None)]
    scene.hear(JID(alices[0]), "unavailable")
    scene.hear(JID(alices[2]), hello=True)
    assert scene.session.take("to", *refused) == [(alices[2], None, None)]
    for name in ("carl@localhost/x", "dora@localhost/x"):
        scene.hear(JID(name), hello=True)
    assert scene.session.take(*refused) == [(None, None), ("error", "resource-constraint")]


async def test_the_farewell_is_away_and_then_gone(scene):
    scene.presence.set("chat", "free")
    await scene.announced()
    scene.hear(ALICE)
    scene.session.take()
    scene.presence.farewell("jabot down")
    assert scene.session.take("to", "type", "show", "status") == [
        (None, None, "away", "jabot down"),
        (str(ALICE), None, "away", "jabot down"),
        # The server hands it on to all who got presence, the watchers included.
        (None, "unavailable", None, "jabot down"),
    ]
    scene.presence.set("chat", "still here?")
    await asyncio.sleep(5)
    assert scene.session.sent == []
    assert not scene.pool.answers


async def test_a_node_that_stops_lets_the_others_answer_and_answers_when_alone(scene):
    await scene.announced()
    scene.presence.step_back()
    [(priority, since)] = scene.session.take("priority", "node")
    assert priority == "0"
    assert scene.pool.answers
    scene.hear(OTHER, node={"since": str(int(since) - 1)})
    assert not scene.pool.answers


async def test_a_late_farewell_of_our_own_is_followed_by_a_new_announcement(scene):
    scene.presence.set("chat", "free")
    await scene.announced()
    scene.hear(OWN, "unavailable")
    assert scene.session.take("to", "type", "status") == [(None, None, "free")]


async def test_a_lost_connection_forgets_everybody(scene):
    await scene.announced()
    scene.hear(ALICE)
    scene.hear(OTHER, node={"since": "1"})
    scene.presence.set("dnd", "one")
    scene.presence.set("dnd", "two")
    scene.presence.lost()
    scene.session.take()
    await asyncio.sleep(5)
    assert scene.session.sent == []
    assert scene.pool.others == []
    await scene.announced()
    assert scene.pool.answers
    scene.presence.set("chat", "back")
    await asyncio.sleep(2)
    assert scene.session.take("to", "status") == [(None, "back")]
