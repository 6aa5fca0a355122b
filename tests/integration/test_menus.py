"""A node in the menus of a chat program that is not ours: slixmpp with its own plugins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from slixmpp import JID
from slixmpp.exceptions import IqError

from chatting import LIMIT, Bench, Person, serving, signed_in
from jabot import Node
from jabot.queue_node import QueueNode
from servers import Server

COMMANDS = "http://jabber.org/protocol/commands"
PLUGINS = ("xep_0004", "xep_0030", "xep_0050", "xep_0092", "xep_0115")


async def lift(reps: int = 3, how: Literal["fast", "slow"] = "fast", sharp: bool = False) -> str:
    """Lift something heavy."""
    return f"Lifted {reps} {how} {sharp}"


class Browser:
    """A person's program, and what it finds at an address."""

    def __init__(self, person: Person, bot: JID) -> None:
        self.person, self.bot = person, bot
        for plugin in PLUGINS:
            person.register_plugin(plugin)

    async def commands(self) -> set[str]:
        found = await self.person.plugin["xep_0030"].get_items(
            jid=self.bot, node=COMMANDS, timeout=LIMIT
        )
        return {node for _, node, _ in found["disco_items"]["items"]}

    async def give(
        self, node: str, values: dict[str, Any] | None = None, action: str = "execute"
    ) -> Any:
        form = None
        if values is not None:
            form = self.person.plugin["xep_0004"].make_form(ftype="submit")
            for name, value in values.items():
                form.add_field(var=name, value=value)
        answer = await self.person.plugin["xep_0050"].send_command(
            self.bot, node, action=action, payload=form, timeout=LIMIT
        )
        return answer["command"]

    async def fields(self, node: str) -> set[str]:
        """Of the form of a command; none while it is not there."""
        if node not in await self.commands():
            return set()
        return set((await self.give(node))["form"].get_fields())

    async def refused(self, node: str) -> str:
        with pytest.raises(IqError) as refusal:
            await self.give(node)
        return str(refusal.value.condition)


@asynccontextmanager
async def browsing(server: Server, node: Node, ann: Person) -> AsyncIterator[Browser]:
    async with serving(node, server) as bot:
        yield Browser(ann, bot.full)


def bot_for(ann: Person, **options: Any) -> Node:
    node = Node(allow={ann.account.jid: "*"}, **options)
    node.task(lift)
    return node


async def test_a_form_is_filled_in_and_gives_the_result(xmpp: Server, ann: Person) -> None:
    node = bot_for(ann)
    async with browsing(xmpp, node, ann) as browser:
        assert await browser.commands() == {"lift", "jobs", "status"}
        command = await browser.give("lift")
        assert command["status"] == "executing"
        assert "complete" in command["actions"]
        fields = command["form"].get_fields()
        kinds = {name: field["type"] for name, field in fields.items()}
        assert kinds == {"reps": "text-single", "how": "list-single", "sharp": "boolean"}
        assert [option["value"] for option in fields["how"]["options"]] == ["fast", "slow"]
        values = {"reps": "7", "how": "slow", "sharp": True}
        command = await browser.give("lift", values, "complete")
        assert command["status"] == "completed"
        assert command["form"].get_fields()["result"]["value"] == "Lifted 7 slow True"
        [(kind, text)] = command["notes"]
        assert kind == "info"
        assert text.endswith("is done: Lifted 7 slow True")
        command = await browser.give("lift", {"reps": "ten"}, "complete")
        assert command["status"] == "executing"
        assert command["notes"] == [("error", "reps: 'ten' is not a whole number")]
        assert (await browser.give("lift", action="cancel"))["status"] == "canceled"
        assert "0 of" in (await browser.give("status"))["notes"][0][1]
        assert await browser.refused("exit") == "forbidden"
        assert ann.bodies == []


async def test_a_long_job_is_told_in_chat(xmpp: Server, ann: Person) -> None:
    node, go = bot_for(ann), asyncio.Event()

    async def hold() -> str:
        await go.wait()
        return "held"

    node.task(hold)
    async with browsing(xmpp, node, ann) as browser:
        command = await browser.give("hold")
        assert command["notes"][0][1].startswith("Scheduled hold, job ")
        go.set()
        assert (await ann.hear("hold .* is done")).body.endswith("held")


