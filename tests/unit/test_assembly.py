"""Lines in a room that is made up, with nodes that hear and answer them on a made-up clock."""

import asyncio
from dataclasses import replace

import pytest

from jabot.chat import texts
from jabot.chat.assembly import Assembly
from jabot.jid import JID
from jabot.pace import Pace
from jabot.runner import Runner
from jabot.xmpp.room import Occupant
from jabot.xmpp.shares import read_share, share
from jabot.xmpp.stanzas import CLIENT, IncomingText, read_text
from unit.clock import turns
from unit.fakes import ALICE, BOB, EVE, Room

HALL = JID("fleet@conference.localhost")


class Member:
    """A node in the hall. What it sends is kept until the hall carries it on."""

    def __init__(self, hall, nick, labels, **options):
        self.hall, self.nick = hall, nick
        self.jid = JID(f"{nick}@localhost/x")
        self.house = Room(**options)
        self.private = []
        self.assembly = Assembly(self.house.obeying, Rooms(hall, nick), self, labels)

    def send(self, element):
        self.hall.carry(self, element)
        return True

    def send_text(self, text, arrived=None):
        self.private.append((text.to, text.body))

    async def is_told(self, nick, body, **fields):
        """In private, through the hall. What it has said in private."""
        defaults = {"delayed": False, "chat_state": None, "replaces": None, "automatic": False}
        sender = JID(f"{HALL}/{nick}")
        said = IncomingText(sender, self.jid, body, "x", "chat", **defaults | fields)
        self.assembly.received(said)
        await turns()
        answers, self.private = self.private, []
        return answers


class Rooms:
    """`Rooms` as one member sees it."""

    def __init__(self, hall, nick):
        self._hall, self._nick = hall, nick

    def occupants(self, room):
        return self._hall.occupants if room == HALL.bare else []

    def occupant(self, sender):
        return next((o for o in self._hall.occupants if o.nick == sender.resource), None)

    def nick(self, room):
        return self._nick


class Hall:
    """The room: every member hears everything, in the same order."""

    def __init__(self):
        self.members = {}
        self.occupants = []
        self.texts = []  # what nodes say
        self.shares = []
        self.held = None  # shares that are on their way, if they are to be held back
        self.ids = 0
        for nick, jid in (("ann", ALICE), ("bob", BOB), ("eve", EVE), ("ghost", None)):
            self.occupants.append(Occupant(nick, jid, False))

    def node(self, nick, labels=(), *, is_queue=False, **options):
        member = Member(self, nick, dict(labels), **options)
        self.members[nick] = member
        self.occupants.append(Occupant(nick, member.jid, True, is_queue))

        async def up():
            return "up"

        async def who():
            return nick

        async def fail():
            raise ValueError("too heavy")

        async def hold(seconds: float = 1):
            await asyncio.sleep(seconds)
            return "held"

        for task in (up, who, fail, hold):
            member.house.task(task)
        return member

    async def says(self, nick, body, **fields):
        self.ids += 1
        made = {"id": f"m{self.ids}", "type": "groupchat"} | fields
        defaults = {"delayed": False, "chat_state": None, "replaces": None, "automatic": False}
        text = IncomingText(JID(f"{HALL}/{nick}" if nick else HALL), HALL, body, **defaults | made)
        for member in list(self.members.values()):
            member.assembly.received(replace(text, to=member.jid))
        await turns()
        return text

    def carry(self, sender, element):
        """A stanza of a node: a share, or a text in the room."""
        if sender.nick not in self.members:
            return
        kind = element.get("type")
        if kind == "groupchat":
            element.set("from", f"{HALL}/{sender.nick}")
            text = read_text(element, sender.jid)
            assert text.automatic
            self.texts.append(text.body)
            for member in list(self.members.values()):
                member.assembly.received(text)
            return
        element.set("from", str(sender.jid))
        part = read_share(element)
        to = JID(element.get("to"))
        self.shares.append((sender.nick, to.node, part.status))
        if self.held is not None:
            self.held.append((to, part))
        else:
            self._hand_over(to, part)

    def _hand_over(self, to, part):
        for member in self.members.values():
            if member.jid == to:
                member.assembly.collected(part)

    def let_through(self):
        held, self.held = self.held, None
        for to, part in held:
            self._hand_over(to, part)

    async def leaves(self, nick):
        gone = next(o for o in self.occupants if o.nick == nick)
        self.occupants.remove(gone)
        self.members.pop(nick, None)
        for member in list(self.members.values()):
            member.assembly.went(HALL, gone, "left")
        await turns()

    def said(self):
        said, self.texts = self.texts, []
        return said


