"""Nodes of accounts (XEP-0163) on the embedded server: who hears of them."""

import base64
import hashlib
import re

from topics_client import (
    INFO,
    ask,
    conditions,
    create,
    done,
    fine,
    form,
    items,
    publish,
    subscribe,
    values,
)

ANN = "ann@localhost"
NODE = "urn:example:status"


def capabilities(*wanted):
    """What a client of these wishes answers, and how it shows that in its presence."""
    identity = "<identity category='client' type='bot'/>"
    features = "".join(f"<feature var='{each}+notify'/>" for each in sorted(wanted))
    hashed = "".join(
        f"{each}<" for each in ("client/bot//", *sorted(f"{w}+notify" for w in wanted))
    )
    ver = base64.b64encode(hashlib.sha1(hashed.encode()).digest()).decode()
    shown = f"<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:c' ver='{ver}'/>"
    return identity + features, shown


async def show(client, *wanted, told=None):
    """Show presence with capabilities, and answer the server's question about them, if it asks."""
    answer, shown = capabilities(*wanted)
    client.send(f"<presence>{shown}</presence>")
    client.text = await settled(client)
    asked = re.search(
        f"<iq type='get' id='(caps-[^']+)'[^>]*><query xmlns='{INFO}' node", client.text
    )
    if asked is not None:
        client.text = client.text.replace(asked[0], "")
        query = f"<query xmlns='{INFO}'>{answer if told is None else told}</query>"
        client.send(f"<iq type='result' id='{asked[1]}' to='localhost'>{query}</iq>")
        client.text = await settled(client)
    return asked is not None


async def settled(client):
    """Wait until all is handled; gives what came."""
    return re.sub("<iq[^>]*id='sync'[^>]*/>", "", await client.sync())


async def befriend(ann, bob):
    """Bob sees Ann's presence."""
    bob.send(f"<presence type='subscribe' to='{ANN}'/>")
    await ann.until("type='subscribe'")
    ann.send("<presence type='subscribed' to='bob@localhost'/>")
    await ann.sync()
    bob.text = await settled(bob)


async def test_a_client_is_asked_once_what_it_wants(sign_in, ann, bob):
    again = await sign_in("bob", "again")
    assert await show(bob, NODE)
    assert not await show(again, NODE)
    assert not await show(bob, NODE)
    assert await show(bob, NODE, "urn:other")
    await befriend(ann, bob)
    for each in (bob, again):
        each.text = ""
    await done(publish(ann, NODE, "free", to=ANN))
    for each in (bob, again):
        assert values(await each.until("</message>")) == ["free"]


async def test_what_the_hash_does_not_prove_is_believed_of_one_session_only(sign_in, ann, bob):
    liar = await sign_in("bob", "liar")
    await befriend(ann, bob)
    lie, _ = capabilities("urn:nothing")
    await show(liar, NODE, told=lie)
    assert await show(bob, NODE)  # asked all the same, and believed
    bob.text = liar.text = ""
    await done(publish(ann, NODE, "free", to=ANN))
    assert values(await bob.until("</message>")) == ["free"]
    assert values(await liar.sync()) == []


async def test_all_sessions_of_the_account_itself_hear_if_they_want_to(sign_in, ann):
    other, third = await sign_in("ann", "o"), await sign_in("ann", "third")
    await show(other, NODE)
    await done(publish(ann, NODE, "free", to=ANN))
    heard = await other.until("</message>")
    assert values(heard) == ["free"]
    assert f"from='{ANN}'" in heard
    assert values(await third.sync()) == []


async def test_the_last_item_comes_as_soon_as_it_may(ann, bob):
    """With the capabilities, with another wish among them, or with the permission to see."""
    await done(publish(ann, NODE, "free", to=ANN))
    await done(publish(ann, "urn:other", "more", to=ANN))
    await show(bob, NODE)
    assert values(bob.text) == []
    await befriend(ann, bob)
    assert values(bob.text) == ["free"]
    assert "<delay xmlns='urn:xmpp:delay' from='ann@localhost'" in bob.text
    bob.text = ""
    await show(bob, NODE, "urn:other")
    assert values(bob.text) == ["more"]
    await show(bob)
    bob.text = ""
    await done(publish(ann, NODE, "busy", to=ANN))
    assert values(await bob.sync()) == []


async def test_who_has_subscribed_as_well_hears_once(ann, bob):
    await befriend(ann, bob)
    await done(publish(ann, NODE, "free", to=ANN))
    await done(subscribe(bob, NODE, "bob@localhost", to=ANN))
    assert values(await settled(bob)) == ["free"]
    await show(bob, NODE)
    assert values(bob.text) == []
    await done(publish(ann, NODE, "busy", to=ANN))
    assert values(await settled(bob)) == ["busy"]


