"""The embedded server in the loop of the test, and two who are signed in to it."""

import pytest
from embedded_client import USERS, signed_in

import jabot.testing


@pytest.fixture
async def server():
    async with jabot.testing.server(users=USERS) as running:
        yield running


@pytest.fixture
async def ann(server):
    client = await signed_in(server, "ann", "a")
    yield client
    await client.close()


@pytest.fixture
async def bob(server):
    client = await signed_in(server, "bob", "b")
    yield client
    await client.close()
