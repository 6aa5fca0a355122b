"""What the owner of a node can set (XEP-0060 sections 8.2 and 16.4.4)."""

from __future__ import annotations

from dataclasses import dataclass

from jabot.server.config import ServerConfig
from jabot.server.forms import Form, boolean, choice, number, text, texts
from jabot.server.namespaces import PUBSUB

FORM_TYPE = f"{PUBSUB}#node_config"
OPTIONS_TYPE = f"{PUBSUB}#publish-options"

OPEN, PRESENCE, ROSTER, WHITELIST = "open", "presence", "roster", "whitelist"
PUBLISHERS, SUBSCRIBERS = "publishers", "subscribers"
NEVER, ON_SUB, ON_PRESENCE = "never", "on_sub", "on_sub_and_presence"

_ACCESS = (OPEN, PRESENCE, ROSTER, WHITELIST)
_PUBLISH = (PUBLISHERS, SUBSCRIBERS, OPEN)
_SEND_LAST = (NEVER, ON_SUB, ON_PRESENCE)
_MESSAGES = ("headline", "normal")
_NAMED = ("none", "publisher")
_YEAR = 31_536_000  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfiguration:
    """The settings of one node."""

    title: str = ""
    description: str = ""
    type: str = ""  # the namespace of what is published, for whoever wants to know
    access_model: str = OPEN  # who may subscribe, and read
    roster_groups: tuple[str, ...] = ()  # ... with the model `roster`
    publish_model: str = PUBLISHERS
    persist_items: bool = True  # else the last one is kept, in memory
    max_items: int
    item_expire: int = 0  # seconds; 0: never
    deliver_notifications: bool = True
    deliver_payloads: bool = True
    notify_retract: bool = True
    notify_delete: bool = True
    notify_config: bool = False
    send_last: str = ON_PRESENCE
    notification_type: str = "headline"
    shows_publisher: str = "none"


def node_form(config: ServerConfig) -> Form[NodeConfiguration]:
    """The form of a server with these limits."""
    return Form(
        FORM_TYPE,
        "Configuration of the node",
        (
            text("pubsub#title", "title", "Title", 1_023),
            text("pubsub#description", "description", "What is published here", 1_023),
            text("pubsub#type", "type", "Namespace of the payloads", 1_023),
            choice("pubsub#access_model", "access_model", "Who may subscribe and read", _ACCESS),
            texts("pubsub#roster_groups_allowed", "roster_groups", "Roster groups that may", 100),
            choice("pubsub#publish_model", "publish_model", "Who may publish", _PUBLISH),
            boolean("pubsub#persist_items", "persist_items", "Items are kept"),
            number("pubsub#max_items", "max_items", "Most items", config.max_items, 1),
            number("pubsub#item_expire", "item_expire", "Seconds that an item is kept", _YEAR),
            boolean("pubsub#deliver_notifications", "deliver_notifications", "Subscribers hear"),
            boolean("pubsub#deliver_payloads", "deliver_payloads", "... the payload, too"),
            boolean("pubsub#notify_retract", "notify_retract", "... when an item is removed"),
            boolean("pubsub#notify_delete", "notify_delete", "... when the node is deleted"),
            boolean("pubsub#notify_config", "notify_config", "... when this is changed"),
            choice(
                "pubsub#send_last_published_item",
                "send_last",
                "When the last item is sent",
                _SEND_LAST,
            ),
            choice(
                "pubsub#notification_type", "notification_type", "Type of the messages", _MESSAGES
            ),
            choice("pubsub#itemreply", "shows_publisher", "Whom items name", _NAMED),
        ),
    )


def of_service(config: ServerConfig) -> NodeConfiguration:
    """What holds for a new node of the service."""
    return NodeConfiguration(max_items=config.max_items)


def of_account() -> NodeConfiguration:
    """What holds for a new node of an account (XEP-0163 section 2.5): one item, for contacts."""
    return NodeConfiguration(access_model=PRESENCE, max_items=1, notify_retract=False)
