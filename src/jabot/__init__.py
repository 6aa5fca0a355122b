"""jabot: Python functions as contacts on a Jabber (XMPP) server."""

from jabot.account import Account
from jabot.calls import Broadcast, Job, Reply
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
    Expired,
    JabotError,
    JobCancelled,
    JobTimeout,
    KeyReused,
    LocalProtocolError,
    NobodyThere,
    NotAllowed,
    ParentFailed,
    ProtocolError,
    QueueNeeded,
    RemoteProtocolError,
    Replaced,
    StanzaError,
    StoreError,
    StoreUnavailable,
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
from jabot.neighbours import Neighbours
from jabot.node import Node
from jabot.node_jobs import NodeJob
from jabot.peers import Peer
from jabot.status import NodeStatus
from jabot.tasks import Context, Description, Retry, Step, Task
from jabot.topics import Event
from jabot.xmpp.room import Occupant, Room

__all__ = [
    "JID",
    "Account",
    "AuthenticationFailed",
    "BadArguments",
    "Broadcast",
    "CertificateError",
    "Client",
    "ConfigError",
    "ConnectionFailed",
    "Context",
    "Deferrable",
    "Description",
    "Draining",
    "Event",
    "Expired",
    "JabotError",
    "Job",
    "JobCancelled",
    "JobTimeout",
    "KeyReused",
    "LocalProtocolError",
    "Message",
    "Middleware",
    "Neighbours",
    "NobodyThere",
    "Node",
    "NodeJob",
    "NodeStatus",
    "NotAllowed",
    "Occupant",
    "ParentFailed",
    "Peer",
    "ProtocolError",
    "QueueNeeded",
    "RemoteProtocolError",
    "Replaced",
    "Reply",
    "Retry",
    "Room",
    "Run",
    "StanzaError",
    "Step",
    "StoreError",
    "StoreUnavailable",
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
