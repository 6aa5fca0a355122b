"""What owners and moderators do with a room (XEP-0045), by a client that is not ours: the embedded
server and ejabberd."""

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
from room_client import MUC, OWNER, SERVICE, configure, enter, made, refused
from slixmpp.exceptions import IqError

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
