"""Publish-subscribe of the embedded server: its own choices, its limits, and many at once."""

import asyncio
import re

import pytest
from topics_client import (
    INFO,
    PUBSUB,
    SERVICE,
    ask,
    conditions,
    configure,
    create,
    done,
    fine,
    form,
    items,
    own,
    publish,
    subscribe,
    values,
)

ANN = "ann@localhost"
NODE = "urn:example:status"


# --- what XEP-0060 leaves open ------------------------------------------------------------------


async def test_features_are_those_that_are_there(ann):
    ann.send(f"<iq type='get' id='i' to='{SERVICE}'><query xmlns='{INFO}'/></iq>")
    told = re.findall("<feature var='([^']+)'", await ann.until("</iq>"))
    assert {each.partition("#")[2] for each in told if each.startswith(f"{PUBSUB}#")} == {
        *("access-open", "access-presence", "access-roster", "access-whitelist"),
        *("auto-create", "config-node", "config-node-max", "create-and-configure"),
        *("create-nodes", "delete-items", "delete-nodes", "instant-nodes", "item-ids"),
        *("last-published", "manage-subscriptions", "member-affiliation", "meta-data"),
        *("modify-affiliations", "multi-items", "outcast-affiliation", "persistent-items"),
        *("publish", "publish-only-affiliation", "publish-options"),
        *("publisher-affiliation", "purge-nodes", "retract-items", "retrieve-affiliations"),
        *("retrieve-default", "retrieve-items", "retrieve-subscriptions", "rsm", "subscribe"),
    }


async def test_each_field_of_the_form_holds_what_was_filled_in(ann):
    filled = {
        "title": "Hall",
        "description": "temperature",
        "type": "urn:v",
        "access_model": "roster",
        "roster_groups_allowed": "friends",
        "publish_model": "subscribers",
        "persist_items": "0",
        "max_items": "7",
        "item_expire": "60",
        "deliver_notifications": "0",
        "deliver_payloads": "0",
        "notify_retract": "0",
        "notify_delete": "0",
        "notify_config": "1",
        "send_last_published_item": "on_sub",
        "notification_type": "normal",
        "itemreply": "publisher",
    }
    await done(create(ann, "hall", **filled))
    told = await own(ann, "get", "<configure node='hall'/>")
    assert set(re.findall("var='pubsub#([a-z_]+)'", told)) == set(filled)
    for name, value in filled.items():
        assert re.search(f"pubsub#{name}'[^>]*>(<option>.*?</option>)*<value>{value}<", told)
    assert conditions(await configure(ann, "hall", access_model="authorize")) == (
        "not-acceptable",
        None,
    )


async def test_a_subscription_of_a_session_ends_with_it(sign_in, ann, bob):
    await done(create(ann, "n"))
    assert fine(await subscribe(bob, "n", bob.jid))
    listed = "<subscriptions node='n'/>"
    assert bob.jid in await own(ann, "get", listed)
    bob.writer.transport.abort()
    watching = await sign_in("bob", "c")
    assert bob.jid not in await own(ann, "get", listed)
    # Nor can one begin for a session that is not there.
    refused = await subscribe(watching, "n", "bob@localhost/gone")
    assert conditions(refused) == ("bad-request", "invalid-jid")


async def test_who_has_become_an_outcast_hears_and_says_nothing_more(ann, bob):
    await done(create(ann, "n", publish_model="open"))
    await done(subscribe(bob, "n", "bob@localhost"))
    banned = "<affiliation jid='bob@localhost' affiliation='outcast'/>"
    await done(own(ann, "set", f"<affiliations node='n'>{banned}</affiliations>"))
    assert "subscription='none'" in await bob.until("</message>")
    assert conditions(await publish(bob, "n", "1"))[0] == "forbidden"
    await done(publish(ann, "n", "2"))
    assert "<v " not in await bob.sync()


async def test_access_is_asked_for_at_each_event(ann, bob):
    await done(create(ann, "n"))
    await done(subscribe(bob, "n", "bob@localhost"))
    await done(publish(ann, "n", "1"))
    assert values(await bob.until("</message>")) == ["1"]
    await done(configure(ann, "n", access_model="whitelist"))
    await done(publish(ann, "n", "2"))
    assert values(await bob.sync()) == []
    member = "<affiliation jid='bob@localhost' affiliation='member'/>"
    await done(own(ann, "set", f"<affiliations node='n'>{member}</affiliations>"))
    await done(publish(ann, "n", "3"))
    assert values(await bob.until("</message>")) == ["3"]


