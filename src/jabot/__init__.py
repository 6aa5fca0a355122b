"""jabot: Python functions as contacts on a Jabber (XMPP) server."""

from jabot.account import Account
from jabot.chat import Message
from jabot.deferrable import Deferrable
from jabot.errors import (
    AuthenticationFailed,
    BadArguments,
    CertificateError,
    ConfigError,
    ConnectionFailed,
    Draining,
    JabotError,
    JobCancelled,
    NotAllowed,
    Replaced,
    TaskFailed,
    TooManyJobs,
    UnknownHost,
    UnknownTask,
)
from jabot.jid import JID
from jabot.node import Node
from jabot.tasks import Context, Step, Task

__all__ = [
    "JID",
    "Account",
    "AuthenticationFailed",
    "BadArguments",
    "CertificateError",
    "ConfigError",
    "ConnectionFailed",
    "Context",
    "Deferrable",
    "Draining",
    "JabotError",
    "JobCancelled",
    "Message",
    "Node",
    "NotAllowed",
    "Replaced",
    "Step",
    "Task",
    "TaskFailed",
    "TooManyJobs",
    "UnknownHost",
    "UnknownTask",
]
