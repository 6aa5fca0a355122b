"""Rooms (XEP-0045), by a client that is not ours: the embedded server and ejabberd."""

import secrets

import pytest
from other_client import (
    CLIENT,
    LIMIT,
    USER,
    available,
    codes,
    condition,
    item,
    of_type,
    online,
    with_body,
    with_codes,
    with_item,
)
from slixmpp.exceptions import IqError, PresenceError

SERVICE = "conference.localhost"
MUC = "http://jabber.org/protocol/muc"
OWNER = "http://jabber.org/protocol/muc#owner"


@pytest.fixture
def room():
    return f"room-{secrets.token_hex(4)}@{SERVICE}"


async def enter(client, room, nick, **history):
    """Join, and give own presence, subject, occupants and history."""
    muc = client.plugin["xep_0045"]
    return await muc.join_muc_wait(room, nick, timeout=LIMIT, **history)


async def configure(client, room, **fields):
    """Fill in the form; without fields: accept what it says."""
    muc = client.plugin["xep_0045"]
    form = await muc.get_room_config(room, timeout=LIMIT)
    for name, value in fields.items():
        form.get_fields()[f"muc#roomconfig_{name}"]["value"] = value
    form["type"] = "submit"
    await muc.set_room_config(room, form, timeout=LIMIT)


async def made(client, room, nick, **fields):
    """Make a room and configure it."""
    await enter(client, room, nick)
    await configure(client, room, **fields)


async def refused(client, room, nick):
    """The condition with which an entry is refused."""
    with pytest.raises(PresenceError) as caught:
        await enter(client, room, nick)
    return caught.value.condition


# --- coming and going ---------------------------------------------------------------------------


async def test_who_enters_first_makes_the_room_and_owns_it(ann, room):
    presence, subject, others, history = await enter(ann, room, "ann")
    assert {"110", "201"} <= codes(presence.xml)
    assert item(presence.xml).attrib == {
        "affiliation": "owner",
        "role": "moderator",
        "jid": ann.full,
    }
    assert [each["from"].resource for each in others] == ["ann"]
    assert not subject["subject"]
    assert history == []


async def test_all_see_who_comes_and_goes(ann, bob, room):
    await made(ann, room, "ann", whois="anyone")
    presence, _, others, _ = await enter(bob, room, "bob")
    assert {"100", "110"} <= codes(presence.xml)
    assert "201" not in codes(presence.xml)
    assert {each["from"].resource for each in others} == {"ann", "bob"}
    assert item(others[0].xml).get("jid") == ann.full
    came = await ann.presence(available, sender=f"{room}/bob")
    assert item(came).attrib == {
        "affiliation": "none",
        "role": "participant",
        "jid": bob.full,
    }
    bob.send_presence(pto=f"{room}/bob", ptype="unavailable")
    gone = await ann.presence(of_type("unavailable"), sender=f"{room}/bob")
    assert item(gone).get("role") == "none"
    assert "110" in codes(await bob.presence(of_type("unavailable"), sender=f"{room}/bob"))


async def test_an_occupant_whose_session_dies_is_gone(xmpp, ann, room):
    await made(ann, room, "ann")
    async with online(xmpp, resource="b") as bob:
        await enter(bob, room, "bob")
        await ann.presence(available, sender=f"{room}/bob")
        bob.transport.abort()
        await ann.presence(of_type("unavailable"), sender=f"{room}/bob")


