"""The only folder that knows XMPP: a session that stays, texts, presence, and the link."""

from jabot.xmpp.link import Link
from jabot.xmpp.session import Session, SessionListener, Timing, new_resource
from jabot.xmpp.stanzas import IncomingPresence, IncomingText, OutgoingText

__all__ = [
    "IncomingPresence",
    "IncomingText",
    "Link",
    "OutgoingText",
    "Session",
    "SessionListener",
    "Timing",
    "new_resource",
]
