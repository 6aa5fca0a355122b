"""What a client that is not ours does in rooms (XEP-0045)."""

import pytest
from other_client import LIMIT
from slixmpp.exceptions import PresenceError

SERVICE = "conference.localhost"
MUC = "http://jabber.org/protocol/muc"
OWNER = "http://jabber.org/protocol/muc#owner"


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