async def test_a_new_presence_of_an_occupant_is_shown(ann, bob, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    bob.xml(
        f"<presence to='{room}/bob'><show>dnd</show><status>busy: 3 of 4</status>"
        "<node xmlns='urn:jabot:0' load='3'/></presence>"
    )
    shown = await ann.presence(
        lambda xml: xml.findtext(f"{CLIENT}show") == "dnd", sender=f"{room}/bob"
    )
    assert shown.findtext(f"{CLIENT}status") == "busy: 3 of 4"
    assert shown.find("{urn:jabot:0}node").get("load") == "3"


async def test_a_nickname_of_somebody_else_is_refused(ann, bob, room):
    await made(ann, room, "worker")
    assert await refused(bob, room, "worker") == "conflict"
    await enter(bob, room, "bob")
    bob.send_presence(pto=f"{room}/worker")
    error = await bob.presence(of_type("error"), sender=f"{room}/worker")
    assert condition(error) == "conflict"
    await bob.plugin["xep_0199"].ping(f"{room}/bob", timeout=LIMIT)  # still there


async def test_one_account_is_there_under_many_nicknames(xmpp, ann, room):
    await made(ann, room, "ann", whois="anyone")
    pool = xmpp.fresh_user("pool")
    async with online(xmpp, pool, "one") as one, online(xmpp, pool, "two") as two:
        await enter(one, room, "one")
        await enter(two, room, "two")
        for each, nick in ((one, "one"), (two, "two")):
            came = await ann.presence(available, sender=f"{room}/{nick}")
            assert item(came).get("jid") == each.full
        one.transport.abort()
        await ann.presence(of_type("unavailable"), sender=f"{room}/one")
        two.send_message(room, "still here", mtype="groupchat")
        await ann.message(with_body("still here"), sender=f"{room}/two")


async def test_sessions_of_one_account_may_share_a_nickname(xmpp, ann, room):
    await made(ann, room, "ann")
    account = xmpp.fresh_user("bob")
    async with online(xmpp, account, "desk") as desk, online(xmpp, account, "phone") as phone:
        await enter(desk, room, "bob")
        await enter(phone, room, "bob")
        ann.send_message(room, "to all", mtype="groupchat")
        await desk.message(with_body("to all"))
        await phone.message(with_body("to all"))
        desk.send_presence(pto=f"{room}/bob", ptype="unavailable")
        await desk.presence(of_type("unavailable"), with_codes("110"), sender=f"{room}/bob")
        phone.send_message(room, "I stay", mtype="groupchat")
        await ann.message(with_body("I stay"), sender=f"{room}/bob")
        await ann.sync()
        assert not [each for each in ann.news if each.get("type") == "unavailable"]
        phone.transport.abort()
        await ann.presence(of_type("unavailable"), sender=f"{room}/bob")


async def test_another_nickname(ann, bob, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    assert await bob.plugin["xep_0045"].set_self_nick(room, "robert", timeout=LIMIT) == "robert"
    left = await ann.presence(of_type("unavailable"), sender=f"{room}/bob")
    assert codes(left) == {"303"}
    assert item(left).get("nick") == "robert"
    await ann.presence(available, sender=f"{room}/robert")
    bob.transport.abort()
    await ann.presence(of_type("unavailable"), sender=f"{room}/robert")


async def test_who_enters_again_is_told_all_again(ann, bob, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    ann.send_message(room, "one", mtype="groupchat")
    await bob.message(with_body("one"))
    _, _, others, history = await enter(bob, room, "bob")
    assert {each["from"].resource for each in others} == {"ann", "bob"}
    assert [each["body"] for each in history] == ["one"]


async def test_a_ping_to_oneself_tells_whether_one_is_there(ann, bob, room):
    """XEP-0410: what a client asks after a silence, or after it was disconnected."""
    await made(ann, room, "ann")
    await ann.plugin["xep_0199"].ping(f"{room}/ann", timeout=LIMIT)
    with pytest.raises(IqError) as caught:
        await bob.plugin["xep_0199"].ping(f"{room}/bob", timeout=LIMIT)
    assert caught.value.condition == "not-acceptable"


async def test_a_nickname_is_needed(ann, room):
    ann.xml(f"<presence to='{room}'><x xmlns='{MUC}'/></presence>")
    assert condition(await ann.presence(of_type("error"), sender=room)) == "jid-malformed"


# --- what is said -------------------------------------------------------------------------------


async def test_a_message_reaches_all_and_comes_back(ann, bob, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    bob.xml(
        f"<message to='{room}' type='groupchat' id='m1'><body>uptime</body>"
        "<frames xmlns='urn:jabot:0'>[]</frames></message>"
    )
    for each in (ann, bob):
        said = await each.message(with_body("uptime"), sender=f"{room}/bob")
        assert said.get("id") == "m1"
        assert said.get("type") == "groupchat"
        assert said.findtext("{urn:jabot:0}frames") == "[]"


async def test_a_private_message(ann, bob, cat, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    await enter(cat, room, "cat")
    bob.send_message(f"{room}/ann", "psst", mtype="chat")
    heard = await ann.message(with_body("psst"), sender=f"{room}/bob")
    assert heard.find(f"{USER}x") is not None
    bob.send_message(f"{room}/nobody", "psst", mtype="chat")
    error = await bob.message(of_type("error"), sender=f"{room}/nobody")
    assert condition(error) == "item-not-found"
    await cat.sync()
    assert not [each for each in cat.news if with_body("psst")(each)]


async def test_who_is_not_there_says_nothing(ann, bob, room):
    await made(ann, room, "ann")
    for to, kind in ((room, "groupchat"), (f"{room}/ann", "chat")):
        bob.send_message(to, "hello", mtype=kind)
        error = await bob.message(of_type("error"), sender=to)
        assert condition(error) == "not-acceptable"


async def test_history_comes_late_and_only_as_much_as_is_wanted(ann, bob, room):
    await made(ann, room, "ann")
    for number in range(25):
        ann.send_message(room, f"line {number}", mtype="groupchat")
    await ann.message(with_body("line 24"))
    ann.xml(f"<message to='{room}' type='groupchat'><frames xmlns='urn:jabot:0'/></message>")
    for wanted, lines in (
        ({}, range(5, 25)),
        ({"maxstanzas": 3}, range(22, 25)),
        ({"maxstanzas": 0}, ()),
        ({"maxchars": 0}, ()),
        ({"seconds": 3600}, range(5, 25)),
    ):
        _, subject, _, history = await enter(bob, room, "bob", **wanted)
        assert [each["body"] for each in history] == [f"line {n}" for n in lines]
        assert all(each["delay"]["from"] == room for each in history)
        assert all(each["from"] == f"{room}/ann" for each in history)
        assert not subject["subject"]
        bob.send_presence(pto=f"{room}/bob", ptype="unavailable")
        await bob.presence(of_type("unavailable"))


async def test_the_subject(ann, bob, cat, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    ann.plugin["xep_0045"].set_subject(room, "lifting")
    await bob.message(lambda xml: xml.findtext(f"{CLIENT}subject") == "lifting")
    _, subject, _, history = await enter(cat, room, "cat")
    assert subject["subject"] == "lifting"
    assert subject["from"] == f"{room}/ann"
    assert history == []
    await configure(ann, room, changesubject=False)
    bob.plugin["xep_0045"].set_subject(room, "dropping")
    assert condition(await bob.message(of_type("error"), sender=room)) == "forbidden"


# --- configuration ------------------------------------------------------------------------------


async def test_an_instant_room(ann, bob, room):
    await enter(ann, room, "ann")
    await ann.ask(
        "set", room, f"<query xmlns='{OWNER}'><x xmlns='jabber:x:data' type='submit'/></query>"
    )
    await enter(bob, room, "bob")


async def test_only_members_enter_a_members_only_room(ann, bob, cat, room):
    await made(ann, room, "ann", membersonly=True)
    assert await refused(bob, room, "bob") == "registration-required"
    muc = ann.plugin["xep_0045"]
    await muc.set_affiliation(room, "member", jid=bob.bare, timeout=LIMIT)
    assert await muc.get_affiliation_list(room, "member", timeout=LIMIT) == [bob.bare]
    presence, _, _, _ = await enter(bob, room, "bob")
    assert item(presence.xml).get("affiliation") == "member"
    await muc.set_affiliation(room, "none", jid=bob.bare, timeout=LIMIT)
    gone = await bob.presence(of_type("unavailable"), sender=f"{room}/bob")
    assert "321" in codes(gone)
    assert await refused(cat, room, "cat") == "registration-required"


async def test_a_room_that_becomes_members_only_keeps_members_only(ann, bob, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    await configure(ann, room, membersonly=True)
    gone = await bob.presence(of_type("unavailable"), sender=f"{room}/bob")
    assert "322" in codes(gone)


async def test_in_a_semi_anonymous_room_only_moderators_see_addresses(ann, bob, cat, room):
    await made(ann, room, "ann", whois="moderators")
    presence, _, _, _ = await enter(bob, room, "bob")
    assert "100" not in codes(presence.xml)
    _, _, others, _ = await enter(cat, room, "cat")
    shown = {each["from"].resource: item(each.xml).get("jid") for each in others}
    assert shown["ann"] is None
    assert shown["bob"] is None
    came = await ann.presence(available, sender=f"{room}/bob")
    assert item(came).get("jid") == bob.full
    came = await bob.presence(available, sender=f"{room}/cat")
    assert item(came).get("jid") is None
    await configure(ann, room, whois="anyone")
    await bob.message(with_codes("172"), sender=room)
    _, _, others, _ = await enter(cat, room, "cat")
    shown = {each["from"].resource: item(each.xml).get("jid") for each in others}
    assert shown["bob"] == bob.full


async def test_a_full_room(ann, bob, cat, room):
    await made(ann, room, "ann", maxusers="2")
    await enter(bob, room, "bob")
    # ejabberd says resource-constraint where XEP-0045 section 7.2.9 wants the first.
    assert await refused(cat, room, "cat") in ("service-unavailable", "resource-constraint")
    bob.transport.abort()
    await ann.presence(of_type("unavailable"), sender=f"{room}/bob")
    await enter(cat, room, "cat")


async def test_who_may_read_and_change_the_form(ann, bob, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    muc = bob.plugin["xep_0045"]
    for ask in (
        lambda: muc.get_room_config(room, timeout=LIMIT),
        lambda: muc.destroy(room, timeout=LIMIT),
        lambda: muc.set_affiliation(room, "owner", jid=bob.bare, timeout=LIMIT),
        lambda: muc.get_affiliation_list(room, "outcast", timeout=LIMIT),
    ):
        with pytest.raises(IqError) as caught:
            await ask()
        # ejabberd says not-allowed where XEP-0045 section 9.3 wants this.
        assert caught.value.condition in ("forbidden", "not-allowed")


async def test_a_change_of_the_configuration_is_told(ann, bob, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    await configure(ann, room, roomname="The fleet")
    told = await bob.message(with_codes("104"), sender=room)
    assert told.get("type") == "groupchat"


async def test_a_moderated_room(ann, bob, room):
    await made(ann, room, "ann", moderatedroom=True)
    muc = ann.plugin["xep_0045"]
    await ann.ask(
        "set",
        room,
        f"<query xmlns='{MUC}#admin'><item jid='{bob.bare}' affiliation='member'/></query>",
    )
    await enter(bob, room, "bob")
    await muc.set_role(room, "bob", "visitor", timeout=LIMIT)
    await bob.presence(with_item(role="visitor"), sender=f"{room}/bob")
    bob.send_message(room, "hello", mtype="groupchat")
    assert condition(await bob.message(of_type("error"), sender=room)) == "forbidden"
    await muc.set_role(room, "bob", "participant", timeout=LIMIT)
    await ann.presence(with_item(role="participant"), sender=f"{room}/bob")
    bob.send_message(room, "hello", mtype="groupchat")
    await ann.message(with_body("hello"), sender=f"{room}/bob")


# --- kicks, bans, ends --------------------------------------------------------------------------


async def test_a_kick(ann, bob, cat, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    await enter(cat, room, "cat")
    muc = ann.plugin["xep_0045"]
    await muc.set_role(room, "bob", "none", reason="too loud", timeout=LIMIT)
    gone = await bob.presence(of_type("unavailable"), sender=f"{room}/bob")
    assert {"110", "307"} <= codes(gone)
    assert item(gone).findtext(f"{USER}reason") == "too loud"
    seen = await cat.presence(of_type("unavailable"), sender=f"{room}/bob")
    assert "307" in codes(seen)
    await enter(bob, room, "bob")  # a kick is no ban
    with pytest.raises(IqError) as caught:
        await bob.plugin["xep_0045"].set_role(room, "ann", "none", timeout=LIMIT)
    assert caught.value.condition in ("forbidden", "not-allowed")


async def test_a_ban(ann, bob, cat, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    await enter(cat, room, "cat")
    muc = ann.plugin["xep_0045"]
    await muc.set_affiliation(room, "outcast", jid=bob.bare, timeout=LIMIT)
    gone = await bob.presence(of_type("unavailable"), sender=f"{room}/bob")
    assert "301" in codes(gone)
    assert item(gone).get("affiliation") == "outcast"
    assert "301" in codes(await cat.presence(of_type("unavailable"), sender=f"{room}/bob"))
    assert await refused(bob, room, "bob") == "forbidden"
    assert await muc.get_affiliation_list(room, "outcast", timeout=LIMIT) == [bob.bare]
    await muc.set_affiliation(room, "none", jid=bob.bare, timeout=LIMIT)
    await enter(bob, room, "bob")


async def test_affiliations_and_what_comes_with_them(ann, bob, room):
    await made(ann, room, "ann")
    await enter(bob, room, "bob")
    muc = ann.plugin["xep_0045"]
    for affiliation, role in (
        ("member", "participant"),
        ("admin", "moderator"),
        ("owner", "moderator"),
        ("admin", "moderator"),
    ):
        await muc.set_affiliation(room, affiliation, jid=bob.bare, timeout=LIMIT)
        await bob.presence(with_item(affiliation=affiliation, role=role), sender=f"{room}/bob")
    assert await muc.get_affiliation_list(room, "admin", timeout=LIMIT) == [bob.bare]
    bobs = bob.plugin["xep_0045"]
    with pytest.raises(IqError):
        await bobs.set_affiliation(room, "outcast", jid=ann.bare, timeout=LIMIT)
    assert "ann" in await bobs.get_roles_list(room, "moderator", timeout=LIMIT)


async def test_the_last_owner_stays_one(ann, room):
    await made(ann, room, "ann")
    muc = ann.plugin["xep_0045"]
    with pytest.raises(IqError) as caught:
        await muc.set_affiliation(room, "member", jid=ann.bare, timeout=LIMIT)
    assert caught.value.condition in ("conflict", "not-allowed")


async def test_a_destroyed_room(ann, bob, room):
    await made(ann, room, "ann", persistentroom=True)
    await enter(bob, room, "bob")
    muc = ann.plugin["xep_0045"]
    other = f"other@{SERVICE}"
    await muc.destroy(room, "moving", other, timeout=LIMIT)
    gone = await bob.presence(of_type("unavailable"), sender=f"{room}/bob")
    destroyed = gone.find(f"{USER}x/{USER}destroy")
    assert destroyed.get("jid") == other
    assert destroyed.findtext(f"{USER}reason") == "moving"
    presence, *_ = await enter(bob, room, "bob")
    assert "201" in codes(presence.xml)


async def test_an_empty_room_goes_unless_it_is_persistent(ann, room):
    for persistent in (False, True):
        await made(ann, room, "ann", persistentroom=persistent)
        ann.send_presence(pto=f"{room}/ann", ptype="unavailable")
        await ann.presence(of_type("unavailable"), sender=f"{room}/ann")
        presence, *_ = await enter(ann, room, "ann")
        assert ("201" in codes(presence.xml)) is not persistent


async def test_a_persistent_room_outlives_a_restart(own_xmpp):
    room = f"kept@{SERVICE}"
    account, other = own_xmpp.fresh_user("ann"), own_xmpp.fresh_user("bob")
    async with online(own_xmpp, account) as ann:
        await made(ann, room, "ann", persistentroom=True, membersonly=True, roomname="Kept")
        muc = ann.plugin["xep_0045"]
        await muc.set_affiliation(room, "member", jid=other.jid, timeout=LIMIT)
        muc.set_subject(room, "still here")
        await ann.message(lambda xml: xml.findtext(f"{CLIENT}subject") == "still here")
        await enter(ann, f"lost@{SERVICE}", "ann")
        await configure(ann, f"lost@{SERVICE}")
        await ann.disconnect()
    own_xmpp.stop()
    own_xmpp.start()
    async with online(own_xmpp, other) as bob:
        presence, subject, _, _ = await enter(bob, room, "bob")
        assert item(presence.xml).get("affiliation") == "member"
        assert "201" not in codes(presence.xml)
        assert subject["subject"] == "still here"
        presence, *_ = await enter(bob, f"lost@{SERVICE}", "bob")
        assert "201" in codes(presence.xml)


# --- invitations --------------------------------------------------------------------------------


async def test_an_invitation_to_a_members_only_room(ann, bob, room):
    await made(ann, room, "ann", membersonly=True)
    ann.plugin["xep_0045"].invite(room, bob.bare, "come")
    invited = await bob.message(sender=room)
    invitation = invited.find(f"{USER}x/{USER}invite")
    assert invitation.get("from").startswith(ann.bare)
    assert invitation.findtext(f"{USER}reason") == "come"
    await enter(bob, room, "bob")


async def test_an_invitation_is_declined(ann, bob, room):
    await made(ann, room, "ann")
    muc = bob.plugin["xep_0045"]
    ann.plugin["xep_0045"].invite(room, bob.bare)
    await bob.message(sender=room)
    muc.decline(room, ann.bare, "busy")
    path = f"{USER}x/{USER}decline"
    told = await ann.message(lambda xml: xml.find(path) is not None, sender=room)
    declined = told.find(path)
    assert declined.get("from").startswith(bob.bare)
    assert declined.findtext(f"{USER}reason") == "busy"


async def test_who_may_not_invite(ann, bob, cat, room):
    await made(ann, room, "ann", allowinvites=False)
    await enter(bob, room, "bob")
    bob.plugin["xep_0045"].invite(room, cat.bare, "come")
    error = await bob.message(of_type("error"), sender=room)
    assert condition(error) in ("forbidden", "not-allowed")


# --- disco --------------------------------------------------------------------------------------


async def test_the_server_tells_of_the_service_and_the_service_of_its_rooms(ann, bob, room):
    disco = ann.plugin["xep_0030"]
    items = await disco.get_items("localhost", timeout=LIMIT)
    assert SERVICE in {jid for jid, _, _ in items["disco_items"]["items"]}
    info = await disco.get_info(SERVICE, timeout=LIMIT)
    assert ("conference", "text") in {each[:2] for each in info["disco_info"]["identities"]}
    assert MUC in info["disco_info"]["features"]
    await made(ann, room, "ann", membersonly=True, whois="anyone", persistentroom=True)
    info = (await disco.get_info(room, timeout=LIMIT))["disco_info"]
    assert {
        MUC,
        "muc_membersonly",
        "muc_nonanonymous",
        "muc_persistent",
        "muc_public",
        "muc_unsecured",
    } <= info["features"]
    items = await disco.get_items(SERVICE, timeout=LIMIT)
    assert room in {jid for jid, _, _ in items["disco_items"]["items"]}
    await configure(ann, room, publicroom=False)
    items = await bob.plugin["xep_0030"].get_items(SERVICE, timeout=LIMIT)
    assert room not in {jid for jid, _, _ in items["disco_items"]["items"]}
    items = await disco.get_items(room, timeout=LIMIT)
    assert {jid for jid, _, _ in items["disco_items"]["items"]} == {f"{room}/ann"}
    await ann.plugin["xep_0045"].destroy(room, timeout=LIMIT)


async def test_a_room_that_is_not_there(ann, room):
    with pytest.raises(IqError) as caught:
        await ann.plugin["xep_0030"].get_info(room, timeout=LIMIT)
    assert caught.value.condition == "item-not-found"
    ann.send_message(room, "anybody?", mtype="groupchat")
    assert condition(await ann.message(of_type("error"), sender=room)) in (
        "item-not-found",
        "not-acceptable",
    )
