"""Rooms of the embedded server: what is this server's own choice, its limits, and many at once."""

import asyncio
import re

import pytest

ROOM = "fleet@conference.localhost"
MUC = "http://jabber.org/protocol/muc"
JOIN = f"<x xmlns='{MUC}'/>"
SUBMIT = f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'>%s</x></query>"


async def enter(client, nick, room=ROOM, join=JOIN):
    """Give what comes up to the subject, which is the last of it; or the refusal."""
    client.send(f"<presence to='{room}/{nick}'>{join}</presence>")
    return await client.until("<subject/></message>|</subject>.*?</message>|</error></presence>")


async def ask(client, kind, payload, to=ROOM):
    client.send(f"<iq type='{kind}' id='q' to='{to}'>{payload}</iq>")
    return await client.until("<iq [^>]*id='q'[^>]*(/>|>.*?</iq>)")


async def done(asked):
    """For what is asked for on the way to something else: it has to be granted."""
    answer = await asked
    assert "type='result'" in answer, answer


def field(name, value):
    return f"<field var='muc#roomconfig_{name}'><value>{value}</value></field>"


async def made(client, nick, *fields, room=ROOM):
    await enter(client, nick, room)
    assert "type='result'" in await ask(client, "set", SUBMIT % "".join(fields), room)


def condition(text):
    return re.search("<([a-z-]+) xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'", text)[1]


# --- what XEP-0045 leaves open ------------------------------------------------------------------


async def test_a_room_is_locked_until_its_owner_has_configured_it(ann, bob):
    assert "<status code='201'/>" in await enter(ann, "ann")
    assert condition(await enter(bob, "bob")) == "item-not-found"
    assert ROOM not in await ask(
        bob, "get", "<query xmlns='http://jabber.org/protocol/disco#items'/>", ROOM.split("@")[1]
    )
    await done(ask(ann, "set", SUBMIT % ""))
    assert "<status code='110'/>" in await enter(bob, "bob")


async def test_a_room_whose_configuration_is_cancelled_is_gone(ann, bob):
    await enter(ann, "ann")
    cancelled = (SUBMIT % "").replace("submit", "cancel")
    assert "type='result'" in await ask(ann, "set", cancelled)
    assert "<status code='201'/>" in await enter(bob, "bob")


async def test_a_presence_of_one_who_is_not_there_is_answered_with_a_kick(ann, bob):
    """It takes itself for an occupant: this tells it better than to let it in silently."""
    await made(ann, "ann")
    for to in (f"{ROOM}/bob", "nothing@conference.localhost/bob"):
        bob.send(f"<presence to='{to}'/>")
        kicked = await bob.until("</presence>")
        assert "type='unavailable'" in kicked
        assert re.findall("code='([0-9]+)'", kicked) == ["110", "307", "333"]


async def test_what_only_a_room_says_is_left_out(ann, bob):
    await made(ann, "ann")
    forged = f"<x xmlns='{MUC}#user'><status code='307'/><item affiliation='owner'/></x>"
    await enter(bob, "bob", join=JOIN + forged)
    shown = await ann.until("</presence>")
    assert "307" not in shown
    assert "owner" not in shown
    bob.send(f"<message type='groupchat' to='{ROOM}'><body>hi</body>{forged}</message>")
    assert "307" not in await ann.until("<body>hi</body>.*?</message>")
    await enter(bob, "bob")  # and in the history
    bob.send(f"<message type='chat' to='{ROOM}/ann'><body>psst</body>{forged}</message>")
    assert "307" not in await ann.until("<body>psst</body>.*?</message>")


async def test_no_requests_are_passed_on_between_occupants(ann, bob):
    await made(ann, "ann")
    await enter(bob, "bob")
    ping = "<ping xmlns='urn:xmpp:ping'/>"
    assert condition(await ask(bob, "get", ping, f"{ROOM}/ann")) == "service-unavailable"
    assert condition(await ask(bob, "get", ping, f"{ROOM}/nobody")) == "item-not-found"


