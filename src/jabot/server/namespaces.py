"""The XML namespaces that the server speaks."""

from __future__ import annotations

from typing import Final

CLIENT: Final = "jabber:client"
STREAM: Final = "http://etherx.jabber.org/streams"
STREAM_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"
TLS: Final = "urn:ietf:params:xml:ns:xmpp-tls"
SASL: Final = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND: Final = "urn:ietf:params:xml:ns:xmpp-bind"
SESSION: Final = "urn:ietf:params:xml:ns:xmpp-session"
XML: Final = "http://www.w3.org/XML/1998/namespace"

ROSTER: Final = "jabber:iq:roster"
VERSION: Final = "jabber:iq:version"
PING: Final = "urn:xmpp:ping"
DISCO_INFO: Final = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS: Final = "http://jabber.org/protocol/disco#items"
DELAY: Final = "urn:xmpp:delay"
HINTS: Final = "urn:xmpp:hints"
CHAT_STATES: Final = "http://jabber.org/protocol/chatstates"
OFFLINE: Final = "msgoffline"
DATA_FORMS: Final = "jabber:x:data"
RSM: Final = "http://jabber.org/protocol/rsm"
CAPS: Final = "http://jabber.org/protocol/caps"

MUC: Final = "http://jabber.org/protocol/muc"
MUC_USER: Final = "http://jabber.org/protocol/muc#user"
MUC_ADMIN: Final = "http://jabber.org/protocol/muc#admin"
MUC_OWNER: Final = "http://jabber.org/protocol/muc#owner"
MUC_SELF_PING: Final = "http://jabber.org/protocol/muc#self-ping-optimization"
MUC_STABLE_ID: Final = "http://jabber.org/protocol/muc#stable_id"

PUBSUB: Final = "http://jabber.org/protocol/pubsub"
PUBSUB_OWNER: Final = "http://jabber.org/protocol/pubsub#owner"
PUBSUB_EVENT: Final = "http://jabber.org/protocol/pubsub#event"
PUBSUB_ERRORS: Final = "http://jabber.org/protocol/pubsub#errors"

LANG: Final = f"{XML} lang"
"""The key of `xml:lang` among an element's attributes."""
