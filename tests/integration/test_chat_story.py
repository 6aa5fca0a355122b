"""The story of 2008, and what a person hears of a job from its beginning to its end."""

import asyncio
import threading

import pytest

from chatting import LIMIT, Person, serving, signed_in
from jabot import Context, Node
from servers import Server


class Gym:
    """The node of examples/heavy.py, whose weights stay up until the test lets go."""

    def __init__(self, *, allow: str, manage: str = "", concurrency: int = 8) -> None:
        self.let_go = threading.Event()
        self.node = Node(
            allow={allow: "*"}, manage=[manage or allow], concurrency=concurrency, drain_limit=LIMIT
        )

        @self.node.task(scheduled="Scheduled heavy job...", done="Done lifting")
        def lift() -> None:
            """Lift something heavy."""
            assert self.let_go.wait(LIMIT)


@pytest.mark.also_prosody
async def test_the_story_of_2008(xmpp: Server, ann: Person) -> None:
    gym = Gym(allow=ann.boundjid.bare)
    async with serving(gym.node, xmpp) as bot:
        await ann.greet(bot.jid)
        for line in ("lift", "lift", "dance", "exit"):
            ann.say(bot.jid, line)
        await ann.hear("^Leaving when 2 jobs are done.$")
        assert ann.bodies == [
            "Scheduled heavy job...",
            "Scheduled heavy job...",
            "Dunno how to dance",
            "Leaving when 2 jobs are done.",
        ]
        gym.let_go.set()
        await ann.see(bot.full, type="unavailable", status="jabot down")
        assert ann.bodies[4:] == ["Done lifting", "Done lifting"]
        farewell = [seen for seen in ann.presences if seen.status == "jabot down"]
        assert [(seen.type, seen.show) for seen in farewell] == [
            ("available", "away"),
            ("unavailable", ""),
        ]
        await bot.left()


async def test_a_node_that_is_leaving_takes_no_more(xmpp: Server, ann: Person) -> None:
    gym = Gym(allow=ann.boundjid.bare)
    async with serving(gym.node, xmpp) as bot:
        for line in ("lift", "exit"):
            ann.say(bot.full, line)
        await ann.hear("^Leaving when the last job is done.$")
        await ann.ask(bot.full, "lift", "^I am stopping and take no new jobs.$")
        await ann.ask(bot.full, "status", "^1 of 8 running, stopping. Up for ")
        gym.let_go.set()
        await ann.hear("^Done lifting$")
        await bot.left()


async def test_a_job_that_waits_for_a_slot_is_told_how_many_are_before_it(
    xmpp: Server, ann: Person
) -> None:
    node = Node(allow={ann.boundjid.bare: "*"}, concurrency=1)
    let_go = asyncio.Event()

    @node.task
    async def wait() -> None:
        await let_go.wait()

    async with serving(node, xmpp) as bot:
        await ann.ask(bot.jid, "wait", r"^Scheduled wait, job \w{4}\.$")
        await ann.ask(bot.jid, "wait", r"^Scheduled wait, job \w{4} \(1 before it\)\.$")
        await ann.ask(bot.jid, "wait", r"^Scheduled wait, job \w{4} \(2 before it\)\.$")
        let_go.set()
        for _ in range(3):
            await ann.hear(r"^wait \w{4} is done\.$")


async def test_three_ways_to_write_a_task_end_in_one_place(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})

    @node.task
    async def in_the_loop(a: int, *, ctx: Context) -> str:
        return f"{a} for {ctx.caller} in job {ctx.job_id}, attempt {ctx.attempt}"

    @node.task
    def in_a_thread(a: int, *, ctx: Context) -> str:
        return f"{a} for {ctx.caller} in job {ctx.job_id}, attempt {ctx.attempt}"

    @node.task
    def step_by_step(a: int) -> object:
        yield 1, a
        return f"{a} steps"

    async with serving(node, xmpp) as bot:
        for name in ("in_the_loop", "in_a_thread"):
            text = await ann.ask(bot.jid, f"{name} 7", f"^{name} .* is done: 7 for")
            assert f" for {ann.boundjid.full} in job " in text.body
            assert text.body.endswith(", attempt 1")
            assert text.sender == bot.full
        await ann.ask(bot.jid, "step_by_step 3", "is done: 3 steps$")


async def test_a_result_for_somebody_who_left_waits_for_them(xmpp: Server) -> None:
    account = xmpp.fresh_user("ann")
    gym = Gym(allow=account.jid)
    async with serving(gym.node, xmpp) as bot:
        async with signed_in(xmpp, account) as ann:
            await ann.ask(bot.jid, "lift", "Scheduled")
            seen_leaving = ann.boundjid.full
        # The node gets its answer to a ping after the presence of ann's going.
        async with signed_in(xmpp) as other:
            await other.ask(bot.jid, "lift", "^I do not take commands from you")
        gym.let_go.set()
        await _until_idle(gym.node)
        async with signed_in(xmpp, account, resource="later") as ann:
            assert ann.boundjid.full != seen_leaving
            text = await ann.hear("^Done lifting$")
            assert text.delayed


async def test_a_line_that_waited_offline_is_owned_up_to_and_never_run(
    xmpp: Server, ann: Person
) -> None:
    gym = Gym(allow=ann.boundjid.bare)
    gym.let_go.set()
    account = xmpp.fresh_user("bot")
    for line in ("lift", "exit", "lift", "lift"):
        ann.say(account.jid, line)
    await ann.round_trip()
    async with serving(gym.node, xmpp, account) as bot:
        await ann.hear(
            '^I was away when you said "lift", "exit", "lift" and 1 more. '
            "Say it again if it still holds.$"
        )
        await ann.ask(bot.jid, "jobs", "^No jobs.$")
        await ann.ask(bot.jid, "lift", "^Scheduled heavy job...$")
        await ann.hear("^Done lifting$")
        assert ann.bodies.count("Scheduled heavy job...") == 1


async def _until_idle(node: Node) -> None:
    """Until no job runs and the server has what was said about them."""
    assert node._serving is not None
    async with asyncio.timeout(LIMIT):
        while node._serving.runner.jobs:
            await asyncio.sleep(0.01)
        await node._serving.session.ping(LIMIT)