async def test_a_stranger_finds_nothing(xmpp: Server, ann: Person) -> None:
    async with (
        browsing(xmpp, bot_for(ann), ann) as browser,
        signed_in(xmpp, xmpp.fresh_user("eve")) as eve,
    ):
        stranger = Browser(eve, browser.bot)
        assert await stranger.commands() == set()
        for node in ("lift", "status", "nothing"):
            assert await stranger.refused(node) == "forbidden"
        info = await eve.plugin["xep_0030"].get_info(jid=browser.bot, timeout=LIMIT)
        assert "softwareinfo" not in str(info)
        with pytest.raises(IqError):
            await eve.plugin["xep_0092"].get_version(browser.bot, timeout=LIMIT)


async def test_a_contact_finds_the_programs_of_a_bot_at_its_address(
    xmpp: Server, ann: Person
) -> None:
    """Where Gajim has one choose what to give a command to."""
    async with browsing(xmpp, bot_for(ann), ann) as browser:
        disco, bare = ann.plugin["xep_0030"], browser.bot.bare
        with pytest.raises(IqError):
            await disco.get_items(jid=bare, timeout=LIMIT)
        ann.send_presence_subscription(bare)
        await ann.see(browser.bot, type="available")
        found = await disco.get_items(jid=bare, timeout=LIMIT)
        assert {jid for jid, _, _ in found["disco_items"]["items"]} == {str(browser.bot)}


async def test_what_it_is_can_be_verified_by_its_hash(xmpp: Server, ann: Person) -> None:
    for plugin in PLUGINS:
        ann.register_plugin(plugin)
    caps = ann.plugin["xep_0115"]
    async with browsing(xmpp, bot_for(ann), ann) as browser:
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def seen(presence: Any) -> None:
            if presence["from"] == browser.bot and not told.done():
                told.set_result(presence["caps"])

        ann.add_event_handler("entity_caps", seen)
        await ann.greet(browser.bot)
        async with asyncio.timeout(LIMIT):
            found = await told
        info = await ann.plugin["xep_0030"].get_info(
            jid=browser.bot, node=f"{found['node']}#{found['ver']}", timeout=LIMIT
        )
        info = info["disco_info"]
        assert caps.generate_verstring(info, found["hash"]) == found["ver"]
        assert ("automation", "command-list") in {each[:2] for each in info["identities"]}
        assert COMMANDS in info["features"]
        whole = await ann.plugin["xep_0030"].get_info(jid=browser.bot, timeout=LIMIT)
        assert "lift" in str(whole)
        version = await ann.plugin["xep_0092"].get_version(browser.bot, timeout=LIMIT)
        assert version["software_version"]["name"] == "jabot"


async def test_who_manages_stops_a_node(xmpp: Server, ann: Person) -> None:
    node = bot_for(ann, manage=[ann.account.jid])
    async with serving(node, xmpp) as bot:
        browser = Browser(ann, bot.full)
        assert "exit" in await browser.commands()
        assert (await browser.give("exit"))["notes"] == [("info", "Leaving.")]
        await bot.left()


async def test_a_queue_gives_the_form_to_its_workers(bench: Bench, ann: Person) -> None:
    queue = QueueNode(
        store=f"sqlite:///{bench.store}",
        allow={ann.account.jid: ["lift"]},
        work=[bench.worker.jid],
    )
    async with serving(queue, bench.server, bench.account) as served, bench.working(lift):
        browser = Browser(ann, served.full)
        async with asyncio.timeout(LIMIT):
            while "how" not in (found := await browser.fields("lift")):
                await asyncio.sleep(0.2)  # the worker has not told of its task yet
        assert found == {"reps", "how", "sharp"}
        command = await browser.give("lift", {"reps": "2", "how": "slow"}, "complete")
        assert command["form"].get_fields()["result"]["value"] == "Lifted 2 slow False"
        assert (await browser.give("jobs"))["notes"] == [("info", "No jobs.")]
        assert ann.bodies == []
