"""What a node offers: typed functions, by name. Knows no node, no network and no chat."""

from jabot.tasks.context import Context, Step
from jabot.tasks.registry import Registry
from jabot.tasks.retry import Retry
from jabot.tasks.signature import Parameter, Signature
from jabot.tasks.task import Kind, Task

__all__ = ["Context", "Kind", "Parameter", "Registry", "Retry", "Signature", "Step", "Task"]