async def test_history_since_a_moment(ann, bob):
    await made(ann, "ann")
    ann.send(f"<message type='groupchat' to='{ROOM}'><body>old</body></message>")
    await ann.sync()
    for since, comes in (("2020-01-01T00:00:00Z", True), ("2100-01-01T00:00:00Z", False)):
        join = f"<x xmlns='{MUC}'><history since='{since}'/></x>"
        assert ("<body>old</body>" in await enter(bob, "bob", join=join)) is comes
    join = f"<x xmlns='{MUC}'><history since='yesterday'/></x>"
    assert condition(await enter(bob, "bob", join=join)) == "bad-request"


async def test_what_asks_not_to_be_kept_is_not(ann, bob):
    await made(ann, "ann")
    hint = "<no-store xmlns='urn:xmpp:hints'/>"
    ann.send(f"<message type='groupchat' to='{ROOM}'><body>now</body>{hint}</message>")
    await ann.sync()
    assert "<body>" not in await enter(bob, "bob")


async def test_features_are_those_that_are_there(ann):
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    await made(ann, "ann")
    offered = [
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items",
        "urn:xmpp:ping",
        MUC,
        f"{MUC}#self-ping-optimization",
        f"{MUC}#stable_id",
    ]
    told = await ask(ann, "get", info, "conference.localhost")
    assert re.findall("<feature var='([^']+)'", told) == offered
    told = await ask(ann, "get", info)
    assert re.findall("<feature var='([^']+)'", told) == [
        *offered,
        "muc_temporary",
        "muc_public",
        "muc_open",
        "muc_unmoderated",
        "muc_semianonymous",
        "muc_unsecured",
    ]


async def test_each_field_of_the_form_holds_what_was_filled_in(ann):
    await made(ann, "ann")
    filled = {
        "roomname": "Fleet",
        "roomdesc": "all workers",
        "persistentroom": "1",
        "publicroom": "0",
        "membersonly": "1",
        "moderatedroom": "1",
        "whois": "anyone",
        "changesubject": "0",
        "allowinvites": "1",
        "maxusers": "7",
    }
    form = await ask(ann, "get", f"<query xmlns='{MUC}#owner'/>")
    assert set(re.findall("var='muc#roomconfig_([a-z]+)'", form)) == set(filled)
    await done(ask(ann, "set", SUBMIT % "".join(field(*each) for each in filled.items())))
    form = await ask(ann, "get", f"<query xmlns='{MUC}#owner'/>")
    for name, value in filled.items():
        assert re.search(
            f"muc#roomconfig_{name}'[^>]*>(<option>.*?</option>)*<value>{value}<", form
        )
    info = await ask(ann, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    for feature in ("persistent", "hidden", "membersonly", "moderated", "nonanonymous"):
        assert f"muc_{feature}" in info


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (field("whois", "nobody"), "not-acceptable"),
        (field("persistentroom", "maybe"), "not-acceptable"),
        (field("maxusers", "0"), "not-acceptable"),
        (field("maxusers", "99999"), "not-acceptable"),
        ("<field var='FORM_TYPE'><value>urn:other</value></field>", "bad-request"),
    ],
)
async def test_a_form_that_cannot_be(ann, bob, fields, expected):
    await enter(ann, "ann")
    assert condition(await ask(ann, "set", SUBMIT % fields)) == expected
    assert condition(await enter(bob, "bob")) == "item-not-found"  # still locked


async def test_a_list_of_changes_is_done_whole_or_not_at_all(ann, bob):
    await made(ann, "ann")
    await enter(bob, "bob")
    items = "<item nick='bob' role='none'/><item nick='nobody' role='none'/>"
    refused = await ask(ann, "set", f"<query xmlns='{MUC}#admin'>{items}</query>")
    assert condition(refused) == "item-not-found"
    await done(ask(bob, "get", "<ping xmlns='urn:xmpp:ping'/>", f"{ROOM}/bob"))


