"""Fixtures of the suites: a store of every kind, and people who are signed in to an XMPP server."""

import secrets

import pytest
import stores
from other_client import online
from room_client import SERVICE


@pytest.fixture(params=list(stores.KINDS))
async def store(request, tmp_path):
    """An empty one, opened."""
    made = stores.KINDS[request.param](tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def queue(store):
    """The same, to be asked in short words."""
    return stores.Asked(store)


@pytest.fixture
async def ann(xmpp):
    async with online(xmpp) as ann:
        yield ann


@pytest.fixture
async def bob(xmpp):
    async with online(xmpp, resource="b") as bob:
        yield bob


@pytest.fixture
async def cat(xmpp):
    async with online(xmpp, resource="c") as cat:
        yield cat


@pytest.fixture
def room():
    """The address of a room that is still to be made."""
    return f"room-{secrets.token_hex(4)}@{SERVICE}"
