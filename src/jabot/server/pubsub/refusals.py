"""How requests about nodes are refused: with conditions of their own (XEP-0060 section 11)."""

from __future__ import annotations

from jabot.server.conditions import StanzaError
from jabot.server.element import Element
from jabot.server.namespaces import PUBSUB_ERRORS


def refusal(condition: str, specific: str, text: str = "") -> StanzaError:
    """An error with a condition of the protocol's own beside the general one."""
    return StanzaError(condition, text, detail=Element(PUBSUB_ERRORS, specific))


def unsupported(feature: str) -> StanzaError:
    """For what a node or the service can't do."""
    detail = Element(PUBSUB_ERRORS, "unsupported", {"feature": feature})
    return StanzaError("feature-not-implemented", detail=detail)
