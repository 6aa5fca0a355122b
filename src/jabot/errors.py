"""Every error that jabot raises.

    JabotError
    ├── ConfigError              an account, address, option or rule that cannot be used
    ├── ConnectionFailed         the server cannot be reached, or the connection ended for good
    │   ├── AuthenticationFailed the server refuses the account or its password
    │   ├── UnknownHost          the server's name does not resolve
    │   ├── CertificateError     the server's certificate is not to be trusted
    │   └── Replaced             another program took this session's place (`conflict`)
    ├── StanzaError              a server, a room or a program refuses what was asked of it
    ├── BadArguments             a task was asked for with arguments that it does not take
    ├── UnknownTask              nobody offers a task of that name
    ├── NotAllowed               the caller may not run the task
    ├── TaskFailed               the task raised an exception
    ├── JobCancelled             somebody cancelled the job
    ├── JobTimeout               the job had no outcome within its time
    ├── TooManyJobs              one caller has more unfinished jobs than the node takes
    ├── Draining                 the node is stopping and takes no more jobs
    ├── NobodyThere              no worker is online that the job could be given to
    ├── WorkerLost               the worker vanished, and what became of the job is not known
    ├── UnknownJob               nobody who was asked knows a job of that id (any more)
    ├── TooLarge                 arguments or a result past what is carried
    ├── QueueNeeded              options that only a queue knows, for a job to a plain worker
    ├── KeyReused                the key of a job stands for another task or other arguments
    ├── Expired                  the job was not begun in the time that it had for that
    ├── ParentFailed             a job that this one was to come after did not succeed
    ├── StoreError               where a queue keeps its jobs cannot be used
    │   └── StoreUnavailable     not now: the disk is full, the database is away
    └── ProtocolError            frames that the protocol does not allow
        ├── LocalProtocolError   by our side: a mistake in this program
        └── RemoteProtocolError  by the other side

A message says what happened, to what, and what to do about it. Messages never hold a
password, and never a traceback.
"""

from __future__ import annotations


class JabotError(Exception):
    """The root of the tree above."""


class ConfigError(JabotError):
    """An account, an address, an option or an access rule that cannot be used."""


class ConnectionFailed(JabotError):
    """The server cannot be reached, or it ended the connection for good."""


class AuthenticationFailed(ConnectionFailed):
    """The server refuses the account or its password. Trying again would not help."""


class UnknownHost(ConnectionFailed):
    """The server's name does not resolve, or the server does not serve the account's domain."""


class CertificateError(ConnectionFailed):
    """The server's TLS certificate is expired, for another name, or signed by nobody we trust."""


class Replaced(ConnectionFailed):
    """Another session took this one's place (RFC 6120 section 4.9.3.3, `conflict`)."""


class StanzaError(JabotError):
    """A server, a room, a topic or a program refuses what was asked of it.

    `condition` is one of RFC 6120 section 8.3.3, such as `item-not-found`; `text` says more, if it
    was told.
    """

    def __init__(self, condition: str, text: str = "") -> None:
        super().__init__(f"{condition.replace('-', ' ')}: {text}" if text else condition)
        self.condition = condition
        self.text = text


class BadArguments(JabotError):
    """Arguments that the task does not take; the message names the parameter."""


class UnknownTask(JabotError):
    """No task of that name is offered."""


class NotAllowed(JabotError):
    """The caller may not do this; the message says which rule decided."""


class TaskFailed(JabotError):
    """The task raised. `str()` is the exception's type and message, without a traceback.

    When it ran elsewhere, `type`, `message` and `traceback` are what its worker said, as text.
    """

    def __init__(
        self, text: str = "", *, kind: str = "", message: str = "", traceback: str = ""
    ) -> None:
        super().__init__(text)
        self.type = kind
        self.message = message
        self.traceback = traceback


class JobCancelled(JabotError):
    """The job was cancelled before it ended."""


class TooManyJobs(JabotError):
    """One caller has more unfinished jobs than the node takes from one."""


class Draining(JabotError):
    """The node is stopping: it finishes what runs and takes nothing more."""


class JobTimeout(JabotError, TimeoutError):
    """The job had no outcome within its time. Its worker was told to stop it."""


class NobodyThere(JabotError):
    """No worker is online that the job could be given to. Nothing ran."""


class WorkerLost(JabotError):
    """The worker vanished before the job's outcome came; it may have run, in part or wholly."""


class UnknownJob(JabotError):
    """Nobody who was asked knows a job of that id: it is not the account's own, was never taken,
    or ended so long ago that its outcome is no longer kept."""


class TooLarge(JabotError):
    """Arguments or a result larger than what is carried. Send where it is instead."""


class QueueNeeded(JabotError):
    """The job has options that only a queue can keep, and it was given to a plain worker."""


class KeyReused(JabotError):
    """The key was used for another task, or for other arguments; that job is untouched."""


class Expired(JabotError):
    """The job was not begun in the time that it had for that. Nothing ran."""


class ParentFailed(JabotError):
    """A job that this one was to come after failed or was cancelled. Nothing ran."""


class StoreError(JabotError):
    """Where a queue keeps its jobs cannot be used: the message says why, and what to do."""


class StoreUnavailable(StoreError):
    """The store cannot be written now: its disk is full, or its server is away. Nothing is lost;
    what was not acknowledged is said again."""


class ProtocolError(JabotError):
    """Frames that the protocol does not allow; the class below says whose fault it is."""


class LocalProtocolError(ProtocolError):
    """This side was about to break the protocol: a mistake in this program."""


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol; the message says with what."""
