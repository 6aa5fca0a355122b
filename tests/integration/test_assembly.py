"""People say lines in a room with nodes in it, on a real server, and get one answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from chatting import Fleet, Heard, Person, Served, soon
from jabot import Node, Room
from servers import Server


class Hall(Fleet):
    """A fleet whose nodes are called w1, w2 and so on."""

    def lines(self, person: Person) -> list[str]:
        """What nodes said in the room."""
        return [text.body for text in person.texts if text.sender.resource.startswith("w")]


@pytest.fixture
async def hall(xmpp: Server) -> AsyncIterator[Hall]:
    async with AsyncExitStack() as stack:
        yield Hall(xmpp, stack)


def worker(hall: Hall, number: int, allow: dict[str, object], **options: object) -> Node:
    nick = f"w{number}"
    node = Node(allow=allow, rooms=Room(hall.room, nick=nick), drain_limit=0.1, **options)
    node.runs = 0

    @node.task
    async def up() -> str:
        node.runs += 1
        return "up"

    @node.task
    async def who() -> str:
        return nick

    @node.task
    async def hold() -> str:
        node.held.set()
        await node.free.wait()
        return "held"

    node.held, node.free = asyncio.Event(), asyncio.Event()
    return node


@asynccontextmanager
async def three(hall: Hall, allow: dict[str, object]) -> AsyncIterator[list[Served]]:
    nodes = [
        await hall.serve(worker(hall, n, allow, labels={"gpu": "a100"} if n > 1 else {}))
        for n in (1, 2, 3)
    ]
    await hall.gathered(*nodes)
    yield nodes


async def ask(hall: Hall, person: Person, line: str, pattern: str) -> Heard:
    person.say(hall.room, line, type="groupchat")
    return await person.hear(pattern)


async def test_a_line_gets_one_answer(hall: Hall) -> None:
    account = hall.server.fresh_user("ann")
    async with three(hall, {account.jid: "*"}):
        ann = await hall.person("ann", account)
        for line, answer in (
            ("all: up", "all 3: up"),
            ("all: who", "w1: w1\nw2: w2\nw3: w3"),
            ("w2: who", "w2"),
            ("w3, who", "w3"),
            ("@gpu=a100: up", "all 2: up"),
            ("@tpu: up", "No node here has the label tpu."),
            ("w1: dance", "Dunno how to dance"),
        ):
            heard = await ask(hall, ann, line, f"^{answer}$")
            assert heard.sender.bare == hall.room
        await ann.round_trip()
        assert len(hall.lines(ann)) == 7


async def test_a_stranger_is_told_once_and_nothing_runs(hall: Hall) -> None:
    account = hall.server.fresh_user("ann")
    async with three(hall, {account.jid: "*"}) as nodes:
        ann = await hall.person("ann", account)
        eve = await hall.person("eve")
        for line in ("all: up", "w1: help", "w2: up", "@gpu: help"):
            eve.say(hall.room, line, type="groupchat")
        await eve.hear("^That is not for you to ask here.$")
        await ask(hall, ann, "all: up", "^all 3: up$")  # all of that was heard before
        await eve.hear("^all 3: up$")
        assert hall.lines(eve) == ["That is not for you to ask here.", "all 3: up"]
        assert [served.node.runs for served in nodes] == [1, 1, 1]


async def test_the_next_node_answers_when_the_speaker_goes(hall: Hall) -> None:
    account = hall.server.fresh_user("ann")
    async with three(hall, {account.jid: "*"}) as (first, *others):
        ann = await hall.person("ann", account)
        ann.say(hall.room, "all: hold", type="groupchat")
        for served in (first, *others):
            await soon(served.node.held.wait())
        first.node.stop()
        await first.left()
        for served in others:
            served.node.free.set()
        heard = await ann.hear("held")
        assert heard.body == "2 of 3: held\nleft before there was an answer: w1"
        assert heard.sender.resource == "w2"
        assert hall.lines(ann) == [heard.body]


async def test_a_private_message_through_the_room(hall: Hall) -> None:
    account = hall.server.fresh_user("ann")
    async with three(hall, {account.jid: "*"}):
        ann = await hall.person("ann", account)
        eve = await hall.person("eve")
        heard = await ann.ask(f"{hall.room}/w2", "who", "^w2$")
        assert heard.sender == f"{hall.room}/w2"
        refused = await eve.ask(f"{hall.room}/w2", "who", "^That is not for you")
        assert refused.sender == f"{hall.room}/w2"
        await eve.round_trip()
        assert eve.bodies == [refused.body]
