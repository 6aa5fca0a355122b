"""What `jabot nodes --watch` and `jabot top` see of the workers."""

from jabot.calls.calls import closed
from jabot.calls.watch import Watch
from jabot.errors import ConnectionFailed, NotAllowed
from unit.calling import NODE, POOL
from unit.linked import BOT


class App:
    """What has calls, for a `Watch`."""

    def __init__(self, caller):
        self._calls = caller.calls


async def test_who_looks_every_second_learns_that_nobody_is_there(caller, clock):
    with Watch(App(caller), [POOL], lambda stanza: None) as there:
        assert (there.peers(), there.missing(), there.unclear()) == ([], {}, True)
        for _ in range(3):
            await clock.advance(1)
            assert there.peers() == []
        assert list(there.missing()) == [POOL]  # although it is greeted again and again
        assert "nobody at bot@localhost answers" in str(there.missing()[POOL])
        assert len(caller.greetings()) > 1
        for _ in range(5):
            await clock.advance(1)
            there.peers()
            assert there.missing()  # and stays so
        caller.see(BOT, node=NODE)
        assert [peer.jid for peer in there.peers()] == [BOT]
        assert (there.missing(), there.unclear()) == ({}, False)


async def test_a_refusal_is_known_at_once(caller, clock):
    with Watch(App(caller), [POOL], lambda stanza: None) as there:
        there.peers()
        caller.see(BOT, "error", condition="forbidden")
        await clock.advance(0.2)
        there.peers()
        assert isinstance(there.missing()[POOL], NotAllowed)
        assert "who runs it can, with allow=" in str(there.missing()[POOL])


async def test_who_watches_hears_of_presences_and_of_the_connection(caller, clock):
    heard = []
    with Watch(App(caller), [POOL], heard.append) as there:
        there.peers()
        caller.see(BOT, node=NODE)
        caller.see(BOT, "unavailable")
        assert [stanza.type for stanza in heard] == ["available", "unavailable"]
        assert there.peers() == []
        caller.see(BOT, node=NODE)
        del heard[:]
        caller.drop()
        assert (heard, there.is_online, there.peers()) == ([None], False, [])
        caller.back()
        assert (heard, there.is_online) == ([None, None], True)
        assert there.unclear()  # it was there before, and has had no time to answer
        caller.calls.close(closed("the test"))
        assert (len(heard), there.is_online) == (3, False)
        assert isinstance(there.closed, ConnectionFailed)
    caller.calls._tell_watchers()
    assert len(heard) == 3
