"""The states of a presence subscription (RFC 6121 appendix A): a table, and no more.

A state is one account's side of one contact. `to` and `from` are what holds; `ask` is a request
that the account made, `request` one that the contact made, both without an answer.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class State(Enum):
    """The nine states of RFC 6121 appendix A.1: (to, from, ask, request)."""

    NONE = (False, False, False, False)
    NONE_ASK = (False, False, True, False)
    NONE_REQUEST = (False, False, False, True)
    NONE_ASK_REQUEST = (False, False, True, True)
    TO = (True, False, False, False)
    TO_REQUEST = (True, False, False, True)
    FROM = (False, True, False, False)
    FROM_ASK = (False, True, True, False)
    BOTH = (True, True, False, False)


class Step(NamedTuple):
    """What one subscription stanza does: the next state, and whether it goes on its way.

    `passed` is "routed to the contact" for an outbound stanza, "delivered to the account's
    clients" for an inbound one.
    """

    state: State
    passed: bool


_S = State

# Either side can end a subscription, to the same effect: the one that the account has to the
# contact, or has asked for ...
_END_OF_TO: Final = {
    _S.NONE_ASK: _S.NONE,
    _S.NONE_ASK_REQUEST: _S.NONE_REQUEST,
    _S.TO: _S.NONE,
    _S.TO_REQUEST: _S.NONE_REQUEST,
    _S.FROM_ASK: _S.FROM,
    _S.BOTH: _S.FROM,
}
# ... and the one that the contact has to the account, or has asked for.
_END_OF_FROM: Final = {
    _S.NONE_REQUEST: _S.NONE,
    _S.NONE_ASK_REQUEST: _S.NONE_ASK,
    _S.TO_REQUEST: _S.TO,
    _S.FROM: _S.NONE,
    _S.FROM_ASK: _S.NONE_ASK,
    _S.BOTH: _S.TO,
}

# Outbound: the account sends it. A state that is missing stays, and the stanza is passed on for
# `subscribe` and `unsubscribe` (RFC 6121 A.2.1, A.2.2), dropped for the other two (A.2.3, A.2.4).
_OUTBOUND: Final[dict[str, dict[State, State]]] = {
    "subscribe": {
        _S.NONE: _S.NONE_ASK,
        _S.NONE_REQUEST: _S.NONE_ASK_REQUEST,
        _S.FROM: _S.FROM_ASK,
    },
    "unsubscribe": _END_OF_TO,
    "subscribed": {
        _S.NONE_REQUEST: _S.FROM,
        _S.NONE_ASK_REQUEST: _S.FROM_ASK,
        _S.TO_REQUEST: _S.BOTH,
    },
    "unsubscribed": _END_OF_FROM,
}

# Inbound: the contact sent it. A state that is missing stays, and the stanza is dropped (A.3).
_INBOUND: Final[dict[str, dict[State, State]]] = {
    "subscribe": {
        _S.NONE: _S.NONE_REQUEST,
        _S.NONE_ASK: _S.NONE_ASK_REQUEST,
        _S.TO: _S.TO_REQUEST,
    },
    "unsubscribe": _END_OF_FROM,
    "subscribed": {
        _S.NONE_ASK: _S.TO,
        _S.NONE_ASK_REQUEST: _S.TO_REQUEST,
        _S.FROM_ASK: _S.BOTH,
    },
    "unsubscribed": _END_OF_TO,
}

KINDS: Final = frozenset(_OUTBOUND)
"""The types of presence that manage subscriptions (RFC 6121 section 3)."""


def outbound(state: State, kind: str) -> Step:
    """What a stanza of type `kind` from the account does to its own side."""
    after = _OUTBOUND[kind].get(state)
    if after is None:
        return Step(state, kind in ("subscribe", "unsubscribe"))
    return Step(after, True)


def inbound(state: State, kind: str) -> Step:
    """What a stanza of type `kind` from the contact does to the account's side."""
    after = _INBOUND[kind].get(state)
    return Step(state, False) if after is None else Step(after, True)
