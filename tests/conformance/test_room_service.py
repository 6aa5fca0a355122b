"""Rooms (XEP-0045), by a client that is not ours: the embedded server and ejabberd."""

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
)
from room_client import MUC, SERVICE, configure, enter, made, refused
from slixmpp.exceptions import IqError

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
