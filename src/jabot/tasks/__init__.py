"""What a node offers: typed functions, by name. Knows no node, no network and no chat."""

from jabot.tasks.command import Command
from jabot.tasks.context import Context, Step
from jabot.tasks.described import Description
from jabot.tasks.offer import Offer
from jabot.tasks.registry import Registry
from jabot.tasks.retry import Retry
from jabot.tasks.signature import Arguments, Bind, Parameter, Signature
from jabot.tasks.task import Kind, Task, TaskOptions

__all__ = [
    "Arguments",
    "Bind",
    "Command",
    "Context",
    "Description",
    "Kind",
    "Offer",
    "Parameter",
    "Registry",
    "Retry",
    "Signature",
    "Step",
    "Task",
    "TaskOptions",
]
