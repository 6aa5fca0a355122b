"""Contact lists of accounts that add each other, and what nodes have to do with them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chatting import LIMIT, Person, calling, jabot_account, serving
from jabot import JID, Node, NotAllowed
from jabot.contacts import ContactList
from jabot.xmpp.roster import Contact
from servers import Server
from servers.ejabberd import Ejabberd

SOON = 0.2  # seconds for an answer that is not expected


async def only(listed: ContactList) -> tuple[Contact, list[str]]:
    """The one contact, and the addresses where it is online."""
    ((contact, there),) = (await listed.look()).items()
    return contact, [str(stanza.sender) for stanza in there]


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """What the other side did is under way for a moment."""
    async with asyncio.timeout(LIMIT):
        while not await look():
            await asyncio.sleep(0.05)


async def test_two_who_accept_each_other_see_each_other(xmpp: Server) -> None:
    ann, bob = (jabot_account(xmpp, xmpp.fresh_user(name)) for name in ("ann", "bob"))
    async with ContactList(ann) as anns, ContactList(bob) as bobs:
        assert await anns.add(bob.jid, "Bob", limit=SOON) == "waiting"
        assert await bobs.add(ann.jid, limit=SOON) == "waiting"  # that alone lets nobody in
        ours, there = await only(anns)
        assert (ours.asked, ours.you_see, ours.sees_you, there) == (True, False, False, [])

        assert await bobs.add(ann.jid, accept=True, limit=SOON) == "waiting"

        async def is_seen() -> bool:
            ours, there = await only(anns)
            return ours.you_see and not ours.asked and len(there) == 1

        await until(is_seen)
        assert await anns.add(bob.jid, accept=True, limit=SOON) == "already"

        async def see_each_other() -> bool:
            ours, theirs = await only(anns), await only(bobs)
            states = [(c.sees_you, c.you_see, len(there)) for c, there in (ours, theirs)]
            return states == [(True, True, 1)] * 2

        await until(see_each_other)
        assert (await only(anns))[0].name == "Bob"

        assert await bobs.remove(ann.jid)  # which ends both directions, for both

        async def is_apart() -> bool:
            ours, there = await only(anns)
            return (ours.sees_you, ours.you_see, there) == (False, False, [])

        await until(is_apart)
        assert await bobs.look() == {}
        assert not await bobs.remove(ann.jid)


async def test_all_nodes_of_an_account_are_seen_and_none_adds_anybody(xmpp: Server) -> None:
    ann, pool = jabot_account(xmpp, xmpp.fresh_user("ann")), xmpp.fresh_user("bot")
    nodes = [Node(allow={ann.jid.bare: "*"}) for _ in range(2)]
    async with (
        serving(nodes[0], xmpp, pool) as one,
        serving(nodes[1], xmpp, pool) as two,
        ContactList(ann) as anns,
    ):
        assert await anns.add(JID(pool.jid), limit=LIMIT) == "accepted"
        contact, there = await only(anns)
        assert there == sorted([str(one.full), str(two.full)])
        assert (contact.you_see, contact.sees_you) == (True, False)
        async with ContactList(jabot_account(xmpp, pool)) as bots:
            contact, there = await only(bots)  # the server's note of whom it has let in
            assert (contact.sees_you, contact.you_see, contact.asked) == (True, False, False)
            assert there == []


async def test_who_is_refused_is_not_kept_and_who_was_kept_before_is(xmpp: Server) -> None:
    eve, bot = jabot_account(xmpp, xmpp.fresh_user("eve")), xmpp.fresh_user("bot")
    async with ContactList(eve) as eves:
        async with serving(Node(), xmpp, bot):
            assert await eves.add(JID(bot.jid), "Gym", limit=LIMIT) == "refused"
            assert await eves.look() == {}
        assert await eves.add(JID(bot.jid), "Gym", limit=SOON) == "waiting"
        async with serving(Node(), xmpp, bot):
            await until(lambda: _is_answered(eves))
            assert await eves.add(JID(bot.jid), limit=LIMIT) == "refused"
        contact, _ = await only(eves)
        assert (contact.name, contact.asked, contact.you_see) == ("Gym", False, False)


async def _is_answered(listed: ContactList) -> bool:
    contact, _ = await only(listed)
    return not contact.asked


async def test_who_has_lost_all_rights_sees_a_node_no_more(
    xmpp: Server, ann: Person, caplog: pytest.LogCaptureFixture
) -> None:
    pool, bob = xmpp.fresh_user("bot"), jabot_account(xmpp, xmpp.fresh_user("bob"))
    both = {ann.account.jid: "*", bob.jid.bare: "*"}
    async with ContactList(bob) as bobs, ContactList(jabot_account(xmpp, pool)) as bots:
        async with serving(Node(allow=both), xmpp, pool, for_people=False) as bot:
            ann.send_presence_subscription(bot.jid)
            await ann.see(bot.full, type="available")
            assert await bobs.add(bot.jid, limit=LIMIT) == "accepted"
        assert await bots.add(bob.jid, limit=SOON) == "waiting"  # by a person: it stays
        work = Node(queue=pool.jid)  # people talk to the queue of that account
        async with serving(work, xmpp, pool, for_people=False) as bot:
            await ann.see(bot.full, type="available")
        second = Node(allow={})  # while another node is there, whose rules are others
        async with serving(Node(allow=both), xmpp, pool), serving(second, xmpp, pool):
            assert second._serving is not None
            for _ in range(2):  # what it has asked, and what it has said then
                await second._serving.session.ping(LIMIT)
            seen_by = {each.jid.bare for each in await bots.look() if each.sees_you}
            assert seen_by == {ann.account.jid, bob.jid.bare}
        for allow in (both, {}):
            ann.presences.clear()
            async with serving(Node(allow=allow), xmpp, pool, for_people=False) as bot:
                if allow:
                    await ann.see(bot.full, type="available")
                    continue
                await ann.see(bot.jid, type="unsubscribed")
                await ann.see(bot.full, type="unavailable")
                listed = await bots.look()
                assert [each.jid for each in listed if each.sees_you] == [bob.jid]
    assert f"{ann.account.jid} sees this node no more" in caplog.text


@pytest.mark.not_on("embedded")  # which has none
async def test_a_shared_roster_asks_nobody(xmpp: Server) -> None:
    """A node's rules are not asked who sees it, and still decide who runs anything."""
    assert isinstance(xmpp, Ejabberd)
    ann, pool = jabot_account(xmpp, xmpp.fresh_user("ann")), xmpp.fresh_user("bot")
    xmpp.share_roster("gym", [ann.jid.bare, pool.jid])
    async with serving(Node(), xmpp, pool) as bot, ContactList(ann) as anns:
        contact, there = await only(anns)
        assert (contact.jid, contact.groups) == (JID(pool.jid), ("gym",))
        assert (contact.sees_you, contact.you_see) == (True, True)
        assert there == [str(bot.full)]
        assert await anns.add(JID(pool.jid), limit=SOON) == "already"
        with pytest.raises(NotAllowed, match=f"the server keeps {pool.jid} on the contact list"):
            await anns.remove(JID(pool.jid))
        async with calling(xmpp, None, ann) as app:
            with pytest.raises(NotAllowed):
                await app.submit("lift", to=pool.jid)
