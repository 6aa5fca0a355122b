"""What the author of a node wrote."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from jabot.access import Access
from jabot.chat import Message
from jabot.errors import ConfigError
from jabot.middleware import Middleware
from jabot.neighbours import Neighbours
from jabot.protocol.options import OWN_TASKS
from jabot.runner.timers import Timer
from jabot.status import StatusFields
from jabot.tasks import Registry
from jabot.topics import Follower, Handler, Place
from jabot.xmpp.room import Room
from jabot.xmpp.topics import TopicSettings

Hook = Callable[[], Any]


@dataclass
class Definition:
    """All that is known of a node before it signs in."""

    access: Access
    concurrency: int
    drain_limit: float  # seconds that running jobs get when the node is to stop
    farewell: str
    tasks: Registry
    jobs_per_caller: int
    labels: dict[str, str] = field(default_factory=dict)
    status_topic: bool = False
    status_fields: StatusFields = field(default_factory=StatusFields)
    middleware: list[Middleware] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)  # bare addresses
    rooms: list[Room] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    topics: dict[Place, TopicSettings] = field(default_factory=dict)
    followers: list[tuple[Callable[[], Follower], Handler]] = field(default_factory=list)
    on_start: list[Hook] = field(default_factory=list)
    on_stop: list[Hook] = field(default_factory=list)
    on_peer: list[Callable[[Neighbours], Any]] = field(default_factory=list)
    on_message: Callable[[Message], Any] | None = None

    def check(self, own_tasks: Collection[str]) -> None:
        """Raises `ConfigError` for a rule or a task that cannot be meant. `own_tasks` are those
        that the node does without that its author wrote them."""
        tasks = {task.name for task in self.tasks} | set(own_tasks)
        for name, who in self.access.named_tasks.items():
            if name not in tasks:
                offered = ", ".join(task.name for task in self.tasks) or "none"
                raise ConfigError(
                    f"allow= lets {who} run {name}, and this node has no such task; "
                    f"its tasks: {offered}"
                )
        for task in self.tasks if self.queues else ():
            if task.name.startswith(OWN_TASKS):
                raise ConfigError(
                    f"task {task.name}: what begins with {OWN_TASKS} a queue does itself, and this "
                    "node works for one; give the task another name="
                )
            if not task.retry.travels:
                raise ConfigError(
                    f"task {task.name}: retries: this node works for a queue, which cannot be told "
                    "a function; name exceptions in `on`"
                )
