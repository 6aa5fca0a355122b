"""Publish-subscribe (XEP-0060), by a client that is not ours, on the embedded server and on
ejabberd."""

import secrets

import pytest
from other_client import EVENT, LIMIT, online
from pubsub_client import (
    PUBSUB,
    SERVICE,
    affiliate,
    create,
    event,
    form,
    items,
    owner,
    publish,
    refused,
    retraction,
    subscribe,
    unsubscribe,
    value,
)

DELAY = "{urn:xmpp:delay}delay"
RSM = "{http://jabber.org/protocol/rsm}"


@pytest.fixture
def node():
    return f"sensors/{secrets.token_hex(4)}"


# --- publishing and hearing ---------------------------------------------------------------------


async def test_a_subscriber_hears_what_is_published(ann, bob, node):
    await create(ann, node, send_last_published_item="never")
    answer = await subscribe(bob, node)
    [told] = answer.iter(f"{{{PUBSUB}}}subscription")
    assert (told.get("node"), told.get("jid"), told.get("subscription")) == (
        node,
        bob.bare,
        "subscribed",
    )
    item = await publish(ann, node, "21.5")
    heard = await bob.message(value("21.5"), sender=SERVICE)
    assert heard.get("type") == "headline"
    assert heard.find(f"{EVENT}event/{EVENT}items").get("node") == node
    assert heard.find(f"{EVENT}event/{EVENT}items/{EVENT}item").get("id") == item
    assert heard.find(DELAY) is None
    await unsubscribe(bob, node)
    await publish(ann, node, "22")
    await bob.sync()
    assert not [each for each in bob.news if value("22")(each)]


async def test_a_node_comes_with_the_first_item(ann, bob, node):
    await publish(ann, node, "1", access_model="open")
    await subscribe(bob, node)
    await publish(ann, node, "2", access_model="open")
    await bob.message(value("2"))
    assert await refused(publish(ann, node, "3", access_model="whitelist")) == (
        "conflict",
        "precondition-not-met",
    )
    assert (await items(bob, node))[0] == ["1", "2"]


async def test_a_session_subscribes_for_itself(xmpp, ann, bob, node):
    await create(ann, node)
    async with online(xmpp, resource="one") as one:
        await subscribe(one, node, jid=one.full)
        await publish(ann, node, "1")
        heard = await one.message(value("1"))
        assert heard.get("to") == one.full
    assert await refused(subscribe(bob, node, jid=ann.bare)) == ("bad-request", "invalid-jid")


async def test_all_sessions_of_a_subscribed_account_hear(xmpp, ann, node):
    await create(ann, node)
    account = xmpp.fresh_user("pool")
    async with online(xmpp, account, "one") as one, online(xmpp, account, "two") as two:
        await subscribe(one, node)
        await publish(ann, node, "1")
        await one.message(value("1"))
        await two.message(value("1"))


async def test_the_last_item_comes_with_the_subscription(ann, bob, node):
    await create(ann, node, send_last_published_item="on_sub")
    await publish(ann, node, "1")
    await publish(ann, node, "2")
    await subscribe(bob, node)
    heard = await bob.message(value("2"))
    assert heard.find(DELAY) is not None
    await bob.sync()
    assert not [each for each in bob.news if value("1")(each)]


async def test_the_last_item_comes_with_the_presence(xmpp, ann, node):
    await create(ann, node, send_last_published_item="on_sub_and_presence")
    account = xmpp.fresh_user("bob")
    async with online(xmpp, account, "one") as one:
        await subscribe(one, node)
        await publish(ann, node, "1")
        await one.message(value("1"))
    await publish(ann, node, "2")
    async with online(xmpp, account, "two") as two:
        await two.message(value("2"))