async def test_affiliations_and_what_comes_with_them(ann, bob):
    await done(create(ann, "n", access_model="whitelist"))
    for affiliation, reads, publishes in (
        ("none", False, False),
        ("member", True, False),
        ("publish-only", False, True),
        ("publisher", True, True),
        ("owner", True, True),
    ):
        changed = f"<affiliation jid='bob@localhost' affiliation='{affiliation}'/>"
        assert fine(await own(ann, "set", f"<affiliations node='n'>{changed}</affiliations>"))
        assert fine(await items(bob, "n")) is reads
        assert fine(await publish(bob, "n", "1")) is publishes
    assert fine(await own(bob, "get", "<configure node='n'/>"))


async def test_a_node_keeps_an_owner(ann):
    await done(create(ann, "n"))
    gone = f"<affiliations node='n'><affiliation jid='{ANN}' affiliation='none'/></affiliations>"
    assert conditions(await own(ann, "set", gone))[0] == "not-acceptable"
    assert fine(await own(ann, "get", "<configure node='n'/>"))


async def test_where_all_publish_each_removes_its_own(ann, bob):
    await done(create(ann, "n", publish_model="open"))
    await done(publish(ann, "n", "1", "of-ann"))
    await done(publish(bob, "n", "2", "of-bob"))
    retract = "<retract node='n'><item id='%s'/></retract>"
    assert conditions(await ask(bob, "set", retract % "of-ann"))[0] == "forbidden"
    assert fine(await ask(bob, "set", retract % "of-bob"))
    assert fine(await ask(ann, "set", retract % "of-ann"))


async def test_what_is_told_of_removed_items(ann, bob):
    await done(create(ann, "quiet", notify_retract=0, max_items=1))
    await done(create(ann, "loud", notify_retract=1, max_items=1))
    for node in ("quiet", "loud"):
        await done(subscribe(bob, node, "bob@localhost"))
        await done(publish(ann, node, "1", "one"))
        await publish(ann, node, "2", "two")  # and the first has to go
        retract = f"<retract node='{node}' notify='%s'><item id='two'/></retract>"
        await done(ask(ann, "set", retract % ("1" if node == "quiet" else "0")))
        await done(own(ann, "set", f"<purge node='{node}'/>"))
    heard = await bob.sync()
    told = re.findall("<items node='([a-z]+)'><retract id='([a-z]+)'/>", heard)
    assert told == [("quiet", "two"), ("loud", "one"), ("loud", "two")]
    assert re.findall("<purge node='([a-z]+)'/>", heard) == ["loud"]


async def test_subscribers_hear_of_what_the_configuration_says(ann, bob):
    for told in (0, 1):
        node = f"n{told}"
        options = {"notify_config": told, "notify_delete": told, "deliver_payloads": told}
        await done(create(ann, node, **options))
        await done(subscribe(bob, node, "bob@localhost"))
        await done(configure(ann, node, title="new"))
        await done(own(ann, "set", f"<delete node='{node}'/>"))
    await done(create(ann, "silent", deliver_notifications=0))
    await done(subscribe(bob, "silent", "bob@localhost"))
    await done(publish(ann, "silent", "1"))
    await done(create(ann, "bare", notify_config=1, deliver_payloads=0))
    await done(subscribe(bob, "bare", "bob@localhost"))
    await done(configure(ann, "bare", title="new"))
    heard = await bob.sync()
    assert re.findall("<(configuration|delete) node='([a-z0-9]+)'(/?)>", heard) == [
        ("configuration", "n1", ""),
        ("delete", "n1", "/"),
        ("configuration", "bare", "/"),
    ]
    assert values(heard) == []


async def test_a_node_that_only_signals(ann, bob):
    """Neither kept nor told: nothing is published but that something was."""
    await done(create(ann, "n", persist_items=0, deliver_payloads=0))
    await done(subscribe(bob, "n", "bob@localhost"))
    assert conditions(await publish(ann, "n", "1")) == ("bad-request", "item-forbidden")
    await done(ask(ann, "set", "<publish node='n'/>"))
    assert "<items node='n'/>" in await bob.until("</message>")


