"""A leader and its hot standbys: one of several nodes does the work, and the next takes over.

They meet in a room, and the first of them by name leads. When its process dies the others see it go
within milliseconds, because the server tells them; when its machine does, when the server notices.
It takes a server with an account (see the README). On each machine, with a name of its own:

    $ jabot login bot@localhost --server 127.0.0.1
    $ NAME=anna jabot run examples/failover.py
    anna: I lead
    anna: tick 1
    $ NAME=berta jabot run examples/failover.py
    berta: anna leads, I stand by

Kill anna, and berta goes on:

    berta: I lead
    berta: tick 1

Cut in two, a network has a leader on each side: this is for work that may be done twice (here: by a
clock that is told at most twice). What must not be belongs in a queue, as a job with `unique=`.
"""

import os

import jabot

NAME = os.environ.get("NAME", "anna")
ROOM = os.environ.get("ROOM", "clock@conference.localhost")

node = jabot.Node("bot@localhost", rooms=[jabot.Room(ROOM, nick=NAME)])
leads = False
ticks = 0


@node.on_peer
async def choose(neighbours: jabot.Neighbours) -> None:
    """The first by name leads. Who is not in the room does not: it cannot see whether others do."""
    global leads, ticks
    first = neighbours.nodes[0] if neighbours.nodes else None
    led, leads = leads, first is not None and first.jid == node.jid
    if leads and not led:
        ticks = 0
        print(f"{NAME}: I lead", flush=True)
    elif first is None:
        print(f"{NAME}: out of the room, I do nothing", flush=True)
    elif not leads:
        print(f"{NAME}: {first.nick} leads, I stand by", flush=True)


@node.every("1s")
async def tick() -> None:
    """The work."""
    global ticks
    if leads:
        ticks += 1
        print(f"{NAME}: tick {ticks}", flush=True)