async def test_invitations_that_cannot_be(ann, bob):
    await made(ann, "ann")

    async def refused(client, kind, to):
        extension = f"<x xmlns='{MUC}#user'><{kind} to='{to}'/></x>"
        client.send(f"<message to='{ROOM}'>{extension}</message>")
        return condition(await client.until("<message[^>]*type='error'.*?</message>"))

    ban = f"<query xmlns='{MUC}#admin'><item jid='cat@localhost' affiliation='outcast'/></query>"
    await done(ask(ann, "set", ban))
    assert await refused(ann, "invite", "cat@localhost") == "forbidden"
    assert await refused(ann, "invite", "localhost") == "bad-request"
    assert await refused(ann, "invite", "a b@localhost") == "jid-malformed"
    assert await refused(bob, "invite", "bob@localhost") == "not-acceptable"  # is not there
    assert await refused(bob, "decline", "cat@localhost") == "item-not-found"
    assert await refused(bob, "dance", "cat@localhost") == "bad-request"


async def test_lists_are_for_those_whom_they_concern(ann, bob):
    await made(ann, "ann")
    listing = f"<query xmlns='{MUC}#admin'><item %s/></query>"
    members, moderators = listing % "affiliation='member'", listing % "role='moderator'"
    grant = f"<query xmlns='{MUC}#admin'><item jid='bob@localhost' affiliation='member'/></query>"
    await done(ask(ann, "set", grant))
    assert condition(await ask(bob, "get", members)) == "forbidden"  # addresses are hidden here
    await done(ask(ann, "set", SUBMIT % field("whois", "anyone")))
    assert "jid='bob@localhost'" in await ask(bob, "get", members)
    assert condition(await ask(bob, "get", moderators)) == "forbidden"
    await enter(bob, "bob")
    assert condition(await ask(bob, "get", moderators)) == "forbidden"
    assert "nick='ann'" in await ask(ann, "get", moderators)


async def test_who_is_there_is_told_to_those_who_may_be(ann, bob):
    await made(ann, "ann")
    items = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
    assert f"{ROOM}/ann" not in await ask(bob, "get", items)
    await enter(bob, "bob")
    assert f"{ROOM}/ann" in await ask(bob, "get", items)


async def test_a_room_keeps_an_owner(ann, bob):
    await made(ann, "ann")
    change = f"<query xmlns='{MUC}#admin'>%s</query>"
    item = "<item jid='%s@localhost' affiliation='%s'/>"
    await done(ask(ann, "set", change % (item % ("bob", "owner"))))
    both = item % ("bob", "none") + item % ("ann", "none")
    assert condition(await ask(ann, "set", change % both)) == "conflict"
    owners = f"<query xmlns='{MUC}#admin'><item affiliation='owner'/></query>"
    told = await ask(ann, "get", owners)
    assert re.findall("jid='([^']+)'", told) == ["ann@localhost", "bob@localhost"]
    assert "type='result'" in await ask(ann, "set", change % (item % ("ann", "none")))
    assert condition(await ask(bob, "set", change % (item % ("bob", "none")))) == "conflict"


async def test_an_item_changes_one_thing(ann):
    await made(ann, "ann")
    for item in (
        "<item jid='bob@localhost' affiliation='member' role='none'/>",
        "<item jid='bob@localhost'/>",
        "<item affiliation='member'/>",
        "",
    ):
        refused = await ask(ann, "set", f"<query xmlns='{MUC}#admin'>{item}</query>")
        assert condition(refused) == "bad-request"


# --- limits -------------------------------------------------------------------------------------