async def test_who_may_not_publish_learns_nothing_of_items(ann, bob):
    await done(create(ann, "n", access_model="whitelist"))
    await done(publish(ann, "n", "1", "there"))
    for item in ("there", "elsewhere"):
        answer = await ask(bob, "set", f"<retract node='n'><item id='{item}'/></retract>")
        assert conditions(answer)[0] == "forbidden"


async def test_disco_tells_of_a_node_to_those_who_may_read_it(ann, bob):
    await done(create(ann, "n", access_model="whitelist", title="Hall"))
    await done(publish(ann, "n", "1", "one"))

    async def told(client, query):
        client.send(f"<iq type='get' id='d' to='{SERVICE}'>{query}</iq>")
        return await client.until("<iq[^>]*id='d'.*?</iq>")

    items_of = "http://jabber.org/protocol/disco#items"
    for query, shown in (
        (f"<query xmlns='{INFO}' node='n'/>", "<value>Hall</value>"),
        (f"<query xmlns='{items_of}' node='n'/>", "name='one'"),
    ):
        assert shown in await told(ann, query)
        assert conditions(await told(bob, query)) == ("not-allowed", "closed-node")
    assert "node='n'" in await told(ann, f"<query xmlns='{items_of}'/>")
    assert "node='n'" not in await told(bob, f"<query xmlns='{items_of}'/>")


async def test_lists_of_ones_own(ann, bob):
    for node in ("n", "m"):
        await done(create(ann, node))
        await done(subscribe(ann, node, ANN))
    await done(subscribe(bob, "n", "bob@localhost"))
    await done(subscribe(bob, "n", bob.jid))
    for content in ("<subscriptions/>", "<subscriptions node='n'/>"):
        told = await ask(bob, "get", content)
        assert re.findall("node='([a-z]+)' jid='([^']+)'", told) == [
            ("n", "bob@localhost"),
            ("n", bob.jid),
        ]
    assert "<affiliation " not in await ask(bob, "get", "<affiliations/>")
    told = await ask(ann, "get", "<affiliations node='m'/>")
    assert re.findall("<affiliation node='([a-z]+)'", told) == ["m"]


async def test_an_owner_subscribes_whom_the_node_is_for(ann, bob):
    await done(create(ann, "n", access_model="whitelist", send_last_published_item="never"))
    subscribed = (
        "<subscriptions node='n'>"
        "<subscription jid='bob@localhost' subscription='subscribed'/></subscriptions>"
    )
    assert conditions(await own(ann, "set", subscribed)) == ("not-allowed", "closed-node")
    member = "<affiliation jid='bob@localhost' affiliation='member'/>"
    await done(own(ann, "set", f"<affiliations node='n'>{member}</affiliations>"))
    await done(own(ann, "set", subscribed))
    await done(publish(ann, "n", "1"))
    assert values(await bob.until("</message>")) == ["1"]


async def test_subscribers_hear_which_items_a_smaller_node_has_lost(ann, bob):
    await done(create(ann, "n"))
    for item in "abc":
        await done(publish(ann, "n", item, item))
    await done(subscribe(bob, "n", "bob@localhost"))
    await done(configure(ann, "n", max_items=1))
    assert re.findall("<retract id='([a-z])'/>", await bob.sync()) == ["a", "b"]


async def test_what_the_publisher_believes_of_a_node(ann):
    """Options that are unknown can't be true (section 7.1.5)."""
    for options in ({"dance": "1"}, {"max_items": "7"}):
        given = f"<publish-options>{form('publish-options', options)}</publish-options>"
        item = "<item><v xmlns='urn:v'>1</v></item>"
        answer = await ask(ann, "set", f"<publish node='n'>{item}</publish>{given}")
        assert fine(answer) is ("max_items" in options)
        if not fine(answer):
            assert conditions(answer) == ("conflict", "precondition-not-met")
    assert "<value>7</value>" in await own(ann, "get", "<configure node='n'/>")