@pytest.fixture
async def hall(clock):
    made = Hall()
    yield made
    for member in made.members.values():
        member.assembly.close()


@pytest.fixture
async def three(hall):
    for number in (3, 1, 2):
        hall.node(f"w{number}", {"gpu": "a100"} if number > 1 else {})
    return hall


# --- one answer ---------------------------------------------------------------------------------


async def test_all_give_one_answer(three):
    await three.says("ann", "all: up")
    assert three.said() == ["all 3: up"]
    assert [(nick, to) for nick, to, _ in three.shares] == [("w3", "w1"), ("w2", "w1")]


async def test_answers_that_differ_are_told_apart(three):
    await three.says("ann", "all: who")
    assert three.said() == ["w1: w1\nw2: w2\nw3: w3"]


async def test_one_is_addressed(three):
    await three.says("ann", "w2: who")
    await three.says("ann", "w3, who")
    assert three.said() == ["w2", "w3"]
    assert three.shares == []


async def test_those_with_a_label(three):
    """The speaker may be one without."""
    await three.says("ann", "@gpu: who")
    await three.says("ann", "@gpu=a100: up")
    await three.says("ann", "@gpu=h100: up")
    await three.says("ann", "@tpu: up")
    assert three.said() == [
        "w2: w2\nw3: w3",
        "all 2: up",
        "No node here has the label gpu=h100.",
        "No node here has the label tpu.",
    ]


async def test_a_queue_leaves_to_others_what_they_do_themselves(three, monkeypatch):
    queue = three.node("jobs", {"night": "1"}, is_queue=True)
    monkeypatch.setattr(queue.house.clerk, "does", lambda offer: offer.name == "who")
    for line, answer in (
        ("all: up", "all 3: up"),
        ("all: who", "jobs: jobs\nw1: w1\nw2: w2\nw3: w3"),
        ("all: dance", "all 3: Dunno how to dance"),
        ("all: jobs", "all 4: No jobs."),
        ("jobs: up", "up"),
        ("@night: up", "up"),
    ):
        await three.says("ann", line)
        assert three.said() == [answer]
    for nick in ("w1", "w2", "w3"):
        await three.leaves(nick)
    await three.says("ann", "all: up")
    assert three.said() == ["up"]


async def test_commands_failures_and_words_that_do_not_fit(three):
    for line in ("w1: jobs", "all: fail", "w1: dance", "w1: hold long"):
        await three.says("ann", line)
    jobs, failed, dunno, bad = three.said()
    assert jobs == "No jobs."
    assert failed == "w1, w2, w3: failed: ValueError: too heavy."
    assert dunno == "Dunno how to dance"
    assert bad.startswith("failed: seconds:")
    assert "Usage: hold" in bad


async def test_parts_that_come_before_the_line(three):
    """The first of them by nick may be the last to hear it."""
    three.members = {nick: three.members[nick] for nick in ("w3", "w2", "w1")}
    await three.says("ann", "all: up")
    assert three.said() == ["all 3: up"]


async def test_the_rooms_own_id_of_a_line_is_used(three):
    for given in ("s1", "s2"):  # a program that does not count its lines
        await three.says("ann", "all: hold", id="", stanza_id=given)
    await asyncio.sleep(2)
    assert three.said() == 2 * ["all 3: held"]
    await three.says("ann", "all: up")
    await three.says("ann", "all: hold", id="same")
    await three.says("ann", "all: hold", id="same")  # the same line once more
    assert three.said() == ["all 3: up"]
    assert all(len(member.house.runner.jobs) == 1 for member in three.members.values())


async def test_addresses_that_are_shown_late(three):
    """They all elect the same one, whatever they know by then."""
    shown = three.occupants
    three.occupants = [replace(o, jid=None) if o.is_node else o for o in shown]
    await three.says("ann", "all: hold")
    assert three.said() == []
    three.occupants = shown
    await asyncio.sleep(2)
    assert three.said() == ["all 3: held"]


# --- who may ------------------------------------------------------------------------------------


async def test_rights_are_those_of_the_real_address(three):
    """Bob may lift, and nothing else."""
    await three.says("bob", "all: up")
    await three.says("bob", "w1: up")
    assert three.said() == ["3 refused", "You may not do that."]


async def test_some_refuse(hall):
    hall.node("w1")
    hall.node("w2", allow={"bob@localhost": "*"})
    hall.node("w3", allow={"alice@localhost": "*"})
    await hall.says("ann", "all: up")
    assert hall.said() == ["2 of 3: up\n1 refused"]


