"""A server and its lines: batches are late, doubled, dropped, overtaken; sessions come and go."""

import heapq
import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Weather:
    """How bad it is."""

    drop: float = 0.0
    double: float = 0.0
    delay: float = 0.1  # at most, in seconds


class Network:
    """Time, and everything that is on its way.

    Batches overtake each other as they like, unless `in_order`: as on a server, but for those that
    were lost and go again. Presence does not: what a peer sends in a new session
    arrives after the news that the old one ended, and after what bounced meanwhile (RFC 6120
    section 10.1).
    """

    def __init__(self, random, weather, in_order=False):
        self.random = random
        self.in_order = in_order
        self.weather = weather
        self.now = 0.0
        self.online = {}  # address -> node
        self.nodes = []
        self._queue = []
        self._order = itertools.count()
        self._newest = {}  # (from, to) -> when the newest batch arrives
        self._barriers = {}  # (from, to) -> when the newest presence arrives
        self._shown = set()  # (from, to): who was sent whose presence, and hears of its end

    def at(self, when, action, *args):
        """Do something later."""
        heapq.heappush(self._queue, (when, next(self._order), action, args))

    def after(self, seconds, action, *args):
        self.at(self.now + seconds, action, *args)

    def run(self, until):
        """Let time pass until then, or until nothing is left to happen."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action, args = heapq.heappop(self._queue)
            action(*args)
        self.now = max(self.now, until)

    def come(self, node):
        """A session begins: all others hear of it, and it of those that its greeting finds."""
        self.online[node.address] = node
        for other in self.nodes:
            if other is not node:
                self._presence(node, other, True)
                delay = self.random.uniform(0.001, self.weather.delay)
                self.after(delay, self._greet, node, node.session, other)

    def go(self, node):
        """A session ends, in whichever way: who was shown it hears of that."""
        self.online.pop(node.address, None)
        for other in self.nodes:
            self._shown.discard((other.address, node.address))
            if (node.address, other.address) in self._shown:
                self._presence(node, other, False)

    def batch(self, sender, to, text, deflated, answer):
        """A request. `answer(what, why)` is called with `result`, `error`, `bounce`, or never.

        A doubled one is delivered twice or bounces twice: no server does one of each.
        """
        fate = {}
        for delay in self._copies():
            when = max(self.now + delay, self._barriers.get((sender.address, to), 0.0))
            if self.in_order:
                when = self._newest[sender.address, to] = max(
                    when, self._newest.get((sender.address, to), 0.0)
                )
            request = (sender, sender.session, to, text, deflated)
            self.at(when, self._deliver, request, fate, answer)

    def _deliver(self, request, fate, answer):
        sender, session, to, text, deflated = request
        node = self.online.get(to)
        if fate.setdefault("bounced", node is None):
            bounced = self._back(sender, session, answer, "bounce", "")
            pair = (to, sender.address)  # who comes back is heard of after it
            self._barriers[pair] = max(bounced, self._barriers.get(pair, 0.0))
        elif node is not None:
            node.batch_received(
                sender.address,
                sender.account,
                text,
                deflated,
                lambda what, why="": self._back(sender, session, answer, what, why),
            )

    def _back(self, sender, session, answer, what, why):
        """Answer; gives when the last copy of the answer arrives."""
        last = self.now
        for delay in self._copies():
            last = max(last, self.now + delay)
            self.after(delay, self._answer, sender, session, answer, what, why)
        return last

    @staticmethod
    def _answer(sender, session, answer, what, why):
        if sender.session == session and sender.is_online:
            answer(what, why)

    def _copies(self):
        """The delays of the copies of a stanza that arrive: none, one or two."""
        if self.random.random() < self.weather.drop:
            return ()
        count = 2 if self.random.random() < self.weather.double else 1
        return tuple(self.random.uniform(0.001, self.weather.delay) for _ in range(count))

    def _greet(self, node, session, other):
        if node.session == session and self.online.get(other.address) is other:
            self._presence(other, node, True)

    def _presence(self, of, to, here):
        if self.online.get(to.address) is not to:
            return
        if here:
            self._shown.add((of.address, to.address))
        when = self.now + self.random.uniform(0.001, self.weather.delay)
        pair = (of.address, to.address)
        when = max(when, self._barriers.get(pair, 0.0))
        self._barriers[pair] = when
        self.at(when, self._tell, of, to, to.session, here)

    def _tell(self, of, to, session, here):
        if self.online.get(to.address) is to and to.session == session:
            to.presence_received(of.address, of.account, here)