async def test_items_are_kept_up_to_a_number_and_read_back(ann, bob, node):
    await create(ann, node, max_items=3)
    ids = [await publish(ann, node, str(n), f"id-{n}") for n in range(5)]
    assert ids == [f"id-{n}" for n in range(5)]
    assert (await items(bob, node))[0] == ["2", "3", "4"]
    assert (await items(bob, node, attributes="max_items='2'"))[0] == ["3", "4"]
    wanted = "<item id='id-3'/><item id='id-0'/>"
    assert (await items(bob, node, content=wanted))[0] == ["3"]
    await publish(ann, node, "new", "id-2")
    # It takes the place of the old one; ejabberd leaves it there, where the newest would be last.
    assert set((await items(bob, node))[0]) == {"3", "4", "new"}


async def test_a_long_list_comes_in_pages(ann, bob, node):
    """How somebody who was away catches up: the ids between pages are the server's own."""
    await create(ann, node)
    for number in range(5):
        await publish(ann, node, str(number), f"id-{number}")
    page = "<set xmlns='http://jabber.org/protocol/rsm'><max>2</max>{}</set>"
    seen, after = [], ""
    while True:
        values, answer = await items(bob, node, more=page.format(after))
        seen += values
        if not values:
            break
        told = answer.find(f".//{RSM}set")
        assert told.findtext(f"{RSM}count") == "5"
        after = f"<after>{told.findtext(f'{RSM}last')}</after>"
    assert seen == ["0", "1", "2", "3", "4"]


async def test_an_item_is_removed(ann, bob, node):
    await create(ann, node)
    await subscribe(bob, node)
    item = await publish(ann, node, "1")
    kept = await publish(ann, node, "2")
    retract = f"<pubsub xmlns='{PUBSUB}'><retract node='{node}'><item id='%s'/></retract></pubsub>"
    assert (await refused(bob.ask("set", SERVICE, retract % item)))[0] == "forbidden"
    await ann.ask("set", SERVICE, retract % item)
    await bob.message(retraction(item))
    assert (await items(bob, node))[0] == ["2"]
    assert (await refused(ann.ask("set", SERVICE, retract % item)))[0] == "item-not-found"
    await owner(ann, "set", f"<purge node='{node}'/>")
    await bob.message(event("purge", node))
    assert (await items(bob, node))[0] == []
    assert kept


async def test_whom_an_item_is_from(ann, bob, node):
    await create(ann, node, itemreply="publisher", publish_model="open")
    await subscribe(ann, node)
    await publish(bob, node, "1")
    heard = await ann.message(value("1"))
    assert heard.find(f".//{EVENT}item").get("publisher") == bob.full
    _, answer = await items(ann, node)
    assert answer.find(f".//{{{PUBSUB}}}item").get("publisher") == bob.full


async def test_without_payloads_subscribers_hear_that_there_is_something(ann, bob, node):
    await create(ann, node, deliver_payloads=0)
    await subscribe(bob, node)
    item = await publish(ann, node, "1")
    heard = await bob.message(event("items", node))
    [told] = heard.iter(f"{EVENT}item")
    assert (told.get("id"), len(told)) == (item, 0)
    assert (await items(bob, node))[0] == ["1"]


async def test_without_persistence_nothing_is_kept_but_the_last(ann, bob, node):
    await create(ann, node, persist_items=0, send_last_published_item="on_sub")
    await publish(ann, node, "1")
    await publish(ann, node, "2")
    await subscribe(bob, node)
    await bob.message(value("2"))
    assert await refused(owner(ann, "set", f"<purge node='{node}'/>")) == (
        "feature-not-implemented",
        "unsupported",
    )


async def test_notifications_of_type_normal_wait_for_who_is_away(xmpp, ann, node):
    await create(ann, node, notification_type="normal", send_last_published_item="never")
    account = xmpp.fresh_user("bob")
    async with online(xmpp, account, "one") as one:
        await subscribe(one, node)
        await one.sync()
        one.send_presence(ptype="unavailable")
        await one.sync()
    await publish(ann, node, "1")
    async with online(xmpp, account, "two") as two:
        heard = await two.message(value("1"))
        assert heard.get("type", "normal") == "normal"
        assert heard.find(DELAY) is not None


# --- who may what -------------------------------------------------------------------------------