async def test_a_stranger_gets_one_short_refusal(three, clock):
    for line in ("all: help", "w1: help", "w2: up", "w3: help", "@gpu: up", "@tpu: up", "all: up"):
        await three.says("eve", line)
    assert three.said() == [texts.NOT_FOR_YOU]
    assert not any(member.house.runner.jobs for member in three.members.values())
    await clock.advance(61)
    await three.says("eve", "w3: help")
    assert three.said() == [texts.NOT_FOR_YOU]


async def test_what_never_runs_anything(three):
    await three.says("ghost", "all: up")  # the room hides who that is
    await three.says("ann", "all: up", delayed=True)  # history
    await three.says("ann", "all: up", automatic=True)
    await three.says("w2", "all: up")  # a node
    await three.says("w1", "w1: up")
    await three.says("nobody", "all: up")
    await three.says("", "all: up")  # the room itself
    await three.says("ann", "all: up", type="error")
    await three.says("ann", "all: up", reply_to="m1")
    await three.says("ann", "up")
    await three.says("ann", "bob: up")
    await three.says("eve", "ann: up")
    assert three.said() == []
    assert three.shares == []


async def test_an_answer_that_looks_like_a_line_ends_there(hall):
    """Nodes say what tasks return, and that may be anything."""
    for nick in ("w1", "w2"):
        member = hall.node(nick)

        async def tempt():
            return "w2: tempt"

        member.house.task(tempt)
    await hall.says("ann", "w1: tempt")
    await hall.says("ann", "all: tempt")
    assert hall.said() == ["w2: tempt", "all 2: w2: tempt"]


async def test_who_talks_too_fast_is_told_once(three):
    for _ in range(60):
        await three.says("ann", "all: up")
    assert three.said() == 50 * ["all 3: up"] + ["w1, w2, w3: failed: too fast"]


async def test_a_part_of_somebody_else_does_not_count(three):
    three.held = []
    await three.says("ann", "all: up")
    (_, mine), (_, other) = three.held
    w1 = three.members["w1"]
    w1.assembly.collected(replace(mine, sender=ALICE, text="I am w3"))
    w1.assembly.collected(replace(mine, sender=w1.jid, text="I am w1"))
    w1.assembly.collected(replace(other, line="another"))
    w1.assembly.collected(replace(mine, room="other@conference.localhost"))
    assert three.said() == []
    three.let_through()
    assert three.said() == ["all 3: up"]


async def test_only_the_speaker_ends_a_line(three):
    """Somebody else says that it was answered."""
    await three.says("ann", "all: hold 1")
    await three.says("bob", "nonsense", reply_to="ann/m1")
    await three.leaves("w1")  # w2 has not forgotten it
    await asyncio.sleep(2)
    assert three.said() == ["2 of 3: held\nleft before there was an answer: w1"]


# --- time ---------------------------------------------------------------------------------------


async def test_a_job_that_takes_longer(three, clock):
    """Its outcome is told to the person alone, for the room has its answer."""
    slow = three.members["w2"]
    slow.house.task(_named("wait", 90))
    for nick in ("w1", "w3"):
        three.members[nick].house.task(_named("wait", 5))
    await three.says("ann", "all: wait")
    await clock.advance(59)
    assert three.said() == []
    await clock.advance(2)
    assert three.said() == ["2 of 3: waited 5\nstill running: w2"]
    await clock.advance(40)
    assert three.said() == []
    assert slow.private == [(ALICE, f'To "wait" in {HALL}: waited 90')]


async def test_who_says_nothing_is_silent(three, clock):
    three.held = []
    await three.says("ann", "all: up")
    await clock.advance(9)
    assert three.said() == []
    await clock.advance(2)
    assert three.said() == ["w1: up\nsilent: w2, w3"]
    three.let_through()
    await clock.advance(100)
    assert three.said() == []


async def test_who_leaves_is_named(three):
    await three.says("ann", "all: hold 2")
    await three.leaves("w3")
    await three.leaves("ann")
    await asyncio.sleep(3)
    assert three.said() == ["2 of 3: held\nleft before there was an answer: w3"]


async def test_the_next_one_takes_over(three):
    three.held = []  # the speaker gets nothing any more
    await three.says("ann", "all: up")
    await three.leaves("w1")
    three.let_through()
    assert three.said() == ["2 of 3: up\nleft before there was an answer: w1"]
    await three.leaves("w2")
    assert three.said() == []


