"""Who is let in, and what of a node is to be seen."""

import asyncio
import threading

import pytest
from slixmpp import JID

from chatting import LIMIT, Person, jabot_account, serving, signed_in
from jabot import ConfigError, Node
from servers import Server

STRANGER = "^I do not take commands from you. Those who run .* can allow it.$"


@pytest.mark.also_prosody
async def test_a_stranger_is_refused_and_told_once(xmpp: Server, ann: Person) -> None:
    ran: list[str] = []
    node = Node(allow={ann.boundjid.bare: "*"})

    @node.task
    async def lift() -> None:
        ran.append("lift")

    @node.on_message
    async def hear(message: object) -> str:
        ran.append("message")
        return "yes?"

    async with serving(node, xmpp) as bot, signed_in(xmpp) as mallory:
        lines = ("lift", "help", "exit", "status", "tell me", f"can {mallory.boundjid.bare} lift")
        for line in lines:
            mallory.say(bot.jid, line)
        mallory.send_presence(pto=bot.full)
        # A line after these is answered, so these were handled.
        await mallory.hear(STRANGER)
        await mallory.round_trip()
        await ann.ask(bot.full, "status", "running")
        await mallory.round_trip()
        assert len(mallory.texts) == 1
        assert mallory.presences == []
        assert ran == []


async def test_a_node_without_rules_obeys_its_own_account_only(xmpp: Server, ann: Person) -> None:
    node = Node()

    @node.task
    async def lift() -> str:
        return "up"

    async with serving(node, xmpp) as bot:
        await ann.ask(bot.jid, "lift", STRANGER)
        async with signed_in(xmpp, bot.account) as owner:
            await owner.ask(bot.full, "lift", "is done: up$")
            await owner.ask(bot.full, "exit", "^Leaving")
            await bot.left()


async def test_rules_name_people_and_domains_and_tasks(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: ["lift"], "*@elsewhere.example": "*"})

    @node.task
    async def lift() -> str:
        return "up"

    @node.task
    async def drop() -> str:
        return "down"

    async with serving(node, xmpp) as bot, signed_in(xmpp) as bob:
        await ann.ask(bot.jid, "lift", "is done: up$")
        me = ann.boundjid.bare
        await ann.ask(
            bot.jid, "drop", f"^You may not run drop: the rule for {me} does not name drop.$"
        )
        await ann.ask(bot.jid, "exit", "^You may not stop me: ")
        await ann.ask(bot.jid, "help", "^You can ask me for:\n  lift\nand: help TASK.*TASK$")
        await ann.ask(bot.jid, "help drop", "^Dunno how to drop")
        await bob.ask(bot.jid, "lift", STRANGER)


async def test_a_rule_for_a_task_that_is_not_there_keeps_the_node_from_the_server(
    xmpp: Server,
) -> None:
    node = Node(allow={"ann@localhost": ["lfit"]})
    with pytest.raises(ConfigError, match=r"lets ann@localhost run lfit, .* its tasks: none"):
        await node.serve(jabot_account(xmpp, xmpp.fresh_user()))


@pytest.mark.also_prosody
async def test_an_allowed_person_may_keep_the_node_as_a_contact(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})
    async with serving(node, xmpp) as bot:
        ann.send_presence_subscription(bot.jid)
        await ann.see(bot.jid, type="subscribed")
        seen = await ann.see(bot.full, type="available")
        assert (seen.show, seen.status) == ("chat", "0 of 8 running")
    await ann.see(bot.full, type="unavailable", status="jabot down")


@pytest.mark.also_prosody
async def test_a_stranger_s_subscription_is_refused(xmpp: Server, ann: Person) -> None:
    async with serving(Node(), xmpp) as bot:
        ann.send_presence_subscription(bot.jid)
        await ann.see(bot.jid, type="unsubscribed")
        await ann.round_trip()
        assert not [seen for seen in ann.presences if seen.type in ("subscribed", "available")]