async def test_who_may_publish(ann, bob, node):
    await create(ann, node)
    assert (await refused(publish(bob, node, "1")))[0] == "forbidden"
    await affiliate(ann, node, bob.bare, "publisher")
    await publish(bob, node, "1")
    await affiliate(ann, node, bob.bare, "none")
    configured = form("node_config", {"publish_model": "subscribers"})
    await owner(ann, "set", f"<configure node='{node}'>{configured}</configure>")
    assert (await refused(publish(bob, node, "2")))[0] == "forbidden"
    await subscribe(bob, node)
    await publish(bob, node, "2")


async def test_a_whitelist(ann, bob, node):
    await create(ann, node, access_model="whitelist")
    await publish(ann, node, "1")
    for asked in (lambda: subscribe(bob, node), lambda: items(bob, node)):
        assert await refused(asked()) == ("not-allowed", "closed-node")
    await affiliate(ann, node, bob.bare, "member")
    await subscribe(bob, node)
    assert (await items(bob, node))[0] == ["1"]


async def test_an_outcast(ann, bob, node):
    await create(ann, node)
    await affiliate(ann, node, bob.bare, "outcast")
    for asked in (lambda: subscribe(bob, node), lambda: items(bob, node)):
        assert (await refused(asked()))[0] == "forbidden"


async def test_only_owners_manage_a_node(ann, bob, node):
    await create(ann, node)
    for kind, content in (
        ("get", f"<configure node='{node}'/>"),
        ("get", f"<affiliations node='{node}'/>"),
        ("get", f"<subscriptions node='{node}'/>"),
        ("set", f"<purge node='{node}'/>"),
        ("set", f"<delete node='{node}'/>"),
    ):
        assert (await refused(owner(bob, kind, content)))[0] == "forbidden"


async def test_the_lists_of_owners_and_of_others(ann, bob, node):
    await create(ann, node)
    await subscribe(bob, node)
    await affiliate(ann, node, bob.bare, "publisher")
    answer = await owner(ann, "get", f"<affiliations node='{node}'/>")
    told = {each.get("jid"): each.get("affiliation") for each in answer.iter() if each.get("jid")}
    assert told == {ann.bare: "owner", bob.bare: "publisher"}
    answer = await owner(ann, "get", f"<subscriptions node='{node}'/>")
    told = {each.get("jid"): each.get("subscription") for each in answer.iter() if each.get("jid")}
    assert told == {bob.bare: "subscribed"}
    for name, mine in (("subscriptions", "subscribed"), ("affiliations", "publisher")):
        answer = await bob.ask("get", SERVICE, f"<pubsub xmlns='{PUBSUB}'><{name}/></pubsub>")
        [told] = [each for each in answer.iter() if each.get("node") == node]
        assert mine in told.attrib.values()


async def test_an_owner_ends_a_subscription(ann, bob, node):
    await create(ann, node)
    await subscribe(bob, node)
    ended = f"<subscription jid='{bob.bare}' subscription='none'/>"
    await owner(ann, "set", f"<subscriptions node='{node}'>{ended}</subscriptions>")
    told = await bob.message(event("subscription", node))
    assert told.find(f".//{EVENT}subscription").get("subscription") == "none"
    await publish(ann, node, "1")
    await bob.sync()
    assert not [each for each in bob.news if value("1")(each)]


# --- nodes --------------------------------------------------------------------------------------


async def test_the_form_of_a_node(ann, bob, node):
    await create(ann, node, notify_config=1)
    await subscribe(bob, node)
    answer = await owner(ann, "get", f"<configure node='{node}'/>")
    offered = {each.get("var") for each in answer.iter("{jabber:x:data}field")}
    assert {"pubsub#access_model", "pubsub#max_items", "pubsub#persist_items"} <= offered
    configured = form("node_config", {"title": "Hall", "max_items": 7})
    await owner(ann, "set", f"<configure node='{node}'>{configured}</configure>")
    await bob.message(event("configuration", node))
    answer = await owner(ann, "get", f"<configure node='{node}'/>")
    fields = {each.get("var"): each for each in answer.iter("{jabber:x:data}field")}
    assert fields["pubsub#title"].findtext("{jabber:x:data}value") == "Hall"
    assert fields["pubsub#max_items"].findtext("{jabber:x:data}value") == "7"
    answer = await owner(ann, "get", "<default/>")
    assert "pubsub#access_model" in {
        each.get("var") for each in answer.iter("{jabber:x:data}field")
    }


