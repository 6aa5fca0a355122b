"""Addresses (RFC 7622). Access control rests on this type's normalisation, so there is one."""

from slixmpp.jid import JID, InvalidJID

__all__ = ["JID", "InvalidJID"]
