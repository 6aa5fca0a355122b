"""How soon a node that is lost is gone: from the screen, from lists, from peers and from rooms."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

from chatting import LIMIT, QUICK, account_environment, calling, node_program, program, serving
from jabot import Neighbours, Node
from jabot.calls.watch import Watch
from jabot.cli.top.feed import Feed
from jabot.cli.top.fleet import Fleet
from jabot.cli.top.screen import Top
from network import Proxy
from processor import Busy
from servers import Account, Server

KEEPALIVE = 2  # seconds of silence until the server asks, and again until it gives up
PROGRAM = """
    from jabot import Node

    node = Node(allow={"*": "*"}, rooms=["ROOM"], labels={"lost": "soon"})
"""


class Views:
    """What shows nodes: each notes when it shows the node, and when it does not any more."""

    def __init__(self) -> None:
        self.gone: dict[str, float] = {}
        self.shown: set[str] = set()
        self.news = asyncio.Event()
        self.watching = 0  # the process that prints them

    def tell(self, view: str, *, there: bool) -> None:
        if there:
            self.shown.add(view)
            self.gone.pop(view, None)
        elif view in self.shown:
            self.gone.setdefault(view, time.monotonic())
        self.news.set()

    async def until(self, condition: Callable[[], bool], limit: float = LIMIT) -> None:
        try:
            async with asyncio.timeout(limit):
                while not condition():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise AssertionError(f"shown by {self.shown}, gone from {set(self.gone)}") from None


ALL = {"top", "nodes --watch", "peers", "on_peer"}


@asynccontextmanager
async def looking(
    xmpp: Server, account: Account, address: str, room: str, folder: Path
) -> AsyncIterator[Views]:
    """Everything that shows the nodes at an address and in a room, at once."""
    views = Views()
    neighbour = Node(rooms=[room])

    @neighbour.on_peer
    def changed(there: Neighbours) -> None:
        views.tell("on_peer", there=len(there.nodes) > 1)

    def look(watch: Watch) -> None:
        views.tell("peers", there=bool(watch.peers()))

    async def read_screen(top: Top) -> None:
        while True:
            text = "".join(strip.text for strip in top.screen._compositor.render_strips())
            views.tell("top", there=" of 8" in text)
            await asyncio.sleep(0.02)

    async def read_lines(path: Path) -> None:
        while True:
            lines = path.read_text().split("\n")[:-1]
            views.tell("nodes --watch", there=bool(lines and json.loads(lines[-1])))
            await asyncio.sleep(0.02)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serving(neighbour, xmpp, account, for_people=False))
        app = await stack.enter_async_context(calling(xmpp, None, account))
        watch = Watch(app, [address], lambda _: look(watch))
        stack.enter_context(watch)
        watch.peers()
        feed = stack.enter_context(
            Feed(app, [address], Fleet([address], time.monotonic, time.time))
        )
        top = Top(feed)
        await stack.enter_async_context(top.run_test(size=(80, 24)))
        command = [sys.executable, "-m", "jabot", "nodes", "--watch", "--json", address]
        environment = account_environment(xmpp, account)
        watching = program(command, folder, environment, "watch")
        views.watching = (await stack.enter_async_context(watching)).pid
        async with asyncio.TaskGroup() as readers:
            reading = [
                readers.create_task(read)
                for read in (read_screen(top), read_lines(folder / "watch.out"))
            ]
            yield views
            for task in reading:
                task.cancel()


async def test_a_node_that_is_killed_is_gone_within_a_second(xmpp: Server, tmp_path: Path) -> None:
    """From everything that shows it, by the median of three rounds. What other programs take of the
    machine does not count."""
    bot, ann = xmpp.fresh_user("bot"), xmpp.fresh_user("ann")
    room = f"{bot.jid.partition('@')[0]}@conference.{xmpp.domain}"
    source = PROGRAM.replace("ROOM", room)
    rounds = []
    async with looking(xmpp, ann, bot.jid, room, tmp_path) as views:
        for _ in range(3):
            views.shown.clear()
            async with node_program(source, tmp_path, xmpp, bot) as node:
                await views.until(lambda: views.shown == ALL and not views.gone)
                killed, busy = time.monotonic(), Busy(xmpp.pid, views.watching)
                node.send(signal.SIGKILL)
                await views.until(lambda: set(views.gone) == ALL)
                waited = busy.waited
            took = {view: at - killed - waited for view, at in views.gone.items()}
            rounds.append({view: round(seconds, 3) for view, seconds in took.items()})
            if sum(max(each.values()) <= 1.0 for each in rounds) == 2:
                break  # whatever the third one were
    print(rounds)
    assert median(max(each.values()) for each in rounds) <= 1.0, rounds


async def test_a_node_that_is_cut_off_is_gone_within_the_keepalive(
    new_xmpp: Callable[..., Server], tmp_path: Path
) -> None:
    """Its connection breaks without a word: only the server can find out, and does by its pings."""
    xmpp = new_xmpp(keepalive=KEEPALIVE)
    bot, ann = xmpp.fresh_user("bot"), xmpp.fresh_user("ann")
    room = f"fleet@conference.{xmpp.domain}"
    node = Node(allow={ann.jid: "*"}, rooms=[room])
    with Proxy(xmpp.port) as proxy:
        async with (
            looking(xmpp, ann, bot.jid, room, tmp_path) as views,
            serving(node, xmpp, bot, address=proxy.address, timing=QUICK, for_people=False),
        ):
            await views.until(lambda: views.shown == ALL and not views.gone)
            cut_off = time.monotonic()
            proxy.freeze()
            await views.until(lambda: set(views.gone) == ALL)
            took = {view: at - cut_off for view, at in views.gone.items()}
            proxy.thaw()
    # A ping is due within the keepalive and answered within it, or not at all; a server looks each
    # second. On a busy machine that takes longer, but never as long as with the usual 30 s.
    print(took)
    assert max(took.values()) <= 2 * KEEPALIVE + 6, took
