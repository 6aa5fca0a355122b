"""`jabot nodes --watch`: when it shows what, on a made-up clock and without a network."""

import asyncio

import pytest

from jabot import ConnectionFailed, NobodyThere, Peer
from jabot.cli.watching import Seen, _Lines, each
from unit.fleet_told import node


class There:
    """Who is online, as the test has it."""

    def __init__(self):
        self.changed = asyncio.Event()
        self.found, self.why = [], {}
        self.is_online, self.closed, self.unknown = True, None, False

    def peers(self):
        return list(self.found)

    def missing(self):
        return self.why

    def unclear(self):
        return self.unknown

    def now(self, *peers):
        self.found = list(peers)
        self.changed.set()


@pytest.fixture
async def there():
    return There()


@pytest.fixture
async def shown(there, clock):
    """What was shown, each with its moment."""
    shown = []
    task = asyncio.create_task(
        each(there, there.changed, lambda seen: shown.append((clock.time() - 1000, seen)))
    )
    await clock.settle()
    yield shown
    task.cancel()


def names(seen):
    return [(round(at, 3), [f"{p.jid[-2:]} {p.running}" for p in s.peers]) for at, s in seen]


async def test_a_change_is_shown_once_a_second_at_most(there, shown, clock):
    assert names(shown) == [(0, [])]  # that nobody is there is shown as well
    for running in range(1, 31):  # in 3 s
        there.now(node("w1", running=running))
        await clock.advance(0.1)
    await clock.advance(5)
    assert [round(at, 3) for at, _ in shown] == [0, 1, 2, 3]
    assert shown[-1][1].peers[0].running == 30  # the last one counts


async def test_who_goes_is_gone_at_once(there, shown, clock):
    await clock.advance(2)
    there.now(node("w1"), node("w2"))
    await clock.advance(0.1)
    there.now(node("w2"))
    await clock.advance(0.1)
    there.now(node("w2", running=1))
    await clock.advance(2)
    assert names(shown)[1:] == [
        (2.0, ["w1 0", "w2 0"]),
        (2.1, ["w2 0"]),
        (3.1, ["w2 1"]),
    ]


async def test_without_a_connection_it_says_so_and_keeps_what_it_knew(there, shown, clock):
    await clock.advance(2)
    there.now(node("w1"))
    await clock.advance(2)
    there.is_online = False
    there.now()
    await clock.advance(1)
    assert names(shown)[-1] == (4.0, ["w1 0"])
    assert shown[-1][1].notes[0].startswith("No connection to the server; trying again.")
    there.is_online = there.unknown = True
    there.now()
    await clock.advance(1)
    assert len(shown) == 3  # nobody has had the time to answer
    there.unknown = False
    there.now(node("w1"))
    await clock.advance(1)
    assert names(shown)[-1] == (6.0, ["w1 0"])
    assert shown[-1][1].notes == ()


async def test_why_an_address_is_empty_is_said_and_taken_back(there, shown, clock):
    there.why = {"x@localhost": NobodyThere("nobody at x@localhost answers")}
    await clock.advance(2.5)  # no presence tells that: it looks by itself
    assert shown[-1][1].notes == ("nobody at x@localhost answers",)
    there.why = {}
    there.now(node("w1", account="x@localhost"))
    await clock.advance(1)
    assert shown[-1][1].notes == ()


async def test_an_interrupt_that_comes_with_a_change_ends_it(there, clock):
    watching = asyncio.create_task(each(there, there.changed, lambda seen: None))
    await clock.settle()
    there.now(node("w1"))
    asyncio.get_running_loop().call_soon(watching.cancel)  # when the wait is over already
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await watching


async def test_the_end_of_the_connection_is_an_error(there, clock):
    watching = asyncio.create_task(each(there, there.changed, lambda seen: None))
    await clock.settle()
    there.closed = ConnectionFailed("signed in elsewhere")
    there.changed.set()
    with pytest.raises(ConnectionFailed, match="elsewhere"):
        await watching


def test_lines_are_for_who_is_there_and_notes_go_to_standard_error(capsys):
    lines = _Lines(json=True)
    why = "nobody at x@localhost\x1b answers"
    for seen in [
        Seen((), (why,)),
        Seen((Peer("a@b/c"),), (why,)),
        Seen((Peer("a@b/c"),), ()),
        Seen((Peer("a@b/c"),), (why,)),
    ]:
        lines.show(seen)
    one = (
        '{"jid":"a@b/c","running":0,"waiting":0,"slots":1,"load":0.0,'
        '"tasks":null,"labels":{},"version":""}'
    )
    assert capsys.readouterr().out == f"[]\n[{one}]\n"
    lines.show(Seen((), (why,)))
    out, err = capsys.readouterr()
    assert (out, err) == ("[]\n", "")  # it was said before
