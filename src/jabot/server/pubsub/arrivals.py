"""What those who come are sent (XEP-0060 section 9; XEP-0163)."""

from __future__ import annotations

from jabot.jid import JID
from jabot.server.pubsub.access import may_read
from jabot.server.pubsub.configuration import ON_PRESENCE
from jabot.server.pubsub.node import Node
from jabot.server.pubsub.nodes import Nodes
from jabot.server.pubsub.notifications import Notifier
from jabot.server.session import Session, Sessions
from jabot.server.store import Store


class Arrivals:
    """Sends who comes the last item of each node that it hears of."""

    def __init__(self, nodes: Nodes, store: Store, sessions: Sessions, notifier: Notifier) -> None:
        self._nodes = nodes
        self._store = store
        self._sessions = sessions
        self._notifier = notifier

    def available(self, session: Session) -> None:
        """A session of a subscriber has come online."""
        for node in self._nodes:
            if session.account in node.subscribers:
                self._send_last(node, session)

    def learnt(self, session: Session, wanted: frozenset[str]) -> None:
        """A session wants to hear of nodes of these names, of all accounts that it may hear of."""
        for account in (session.account, *self._store.watched(session.account)):
            self._send_lasts(account, session, wanted)

    def granted(self, account: str, contact: str) -> None:
        """`contact` may see the presence of `account` from now on."""
        for session in self._sessions.available(JID(contact).bare):
            self._send_lasts(account, session, session.wanted_nodes)

    def ended(self, session: Session) -> None:
        """A session is gone, and what it had subscribed to as a session with it."""
        for node in self._nodes:
            node.subscribers.discard(session.full)

    def _send_lasts(self, account: str, session: Session, wanted: frozenset[str]) -> None:
        for node in self._nodes.at(account):
            already = not node.subscribers.isdisjoint((session.account, session.full))
            if node.name in wanted and not already:
                self._send_last(node, session)

    def _send_last(self, node: Node, session: Session) -> None:
        configuration = node.configuration
        if configuration.send_last != ON_PRESENCE or not configuration.deliver_notifications:
            return
        if may_read(node, session.account, self._store):
            last = self._nodes.last(node)
            if last is not None:
                self._notifier.last(node, last, session.full)
