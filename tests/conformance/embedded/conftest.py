"""The embedded server in the loop of the test, and two who are signed in to it.

@pytest.mark.server(max_rooms=2)   # the options of the server of this test
async def test_something(sign_in, ann, bob): ...
"""

from contextlib import AsyncExitStack

import pytest
from embedded_client import USERS, signed_in

import jabot.testing


def pytest_configure(config):
    config.addinivalue_line("markers", "server(**options): of the embedded server of this test")


@pytest.fixture
async def server(request):
    mark = request.node.get_closest_marker("server")
    options = mark.kwargs if mark else {}
    async with jabot.testing.server(users=USERS, **options) as running:
        yield running


@pytest.fixture
async def sign_in(server):
    """Signs somebody in, as `signed_in` does, until the end of the test."""
    async with AsyncExitStack() as at_the_end:

        async def sign_in(*args, **more):
            client = await signed_in(server, *args, **more)
            at_the_end.push_async_callback(client.close)
            return client

        yield sign_in


@pytest.fixture
async def ann(sign_in):
    return await sign_in("ann", "a")


@pytest.fixture
async def bob(sign_in):
    return await sign_in("bob", "b")
