"""Nodes of accounts: PEP (XEP-0163), by a client that is not ours, on the embedded server and on
ejabberd."""

from other_client import LIMIT, online
from pubsub_client import create, items, publish, refused, subscribe, value


async def befriend(one, two):
    """Both see each other's presence; slixmpp says yes and asks back by itself."""
    one.send_presence_subscription(two.bare)
    for here, there in ((one, two), (two, one)):
        await here.presence(lambda xml: xml.get("type") is None, sender=there.full)


NODE = "urn:example:status"


async def test_contacts_hear_of_an_account_s_nodes_if_they_want_to(xmpp):
    async with (
        online(xmpp) as ann,
        online(xmpp, resource="b", features=[f"{NODE}+notify"]) as bob,
        online(xmpp, resource="c") as cat,
    ):
        await befriend(bob, ann)
        await befriend(cat, ann)
        await publish(ann, NODE, "free", to=ann.bare)
        heard = await bob.message(value("free"), sender=ann.bare)
        assert heard.get("type") == "headline"
        await cat.sync()
        assert not [each for each in cat.news if value("free")(each)]
        assert (await items(cat, NODE, to=ann.bare))[0] == ["free"]


async def test_a_contact_that_comes_online_gets_the_last_item(xmpp):
    account, wants = xmpp.fresh_user("bob"), [f"{NODE}+notify"]
    async with online(xmpp) as ann:
        async with online(xmpp, account, "one", features=wants) as one:
            await befriend(one, ann)
            await publish(ann, NODE, "free", to=ann.bare)
            # So the server knows what such a program wants. To one of an unknown kind an ejabberd
            # sends nothing: it asks first, and has passed the moment over when it is told.
            await one.message(value("free"), sender=ann.bare)
        await publish(ann, NODE, "busy", to=ann.bare)
        async with online(xmpp, account, "two", features=wants) as two:
            await two.message(value("busy"), sender=ann.bare)
            await two.sync()
            assert not [each for each in two.news if value("free")(each)]


async def test_strangers_learn_nothing_of_an_account_s_nodes(ann, bob):
    await publish(ann, NODE, "free", to=ann.bare)
    for asked in (lambda: items(bob, NODE, to=ann.bare), lambda: subscribe(bob, NODE, to=ann.bare)):
        assert await refused(asked()) == ("not-authorized", "presence-subscription-required")
    assert (await refused(publish(bob, NODE, "x", to=ann.bare)))[0] == "forbidden"
    assert (await refused(publish(bob, "urn:other", "x", to=ann.bare)))[0] in (
        "item-not-found",
        "forbidden",
    )


async def test_anybody_may_subscribe_to_an_open_node_of_an_account(ann, bob):
    await create(ann, NODE, to=ann.bare, access_model="open")
    await subscribe(bob, NODE, to=ann.bare)
    await publish(ann, NODE, "free", to=ann.bare)
    await bob.message(value("free"), sender=ann.bare)


async def test_an_account_says_that_it_has_nodes(ann):
    disco = ann.plugin["xep_0030"]
    info = (await disco.get_info(ann.bare, timeout=LIMIT))["disco_info"]
    assert ("pubsub", "pep") in {each[:2] for each in info["identities"]}
    await publish(ann, NODE, "free", to=ann.bare)
    found = await disco.get_items(ann.bare, timeout=LIMIT)
    assert NODE in {name for _, name, _ in found["disco_items"]["items"]}