@pytest.mark.server(max_rooms=2)
async def test_one_account_makes_no_more_rooms_than_it_may(ann, bob):
    rooms = [f"room{n}@conference.localhost" for n in range(3)]
    await made(ann, "ann", field("persistentroom", "1"), room=rooms[0])
    ann.send(f"<presence type='unavailable' to='{rooms[0]}/ann'/>")  # it stays, and counts
    await made(ann, "ann", room=rooms[1])
    assert condition(await enter(ann, "ann", rooms[2])) == "resource-constraint"
    assert "code='201'" in await enter(bob, "bob", rooms[2])
    ann.send(f"<presence type='unavailable' to='{rooms[1]}/ann'/>")
    await ann.sync()
    assert "code='201'" in await enter(ann, "ann", rooms[1])


@pytest.mark.server(max_occupants=2)
async def test_a_room_holds_no_more_sessions_than_the_service_allows(sign_in):
    clients = [await sign_in("ann", f"r{n}") for n in range(3)]
    await made(clients[0], "n0")
    await enter(clients[1], "n1")
    refused = await enter(clients[2], "n2")  # an owner, whom max_users would not keep out
    assert condition(refused) == "service-unavailable"
    assert "type='wait'" in refused


async def test_owners_and_admins_enter_a_room_that_is_full_for_others(sign_in, ann, bob):
    await made(ann, "ann", field("maxusers", "1"))
    assert condition(await enter(bob, "bob")) == "service-unavailable"
    again = await sign_in("ann", "again")
    assert "code='110'" in await enter(again, "second")


@pytest.mark.server(max_room_stanza=1_000)
async def test_what_is_too_large_for_a_room(ann, bob):
    await made(ann, "ann")
    large = "x" * 1_001
    ann.send(f"<message id='m' type='groupchat' to='{ROOM}'><body>{large}</body></message>")
    assert condition(await ann.until("<message[^>]*type='error'.*?</message>")) == (
        "not-acceptable"
    )
    ann.send(f"<presence to='{ROOM}/ann'><status>{large}</status></presence>")
    assert condition(await ann.until("<presence[^>]*type='error'.*?</presence>")) == (
        "not-acceptable"
    )
    # Who goes is gone all the same: here by the room, and with the session.
    for to in (f" to='{ROOM}/bob'", ""):
        await enter(bob, "bob")
        bob.send(f"<presence type='unavailable'{to}><status>{large}</status></presence>")
        gone = await ann.until("<presence[^>]*type='unavailable'.*?</presence>")
        assert f"from='{ROOM}/bob'" in gone
        assert "<status>" not in gone


@pytest.mark.server(max_affiliations=2)
async def test_a_room_keeps_no_more_affiliations_than_it_may(ann):
    await made(ann, "ann")
    change = f"<query xmlns='{MUC}#admin'><item jid='%s' affiliation='member'/></query>"
    assert "type='result'" in await ask(ann, "set", change % "bob@localhost")
    refused = await ask(ann, "set", change % "cat@localhost")
    assert condition(refused) == "resource-constraint"


# --- many ---------------------------------------------------------------------------------------


async def test_two_hundred_in_one_room(sign_in):
    """Each sees all; a message reaches all; and one that goes is seen by all."""
    clients = await asyncio.gather(*(sign_in("ann", f"r{n}", presence="") for n in range(200)))
    await made(clients[0], "n0")
    await asyncio.gather(*(enter(each, f"n{n}") for n, each in enumerate(clients) if n))
    for each in clients:
        each.seen = await each.sync()
    assert len(set(re.findall(f"from='{ROOM}/(n[0-9]+)'", clients[0].seen))) == 199
    clients[7].send(f"<message type='groupchat' to='{ROOM}'><body>all</body></message>")
    for each in clients:
        assert f"from='{ROOM}/n7'" in await each.until("<body>all</body></message>")
    clients[7].writer.transport.abort()
    for each in clients[:7] + clients[8:]:
        assert f"from='{ROOM}/n7' type='unavailable'" in await each.until("</presence>")