async def test_contacts_that_may_not_read_a_node_hear_nothing_of_it(ann, bob):
    await befriend(ann, bob)
    await show(bob, NODE, "urn:closed", "urn:quiet")
    await done(create(ann, "urn:closed", to=ANN, access_model="whitelist"))
    await done(create(ann, "urn:quiet", to=ANN, deliver_notifications=0))
    for node in ("urn:closed", "urn:quiet"):
        await done(publish(ann, node, "secret", to=ANN))
    assert values(await settled(bob)) == []
    await show(bob)
    await show(bob, "urn:closed", "urn:quiet")  # nor the last item
    assert values(bob.text) == []


async def test_the_last_item_of_a_node_that_does_not_send_it(ann, bob):
    await befriend(ann, bob)
    for when in ("never", "on_sub"):
        await done(create(ann, f"urn:{when}", to=ANN, send_last_published_item=when))
        await done(publish(ann, f"urn:{when}", when, to=ANN))
    await show(bob, "urn:never", "urn:on_sub")
    assert values(bob.text) == []
    for when in ("never", "on_sub"):
        await done(subscribe(bob, f"urn:{when}", "bob@localhost", to=ANN))
    assert values(await settled(bob)) == ["on_sub"]


async def test_the_nodes_of_strangers_come_to_nobody(server, ann, bob):
    """Bob wants to see Ann, and to hear of her open node; she has not let him."""
    await done(create(ann, NODE, to=ANN, access_model="open"))
    await done(publish(ann, NODE, "free", to=ANN))
    bob.send(f"<presence type='subscribe' to='{ANN}'/>")
    await show(bob, NODE)
    await done(publish(ann, NODE, "busy", to=ANN))
    assert values(bob.text + await settled(bob)) == []


async def test_a_node_for_a_group_of_contacts(server, ann, bob):
    await done(create(ann, NODE, to=ANN, access_model="roster", roster_groups_allowed="friends"))
    await done(publish(ann, NODE, "free", to=ANN))
    await befriend(ann, bob)
    assert conditions(await items(bob, NODE, to=ANN)) == ("not-authorized", "not-in-roster-group")
    ann.send(
        "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='bob@localhost'>"
        "<group>friends</group></item></query></iq>"
    )
    await ann.sync()
    assert values(await items(bob, NODE, to=ANN)) == ["free"]


async def test_an_account_has_one_item_a_node_and_shows_it_to_contacts(ann, bob):
    for value in ("free", "busy"):
        await done(publish(ann, NODE, value, to=ANN))
    assert values(await items(ann, NODE, to=ANN)) == ["busy"]

    async def told(client, query):
        client.send(f"<iq type='get' id='d' to='{ANN}'>{query}</iq>")
        return await client.until("<iq[^>]*id='d'.*?</iq>")

    listing = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
    about = f"<query xmlns='{INFO}' node='{NODE}'/>"
    for query in (listing, about):
        assert NODE in await told(ann, query)
        assert conditions(await told(bob, query))[0] == "service-unavailable"  # to a stranger
    await befriend(ann, bob)
    for query in (listing, about):
        assert NODE in await told(bob, query)


async def test_bookmarks_as_chat_programs_keep_them(sign_in, ann, bob):
    """XEP-0402: many items in a node that nobody else sees, made by the first of them."""
    bookmarks = "urn:xmpp:bookmarks:1"
    other = await sign_in("ann", "other")
    await show(other, bookmarks)
    options = form(
        "publish-options",
        {
            "persist_items": "true",
            "max_items": "max",
            "send_last_published_item": "never",
            "access_model": "whitelist",
        },
    )
    for room in ("one", "two"):
        item = f"<item id='{room}@conference.localhost'><v xmlns='urn:v'>{room}</v></item>"
        content = f"<publish node='{bookmarks}'>{item}</publish>"
        given = f"<publish-options>{options}</publish-options>"
        assert fine(await ask(ann, "set", content + given, ANN))
        assert values(await other.until("</message>")) == [room]
    assert values(await items(ann, bookmarks, ANN)) == ["one", "two"]
    await befriend(ann, bob)
    assert conditions(await items(bob, bookmarks, ANN)) == ("not-allowed", "closed-node")


async def test_nobody_makes_nodes_at_the_account_of_another(ann, bob):
    assert conditions(await create(bob, NODE, to=ANN))[0] == "forbidden"
    assert conditions(await publish(bob, NODE, "1", to="nobody@localhost"))[0] == "item-not-found"
    assert conditions(await items(bob, NODE, to="nobody@localhost"))[0] == "item-not-found"