@pytest.mark.server(max_stanza=20_000)
async def test_a_long_answer_is_cut_and_says_so(ann):
    await done(create(ann, "n"))
    for number in range(6):
        await done(publish(ann, "n", f"{number}" * 4_000, f"id-{number}"))
    rsm = "<set xmlns='http://jabber.org/protocol/rsm'>%s</set>"
    first = await items(ann, "n")
    assert re.findall("<item id='(id-[0-9])'", first) == ["id-0", "id-1"]
    assert "<last>id-1</last><count>6</count>" in first
    then = await items(ann, "n", more=rsm % "<after>id-1</after>")
    assert re.findall("<item id='(id-[0-9])'", then) == ["id-2", "id-3"]
    assert "<first index='2'>id-2</first>" in then
    newest = await ask(ann, "get", "<items node='n' max_items='4'/>")
    assert re.findall("<item id='(id-[0-9])'", newest) == ["id-4", "id-5"]
    refused = await items(ann, "n", more=rsm % "<after>id-9</after>")
    assert conditions(refused)[0] == "item-not-found"


async def test_the_service_takes_requests_and_nothing_else(ann):
    ann.send(f"<message to='{SERVICE}' id='m'><body>hello</body></message>")
    assert conditions(await ann.until("</message>"))[0] == "service-unavailable"
    assert conditions(await ask(ann, "set", "<dance/>"))[0] == "bad-request"
    assert conditions(await ask(ann, "get", "<default/>"))[1] == "unsupported"


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.server(max_nodes=2)
async def test_one_account_makes_no_more_nodes_than_it_may(ann, bob):
    assert fine(await create(ann, "one"))
    assert fine(await publish(ann, NODE, "1", to=ANN))
    assert conditions(await publish(ann, "two", "1"))[0] == "resource-constraint"
    assert fine(await create(bob, "two"))
    await done(own(ann, "set", "<delete node='one'/>"))
    assert fine(await create(ann, "three"))


@pytest.mark.server(max_item=1_000)
async def test_an_item_is_no_larger_than_it_may_be(ann):
    refused = await publish(ann, "n", "x" * 1_000)
    assert conditions(refused) == ("not-acceptable", "payload-too-big")
    assert conditions(await items(ann, "n"))[0] == "item-not-found"  # nor is there a node
    assert fine(await publish(ann, "n", "x" * 900))


@pytest.mark.server(max_topic_bytes=10_000)
async def test_one_account_publishes_no_more_than_it_may(ann):
    await done(create(ann, "n", max_items=2))
    await done(create(ann, "transient", persist_items=0))
    for node in ("n", "n", "transient", "transient"):
        assert fine(await publish(ann, node, "x" * 3_000))
    assert conditions(await publish(ann, "other", "x" * 3_000))[0] == "resource-constraint"
    await done(own(ann, "set", "<purge node='n'/>"))
    assert fine(await publish(ann, "n", "x" * 3_000))


@pytest.mark.server(max_items=3, max_subscribers=1, max_affiliations=2)
async def test_a_node_has_no_more_items_subscribers_and_affiliations_than_it_may(ann, bob):
    assert conditions(await create(ann, "n", max_items=4))[0] == "not-acceptable"
    await done(create(ann, "n", max_items="max"))
    for number in range(4):
        await done(publish(ann, "n", str(number)))
    assert values(await items(ann, "n")) == ["1", "2", "3"]
    assert fine(await subscribe(ann, "n", ANN))
    assert conditions(await subscribe(bob, "n", "bob@localhost")) == (
        "resource-constraint",
        "too-many-subscriptions",
    )
    named = "<affiliations node='n'><affiliation jid='%s' affiliation='member'/></affiliations>"
    assert fine(await own(ann, "set", named % "bob@localhost"))
    assert conditions(await own(ann, "set", named % "cat@localhost"))[0] == "resource-constraint"


async def test_names_are_no_longer_than_they_may_be(ann):
    assert conditions(await create(ann, "n" * 1_024))[0] == "not-acceptable"
    assert conditions(await publish(ann, "n", "1", "i" * 1_024))[0] == "not-acceptable"
    assert conditions(await publish(ann, "", "1")) == ("bad-request", "nodeid-required")


async def test_two_hundred_hear_of_one_item(sign_in, ann):
    await done(create(ann, "n"))
    clients = await asyncio.gather(*(sign_in("bob", f"r{n}") for n in range(200)))
    await done(subscribe(clients[0], "n", "bob@localhost"))
    await done(publish(ann, "n", "1"))
    for each in clients:
        assert values(await each.until("</v>.*?</message>")) == ["1"]
