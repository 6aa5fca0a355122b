"""jabot: Python functions as contacts on a Jabber (XMPP) server."""

from jabot.account import Account
from jabot.calls import Description, Job
from jabot.chat import Message
from jabot.client import Client, connect
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
    JobTimeout,
    LocalProtocolError,
    NobodyThere,
    NotAllowed,
    ProtocolError,
    RemoteProtocolError,
    Replaced,
    TaskFailed,
    TooLarge,
    TooManyJobs,
    UnknownHost,
    UnknownJob,
    UnknownTask,
    WorkerLost,
)
from jabot.jid import JID
from jabot.middleware import Middleware, Run, Submission
from jabot.node import Node
from jabot.peers import Peer
from jabot.tasks import Context, Retry, Step, Task

__all__ = [
    "JID",
    "Account",
    "AuthenticationFailed",
    "BadArguments",
    "CertificateError",
    "Client",
    "ConfigError",
    "ConnectionFailed",
    "Context",
    "Deferrable",
    "Description",
    "Draining",
    "JabotError",
    "Job",
    "JobCancelled",
    "JobTimeout",
    "LocalProtocolError",
    "Message",
    "Middleware",
    "NobodyThere",
    "Node",
    "NotAllowed",
    "Peer",
    "ProtocolError",
    "RemoteProtocolError",
    "Replaced",
    "Retry",
    "Run",
    "Step",
    "Submission",
    "Task",
    "TaskFailed",
    "TooLarge",
    "TooManyJobs",
    "UnknownHost",
    "UnknownJob",
    "UnknownTask",
    "WorkerLost",
    "connect",
]