@pytest.mark.also_prosody
async def test_a_request_that_waited_for_the_node_is_answered(xmpp: Server, ann: Person) -> None:
    account = xmpp.fresh_user("bot")
    ann.send_presence_subscription(JID(account.jid))
    await ann.round_trip()
    async with serving(Node(allow={ann.boundjid.bare: "*"}), xmpp, account) as bot:
        await ann.see(bot.jid, type="subscribed")
        await ann.see(bot.full, type="available")


async def test_nothing_is_shown_before_the_node_is_ready(xmpp: Server, ann: Person) -> None:
    account = xmpp.fresh_user("bot")
    node = Node(allow={ann.boundjid.bare: "*"})
    begun, go_on = asyncio.Event(), asyncio.Event()

    @node.on_start
    async def load_the_model() -> None:
        begun.set()
        await go_on.wait()

    async with serving(Node(allow={ann.boundjid.bare: "*"}), xmpp, account) as first:
        ann.send_presence_subscription(first.jid)
        await ann.see(first.full, type="available")
    async with asyncio.timeout(LIMIT):
        serve = asyncio.create_task(node.serve(jabot_account(xmpp, account)))
        try:
            await begun.wait()
            ann.send_presence(pto=first.jid)
            ann.say(first.jid, "help")
            await ann.round_trip()
            await ann.see(first.full, type="unavailable")
            shown = len(ann.presences)
            go_on.set()
            await ann.hear('^I was away when you said "help"')
            await ann.until(lambda: ann.presences[shown:], "the presence of the node")
            assert ann.presences[shown].type == "available"
        finally:
            go_on.set()
            node.stop()
            await serve


async def test_a_hook_that_raises_keeps_the_node_from_the_server(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"})

    @node.on_start
    def check() -> None:
        raise RuntimeError("there are no weights here")

    with pytest.raises(RuntimeError, match="no weights"):
        await node.serve(jabot_account(xmpp, xmpp.fresh_user()))


@pytest.mark.also_prosody
async def test_presence_tells_how_busy_a_node_is(xmpp: Server, ann: Person) -> None:
    let_go = threading.Event()
    node = Node(allow={ann.boundjid.bare: "*"}, concurrency=2, drain_limit=LIMIT)

    @node.task
    def lift() -> None:
        assert let_go.wait(LIMIT)

    async with serving(node, xmpp) as bot:
        await ann.greet(bot.jid)
        await ann.see(bot.full, show="chat", status="0 of 2 running")
        ann.say(bot.jid, "lift")
        await ann.see(bot.full, show="", status="1 of 2 running")
        ann.say(bot.jid, "lift")
        await ann.see(bot.full, show="dnd", status="2 of 2 running")
        ann.say(bot.jid, "lift")
        await ann.see(bot.full, show="dnd", status="2 of 2 running, 1 waiting")
        ann.presences.clear()
        let_go.set()
        await ann.see(bot.full, show="chat", status="0 of 2 running")
        # Four changes within a moment: it is shown at most once a second how it stands.
        assert len(ann.presences) <= 3
        assert {seen.priority for seen in ann.presences} == {"0"}


async def test_a_status_of_one_s_own_hides_the_load(xmpp: Server, ann: Person) -> None:
    node = Node(allow={ann.boundjid.bare: "*"}, farewell="gone fishing")

    @node.task
    async def show(show: str | None = None, text: str | None = None) -> None:
        node.status(show, text)  # type: ignore[arg-type]

    async with serving(node, xmpp) as bot:
        await ann.greet(bot.jid)
        await ann.ask(bot.jid, "show away 'back at nine'", "is done")
        await ann.see(bot.full, show="away", status="back at nine")
        await ann.ask(bot.jid, "show bored", "failed: ConfigError: show is chat, away, xa or dnd")
        ann.presences.clear()
        await ann.ask(bot.jid, "show", "is done")
        await ann.see(bot.full, show="chat", status="0 of 8 running")
    await ann.see(bot.full, type="unavailable", status="gone fishing")
