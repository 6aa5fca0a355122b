"""Somebody without any right asks all that can be asked, on a real server, and learns nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from importlib.metadata import version
from xml.etree import ElementTree as ET

import pytest
from slixmpp.exceptions import IqError

from chatting import LIMIT, Fleet, Person, Served, calling, soon
from chatting.frames import JABOT, JSON
from jabot import Node, NotAllowed, Room
from jabot.queue_node import QueueNode
from servers import Server

COMMANDS = "http://jabber.org/protocol/commands"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
PUBSUB = "http://jabber.org/protocol/pubsub"
SECRETS = (
    f">{version('jabot')}<",
    "melt",
    "ingot",
    "furnace",
    "tongs",
    "of 8",
    "of 5",
    "running",
    "Scheduled",
    "Dunno",
)
UNKNOWN = "0192f0c4-7c1e-7d3a-8f5e-2b9d4c6a1e00"


class Eve:
    """Asks, and keeps whatever reaches her."""

    def __init__(self, person: Person, nick: str) -> None:
        self.person, self.nick = person, nick
        self.came: list[ET.Element] = []
        person.add_filter("in", self._note)

    def _note(self, stanza: object) -> object:
        if stanza is not None:
            self.came.append(stanza.xml)
        return stanza

    def learned(self) -> list[str]:
        """What came that tells a secret, other than what she has said herself."""
        own = f"/{self.nick}"
        texts = []
        for came in self.came:
            if came.get("type") == "error":  # some servers send back what could not be brought
                came = came.find("{jabber:client}error")
            elif came.get("type") == "groupchat" and came.get("from", "").endswith(own):
                continue
            texts.append(ET.tostring(came, "unicode"))
        return [text for text in texts if any(secret in text for secret in SECRETS)]

    async def ask(self, to: str, payload: ET.Element, kind: str = "get") -> str:
        """What is answered, without what differs for each question."""
        iq = self.person.make_iq(itype=kind, ito=to)
        iq.append(payload)
        try:
            answer = (await iq.send(timeout=LIMIT)).xml
        except IqError as refused:
            answer = refused.iq.xml.find("{jabber:client}error")
        return ET.tostring(answer, "unicode")

    async def run(self, to: str, command: str) -> str:
        attributes = {"node": command, "action": "execute"}
        return await self.ask(to, ET.Element(f"{{{COMMANDS}}}command", attributes), "set")

    async def frames(self, to: str, *frames: object) -> str:
        payload = ET.Element(f"{{{JABOT}}}frames")
        ET.SubElement(payload, f"{{{JSON}}}json").text = json.dumps(frames)
        return await self.ask(to, payload, "set")


@pytest.fixture
async def fleet(xmpp: Server) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        yield Fleet(xmpp, stack)


async def bot(fleet: Fleet, owner: str) -> tuple[Served, asyncio.Event]:
    """A node that is busy, and tells it to whoever may know."""
    node = Node(
        allow={owner: "*"}, rooms=[Room(fleet.room, nick="w1")], labels={"furnace": "tongs"}
    )
    node.status_fields["furnace"] = "tongs"
    begun = asyncio.Event()

    @node.task
    async def melt() -> str:
        """Make an ingot."""
        begun.set()
        await asyncio.Event().wait()
        return "ingot"

    return await fleet.serve(node), begun


async def test_nothing_of_a_node_is_to_be_learned(fleet: Fleet) -> None:
    ann = fleet.server.fresh_user("ann")
    served, begun = await bot(fleet, ann.jid)
    full, bare = str(served.full), str(served.jid)
    await fleet.gathered(served)
    async with calling(fleet.server, bare, ann) as app:
        job = await app.submit("melt")
        await soon(begun.wait())
        served.node.status("dnd", "the furnace is hot")
        person = await fleet.person("eve")
        eve = Eve(person, "eve")

        # Whether something is there or not makes no difference.
        assert await eve.run(full, "melt") == await eve.run(full, "no such")
        assert "forbidden" in await eve.run(full, "status")
        assert await eve.run(full, "exit") == await eve.run(full, "melt")
        submits = [["submit", UNKNOWN, task] for task in ("melt", "no such", "node.status")]
        asked = [["query", each] for each in (job.id, UNKNOWN)]
        cancels = [["cancel", each, 0] for each in (job.id, UNKNOWN)]
        described = [["describe", task] for task in ("melt", "no such", None)]
        everything = [*submits, *asked, *cancels, *described, ["hello", [], 8], ["heartbeat", []]]
        answers = {await eve.frames(full, frame) for frame in everything}
        assert len(answers) == 1
        assert "forbidden" in answers.pop()

        # What programs, servers and protocols know of besides.
        for to in (full, bare, f"{fleet.room}/w1"):
            for node in ("", COMMANDS, "melt", "no such", f"{JABOT}:status:0"):
                query = {"node": node} if node else {}
                await eve.ask(to, ET.Element(f"{{{INFO}}}query", query))
                await eve.ask(to, ET.Element(f"{{{ITEMS}}}query", query))
            await eve.run(to, "melt")
            await eve.frames(to, ["describe", None])
            for tag in (
                "{jabber:iq:last}query",
                "{jabber:iq:version}query",
                "{jabber:iq:roster}query",
                "{urn:xmpp:time}time",
                "{vcard-temp}vCard",
            ):
                await eve.ask(to, ET.Element(tag))
            for node in (f"{JABOT}:status:0", "http://jabber.org/protocol/nick"):
                pubsub = ET.Element(f"{{{PUBSUB}}}pubsub")
                ET.SubElement(pubsub, f"{{{PUBSUB}}}items", {"node": node})
                await eve.ask(to, pubsub)

        # Presence of all kinds.
        for to in (bare, full):
            for kind in ("available", "probe", "subscribe"):
                person.send_presence(pto=to, ptype=kind)
            presence = person.make_presence(pto=to)
            presence.append(ET.Element(f"{{{JABOT}}}hello"))
            presence.send()

        # Words.
        for to, kind in ((bare, "chat"), (full, "chat"), (f"{fleet.room}/w1", "chat")):
            for line in ("melt", "status", "jobs", "help", f"cancel {job.id}", "can eve melt"):
                person.say(to, line, type=kind)
        for line in ("all: melt", "w1: status", "@furnace: help", "@no-such: help", "all: jobs"):
            person.say(fleet.room, line, type="groupchat")

        # Programs.
        account = fleet.server.fresh_user("mallory")
        async with calling(fleet.server, bare, account) as program:
            async for reply in program.broadcast("melt", to=fleet.room, where={"furnace": "tongs"}):
                assert (reply.status, "melt" in str(reply.error)) == ("refused", False)
            for task in ("melt", "no such", "node.status"):
                with pytest.raises(NotAllowed) as refused:
                    await program.submit(task)
                told = f"{bare} does not allow {account.jid} anything; who runs it can, with allow="
                assert str(refused.value) == told

        await person.hear("I do not take commands from you")
        await person.round_trip()
        assert await eve.frames(full, ["describe", None])  # all of that was handled
        assert eve.learned() == []
        assert served.node._serving.runner.running == 1
        job.cancel()


async def test_nothing_of_a_queue_is_to_be_learned(fleet: Fleet, tmp_path: object) -> None:
    jobs, worker, ann = (fleet.server.fresh_user(name) for name in ("jobs", "bot", "ann"))
    queue = QueueNode(
        store=f"sqlite:///{tmp_path}/jobs.db",
        allow={ann.jid: "*"},
        work=[worker.jid],
        rooms=[Room(fleet.room, nick="jobs")],
    )
    served = await fleet.serve(queue, jobs)
    await fleet.gathered(served)
    async with calling(fleet.server, jobs.jid, ann) as app:
        job = await app.submit("melt")
        for account in (None, worker):  # who may work there may not ask
            nick = "eve" if account is None else "worker"
            person = await fleet.person(nick, account)
            eve, full = Eve(person, nick), str(served.full)
            tasks = ("melt", "no such", "queue.stats", "queue.jobs", "node.status")
            answers = [await eve.run(full, task) for task in (*tasks, "status", "jobs")]
            assert len(set(answers)) == 1
            assert "forbidden" in answers[0]
            if account is None:
                asked = [["submit", UNKNOWN, task] for task in tasks]
                asked += [["query", each] for each in (job.id, UNKNOWN)]
                answers = [await eve.frames(full, frame) for frame in asked]
                assert len(set(answers)) == 1
                assert "forbidden" in answers[0]
            for line in ("stats", "jobs", f"show {job.id}", "show 1234", "pause melt"):
                person.say(jobs.jid, line)
                person.say(fleet.room, f"jobs: {line}", type="groupchat")
            await person.hear("I do not take commands from you")
            await person.hear("That is not for you")
            await person.round_trip()
            assert eve.learned() == []
        job.cancel()