async def test_the_last_one_speaks_for_itself(three):
    three.held = []
    await three.says("ann", "all: hold")
    await three.leaves("w1")
    await three.leaves("w2")
    await asyncio.sleep(2)
    assert three.said() == ["w3: held\nleft before there was an answer: w1, w2"]


async def test_a_speaker_that_hangs_is_waited_for_once(three, clock):
    hangs = three.members.pop("w1")
    await three.says("ann", "all: up")
    await clock.advance(69)
    assert three.said() == []
    await clock.advance(2)
    assert three.said() == ["2 of 3: up\nsilent: w1"]
    assert not three.members["w2"].assembly._lines
    hangs.assembly.close()


async def test_a_speaker_that_comes_to_itself_too_late_says_nothing(three, clock):
    await three.says("ann", "all: hold")
    hangs = three.members.pop("w1")  # hears nothing of what follows
    [line] = hangs.assembly._lines.values()
    await clock.advance(71)
    assert three.said() == ["2 of 3: held\nsilent: w1"]
    three.members["w1"] = hangs
    line.until = clock.now - 1  # as if its timers had stood still
    hangs.assembly._speak(line, line.collection)
    assert three.said() == []


async def test_nothing_to_say_is_no_reason_to_speak(three, clock):
    for member in three.members.values():
        member.house.obeying._dunnos = Pace(burst=1, rate=0)
    await three.says("ann", "all: hello")
    assert three.said() == ["all 3: Dunno how to hello"]
    await three.says("ann", "all: hello")
    await clock.advance(200)
    assert three.said() == []
    assert not any(member.assembly._lines for member in three.members.values())


async def test_who_is_out_of_the_room_says_nothing(three):
    await three.says("ann", "all: hold")
    w1 = three.members["w1"]
    w1.assembly.out(HALL, "kicked")
    await three.leaves("w1")
    await asyncio.sleep(2)
    assert three.said() == ["2 of 3: held\nleft before there was an answer: w1"]
    assert w1.private == [(ALICE, f'To "hold" in {HALL}: held')]


# --- in private ---------------------------------------------------------------------------------


async def test_a_private_message_is_answered_where_it_came_from(three, clock):
    w1 = three.members["w1"]
    privately, ann = w1.is_told, JID(f"{HALL}/ann")
    assert await privately("ann", "up") == [(ann, "up")]
    assert await privately("ann", "fail") == [(ann, "failed: ValueError: too heavy.")]
    assert await privately("ann", "hold 5") == []
    await clock.advance(2)
    assert w1.private == [(ann, texts.AT_IT)]
    await clock.advance(4)
    assert w1.private[1:] == [(ann, "held")]
    w1.private.clear()
    assert await privately("bob", "up") == [(JID(f"{HALL}/bob"), "You may not do that.")]
    assert await privately("eve", "help") == [(JID(f"{HALL}/eve"), texts.NOT_FOR_YOU)]
    for nick, body, fields in (
        ("eve", "help", {}),
        ("ghost", "up", {}),
        ("w2", "up", {}),
        ("ann", "up", {"automatic": True}),
        ("ann", "up", {"delayed": True}),
    ):
        assert await privately(nick, body, **fields) == []
    assert three.said() == []


async def test_what_still_runs_is_bounded_over_lines_and_private_messages(
    hall, clock, monkeypatch, caplog
):
    monkeypatch.setattr("jabot.chat.assembly._MOST", 3)
    w1, ann = hall.node("w1", runner=Runner(concurrency=3)), JID(f"{HALL}/ann")
    for _ in range(2):
        assert await w1.is_told("ann", "hold 5") == []
    await hall.says("ann", "w1: hold 5")
    assert await w1.is_told("ann", "up") == [(ann, texts.BUSY)]
    await hall.says("ann", "w1: up")
    assert hall.said() == []
    assert "too many lines without an answer: one of alice@localhost is dropped" in caplog.messages
    await clock.advance(6)
    assert hall.said() == ["held"]
    assert w1.private == [(ann, texts.AT_IT)] * 2 + [(ann, "held")] * 2
    w1.private.clear()
    assert await w1.is_told("ann", "up") == [(ann, "up")]
    await hall.says("ann", "w1: up")
    assert hall.said() == ["up"]


def _named(name, seconds):
    async def wait():
        await asyncio.sleep(seconds)
        return f"waited {seconds}"

    wait.__name__ = name
    return wait


def test_clients_of_people_see_nothing_of_a_part():
    element = share(ALICE, HALL.bare, "ann/m1", "answered", "up")
    assert element.find(f"{{{CLIENT}}}body") is None
    assert read_text(element, ALICE) is None
