"""Two people with chat programs of others meet in a room."""

import secrets

import pytest

from people import Poezio, Profanity
from servers import Server


@pytest.fixture
def room() -> str:
    return f"fleet-{secrets.token_hex(3)}@conference.localhost"


def test_people_meet_in_a_room(xmpp: Server, room: str) -> None:
    with (
        Profanity(xmpp, xmpp.fresh_user("ann")) as ann,
        Poezio(xmpp, xmpp.fresh_user("bob")) as bob,
    ):
        ann.enter(f"/join {room} nick ann")
        ann.wait_until(lambda: "/room accept" in ann.screen, "learn that the room is new")
        ann.enter("/room accept")
        ann.wait_until(lambda: "Room unlocked" in ann.screen, "make the room")
        bob.enter(f"/join {room}/bob")
        bob.wait_until(lambda: "You (bob) joined" in bob.screen, "enter the room")
        bob.enter("hello everybody")
        ann.wait_until(lambda: "hello everybody" in ann.screen, "hear bob")
        ann.enter("hello bob")
        bob.wait_until(lambda: "hello bob" in bob.screen, "hear ann")
        ann.enter("/kick bob too loud")
        bob.wait_until(lambda: "too loud" in bob.screen, "learn of the kick")