async def test_a_node_is_deleted(ann, bob, node):
    await create(ann, node, notify_delete=1)
    await subscribe(bob, node)
    await owner(ann, "set", f"<delete node='{node}'/>")
    await bob.message(event("delete", node))
    for asked in (
        lambda: items(bob, node),
        lambda: subscribe(bob, node),
        lambda: owner(ann, "set", f"<delete node='{node}'/>"),
    ):
        assert (await refused(asked()))[0] == "item-not-found"


async def test_names(ann, node):
    await create(ann, node)
    assert (await refused(create(ann, node)))[0] == "conflict"
    answer = await ann.ask("set", SERVICE, f"<pubsub xmlns='{PUBSUB}'><create/></pubsub>")
    made = answer.find(f".//{{{PUBSUB}}}create").get("node")
    assert made
    await publish(ann, made, "1")


async def test_requests_that_cannot_be(ann, node):
    await create(ann, node)
    publish_of = f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'>%s</publish></pubsub>"
    for content, own in (
        ("", "item-required"),
        ("<item><a xmlns='urn:a'/><b xmlns='urn:a'/></item>", "invalid-payload"),
        ("<item><a xmlns='urn:a'/></item><item><b xmlns='urn:a'/></item>", "invalid-payload"),
    ):
        asked = ann.ask("set", SERVICE, publish_of % content)
        assert await refused(asked) == ("bad-request", own)
    assert await refused(unsubscribe(ann, node)) == ("unexpected-request", "not-subscribed")
    options = f"<options node='{node}' jid='{ann.bare}'/>"
    asked = ann.ask("get", SERVICE, f"<pubsub xmlns='{PUBSUB}'>{options}</pubsub>")
    assert await refused(asked) == ("feature-not-implemented", "unsupported")


async def test_disco(ann, bob, node):
    disco = bob.plugin["xep_0030"]
    found = await disco.get_items("localhost", timeout=LIMIT)
    assert SERVICE in {jid for jid, _, _ in found["disco_items"]["items"]}
    info = (await disco.get_info(SERVICE, timeout=LIMIT))["disco_info"]
    assert ("pubsub", "service") in {each[:2] for each in info["identities"]}
    assert {f"{PUBSUB}#publish", f"{PUBSUB}#auto-create", f"{PUBSUB}#publish-options"} <= (
        info["features"]
    )
    await create(ann, node)
    found = await disco.get_items(SERVICE, timeout=LIMIT)
    assert node in {name for _, name, _ in found["disco_items"]["items"]}
    info = (await disco.get_info(SERVICE, node, timeout=LIMIT))["disco_info"]
    assert ("pubsub", "leaf") in {each[:2] for each in info["identities"]}


async def test_nodes_and_items_outlive_a_restart(own_xmpp):
    account, other = own_xmpp.fresh_user("ann"), own_xmpp.fresh_user("bob")
    async with online(own_xmpp, account) as ann, online(own_xmpp, other, "b") as bob:
        await create(ann, "kept", access_model="whitelist", send_last_published_item="never")
        await affiliate(ann, "kept", bob.bare, "member")
        await subscribe(bob, "kept")
        await publish(ann, "kept", "1")
        await publish(ann, "kept", "2")
        await publish(ann, "urn:example:own", "mine", to=ann.bare)
    own_xmpp.stop()
    own_xmpp.start()
    async with online(own_xmpp, account) as ann, online(own_xmpp, other, "b") as bob:
        assert (await items(bob, "kept"))[0] == ["1", "2"]
        assert (await items(ann, "urn:example:own", to=ann.bare))[0] == ["mine"]
        await publish(ann, "kept", "3")
        await bob.message(value("3"))
