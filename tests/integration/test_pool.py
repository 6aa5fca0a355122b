"""Nodes that share an account: what is said to the account is answered once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from chatting import LIMIT, Person, Served, serving, signed_in
from jabot import Node
from network import Proxy
from servers import Account, Server


def member(number: int) -> Node:
    node = Node(allow={"*": "*"}, manage=["*"])

    @node.task(scheduled="{task} is taken", done="{result}")
    async def lift(weight: int) -> str:
        return f"{number} lifted {weight}"

    return node


@pytest.fixture
async def pool(xmpp: Server) -> AsyncIterator[list[Served]]:
    """Three nodes, the most senior first."""
    account = xmpp.fresh_user("bot")
    async with AsyncExitStack() as at_the_end:
        yield [
            await at_the_end.enter_async_context(serving(member(number), xmpp, account))
            for number in range(3)
        ]


async def _all_handled(ann: Person, nodes: list[Served]) -> None:
    """Each node has handled what came before, and its answers are here."""
    for node in nodes:
        before = len(ann.texts)
        ann.say(node.full, "status")
        await ann.until(
            lambda node=node, before=before: any(
                text.sender == node.full and " running" in text.body for text in ann.texts[before:]
            ),
            f"the status of {node.full}",
        )


def _lifted(*people: Person) -> list[str]:
    return [body for person in people for body in person.bodies if " lifted " in body]


@pytest.fixture
async def crowd(xmpp: Server, ann: Person) -> AsyncIterator[list[Person]]:
    """More people than one, as a node does not let anybody talk without end."""
    async with AsyncExitStack() as at_the_end:
        yield [
            ann,
            *[await at_the_end.enter_async_context(signed_in(xmpp)) for _ in range(4)],
        ]


async def test_a_line_to_the_account_is_answered_once(
    pool: list[Served], crowd: list[Person]
) -> None:
    for weight in range(100):
        crowd[weight % len(crowd)].say(pool[0].jid, f"lift {weight}")
    for person in crowd:
        for _ in range(100 // len(crowd)):
            await person.hear("^0 lifted ")
    for person in crowd:
        await _all_handled(person, pool)
    assert sorted(_lifted(*crowd)) == sorted(f"0 lifted {weight}" for weight in range(100))


async def test_each_can_be_asked_by_its_full_address(pool: list[Served], ann: Person) -> None:
    for number, node in enumerate(pool):
        await ann.ask(node.full, "lift 1", f"^{number} lifted 1$")
    assert len(_lifted(ann)) == 3


@pytest.mark.also_prosody
async def test_a_newcomer_changes_nothing_for_those_who_talk(
    xmpp: Server, crowd: list[Person]
) -> None:
    account = xmpp.fresh_user("bot")
    async with (
        serving(member(0), xmpp, account) as senior,
        AsyncExitStack() as at_the_end,
    ):
        joined = asyncio.Event()
        said = 0

        async def talk() -> None:
            nonlocal said
            while not joined.is_set() or said < 100:
                person = crowd[said % len(crowd)]
                person.say(senior.jid, f"lift {said}")
                said += 1
                await asyncio.sleep(0.02)  # five people, who may say ten lines a second each

        async with asyncio.TaskGroup() as both:
            both.create_task(talk())
            junior = await both.create_task(
                at_the_end.enter_async_context(serving(member(1), xmpp, account))
            )
            joined.set()
        for person in crowd:
            await _all_handled(person, [senior, junior])
        assert sorted(_lifted(*crowd)) == sorted(f"0 lifted {number}" for number in range(said))


async def test_when_the_senior_leaves_the_next_one_answers(pool: list[Served], ann: Person) -> None:
    await ann.ask(pool[0].jid, "exit", "^Leaving.$")
    await pool[0].left()
    await ann.ask(pool[0].jid, "lift 7", "^1 lifted 7$")
    await _all_handled(ann, pool[1:])
    assert _lifted(ann) == ["1 lifted 7"]


async def test_when_the_senior_is_killed_the_next_one_answers(xmpp: Server, ann: Person) -> None:
    account = xmpp.fresh_user("bot")
    with Proxy(xmpp.port) as proxy:
        async with (
            serving(member(0), xmpp, account, address=proxy.address) as senior,
            serving(member(1), xmpp, account) as junior,
            serving(member(2), xmpp, account),
        ):
            await ann.greet(senior.jid)
            await ann.see(senior.full, type="available")
            proxy.refuse()
            proxy.cut()
            await ann.see(senior.full, type="unavailable")
            await ann.ask(senior.jid, "lift 1", "^1 lifted 1$")
            ann.presences.clear()
            proxy.allow()
            # It comes back as the youngest.
            await ann.greet(senior.full)
            await ann.ask(senior.jid, "lift 2", "^1 lifted 2$")
            await _all_handled(ann, [senior, junior])
            assert _lifted(ann) == ["1 lifted 1", "1 lifted 2"]


async def test_three_that_start_together_agree(xmpp: Server, ann: Person) -> None:
    account = xmpp.fresh_user("bot")
    async with AsyncExitStack() as at_the_end:
        pool = await asyncio.gather(
            *(
                at_the_end.enter_async_context(serving(member(number), xmpp, account))
                for number in range(3)
            )
        )
        for weight in range(5):
            await ann.ask(account.jid, f"lift {weight}", f" lifted {weight}$")
        await _all_handled(ann, list(pool))
        answered = Counter(body.partition(" ")[0] for body in _lifted(ann))
        assert list(answered.values()) == [5]


async def test_a_line_that_waited_for_the_pool_is_owned_up_to_once(
    xmpp: Server, ann: Person
) -> None:
    account: Account = xmpp.fresh_user("bot")
    ann.say(account.jid, "lift 1")
    await ann.round_trip()
    async with (
        serving(member(0), xmpp, account) as first,
        serving(member(1), xmpp, account) as second,
    ):
        await ann.hear('^I was away when you said "lift 1"', LIMIT)
        await _all_handled(ann, [first, second])
        assert len([body for body in ann.bodies if body.startswith("I was away")]) == 1
        assert _lifted(ann) == []
