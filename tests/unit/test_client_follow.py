"""A client that follows topics, in an exchange of its own: its end, and chat that goes astray."""

import asyncio

import pytest

from chatting import soon
from jabot import Client, ConnectionFailed, Replaced
from jabot.jid import JID
from jabot.testing import Exchange
from jabot.xmpp import OutgoingText

LIMIT = 10.0
HALL = "sensors/hall"


@pytest.fixture
async def exchange():
    exchange = Exchange()
    yield exchange
    exchange.close()


async def test_who_is_refused_for_good_is_told_why(exchange, monkeypatch):
    monkeypatch.setattr("jabot.xmpp.session.new_resource", lambda: "same")
    account = exchange.account("plot@example.org")
    async with Client(account) as app:
        waiting = asyncio.ensure_future(anext(app.follow(HALL)))
        await asyncio.sleep(0)
        async with Client(account):  # takes its place
            with pytest.raises(Replaced):
                await soon(waiting)
        with pytest.raises(Replaced):  # and who begins after that
            await soon(anext(app.follow(HALL)))


async def test_who_leaves_is_told_that(exchange):
    async with Client(exchange.account("plot@example.org")) as app:
        waiting = asyncio.ensure_future(anext(app.follow(HALL)))
        await asyncio.sleep(0)
    with pytest.raises(ConnectionFailed, match=r"^the client was closed$"):
        await soon(waiting)


async def test_chat_that_goes_astray_is_told(exchange, caplog):
    """The texts that waited for the account come to the first program that takes any."""
    plot = exchange.account("plot@example.org")
    async with Client(exchange.account("ann@example.org")) as ann:
        ann._signed.session.send_text(OutgoingText(JID("plot@example.org"), "the secret"))
        await ann._signed.session.ping(LIMIT)
        async with Client(plot) as app:
            await app._signed.session.ping(LIMIT)
            assert "wrote to" not in caplog.text
            waiting = asyncio.ensure_future(anext(app.follow(HALL)))
            async with asyncio.timeout(LIMIT):
                while f"{ann.jid} wrote to plot@example.org, and the text" not in caplog.text:
                    await asyncio.sleep(0.01)
    assert "secret" not in caplog.text
    await asyncio.gather(waiting, return_exceptions=True)
