"""Topics: named streams of events that nodes publish and follow (XEP-0060)."""

from jabot.topics.event import Event
from jabot.topics.follower import Follower
from jabot.topics.following import Following
from jabot.topics.handler import Handler
from jabot.topics.publisher import Publisher, TopicOwner
from jabot.topics.publishing import Place, Publishing

__all__ = [
    "Event",
    "Follower",
    "Following",
    "Handler",
    "Place",
    "Publisher",
    "Publishing",
    "TopicOwner",
]
