"""What the hooks of a node hear of the others in its rooms."""

import asyncio

import pytest

from jabot.jid import JID
from jabot.neighbours import Neighbourhood
from jabot.xmpp.room import Occupant
from unit.clock import turns

ROOM = JID("clock@conference.example.org")


def occupant(nick, is_node=True):
    return Occupant(nick, JID(f"bot@example.org/{nick}"), is_node)


class Rooms:
    """Who is there, set by the test."""

    def __init__(self):
        self.listeners, self.there, self.inside = [], [], True

    def is_inside(self, address):
        return self.inside

    def occupants(self, address):
        return self.there


class House:
    def __init__(self, hook=None):
        self.rooms, self.heard = Rooms(), []
        self.go = asyncio.Event()
        self.go.set()
        self.hood = Neighbourhood(self.rooms, [hook or self.hear])

    async def hear(self, neighbours):
        self.heard.append([each.nick for each in neighbours.nodes])
        await self.go.wait()

    def set(self, *nicks):
        self.rooms.there = [occupant(nick) for nick in nicks]
        self.hood.came(ROOM, occupant("x"))


@pytest.fixture
async def house():
    house = House()
    yield house
    house.hood.close()
    await turns()


async def test_every_change_of_who_is_there(house):
    house.set("anna")
    await turns()
    house.set("anna", "berta")
    await turns()
    house.set("berta")
    await turns()
    assert house.heard == [["anna"], ["anna", "berta"], ["berta"]]


async def test_people_and_what_is_as_before_are_no_news(house):
    house.set("anna")
    await turns()
    house.rooms.there.append(occupant("Ann", is_node=False))
    house.hood.came(ROOM, house.rooms.there[-1])
    house.hood.kept_out(ROOM, "full")
    await turns()
    assert house.heard == [["anna"]]


async def test_who_is_out_sees_nobody(house):
    house.set("anna", "berta")
    await turns()
    house.rooms.inside = False
    house.hood.out(ROOM, "kicked")
    await turns()
    assert house.heard[-1] == []


async def test_calls_do_not_overlap_and_the_last_state_counts(house):
    house.go.clear()
    house.set("anna")
    await turns()
    house.set("anna", "berta")
    house.set("clara")
    await turns()
    assert house.heard == [["anna"]]
    house.go.set()
    await turns()
    assert house.heard == [["anna"], ["clara"]]


async def test_a_hook_that_raises_hears_the_next_change(caplog):
    heard = []

    async def fall(neighbours):
        heard.append(len(neighbours.nodes))
        raise ValueError("ouch")

    house = House(fall)
    house.set("anna")
    await turns()
    house.set("anna", "berta")
    await turns()
    assert heard == [1, 2]
    assert "ValueError: ouch" in caplog.text


async def test_nobody_listens_without_a_hook():
    rooms = Rooms()
    Neighbourhood(rooms, [])
    assert rooms.listeners == []
