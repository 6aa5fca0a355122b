"""Every error that jabot raises.

    JabotError
    ├── ConfigError              an account, address, option or rule that cannot be used
    ├── ConnectionFailed         the server cannot be reached, or the connection ended for good
    │   ├── AuthenticationFailed the server refuses the account or its password
    │   ├── UnknownHost          the server's name does not resolve
    │   ├── CertificateError     the server's certificate is not to be trusted
    │   └── Replaced             another program took this session's place (`conflict`)
    ├── BadArguments             a task was asked for with arguments that it does not take
    ├── UnknownTask              nobody offers a task of that name
    ├── NotAllowed               the caller may not run the task
    ├── TaskFailed               the task raised an exception
    ├── JobCancelled             somebody cancelled the job
    ├── TooManyJobs              one caller has more unfinished jobs than the node takes
    └── Draining                 the node is stopping and takes no more jobs

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


class BadArguments(JabotError):
    """Arguments that the task does not take; the message names the parameter."""


class UnknownTask(JabotError):
    """No task of that name is offered."""


class NotAllowed(JabotError):
    """The caller may not do this; the message says which rule decided."""


class TaskFailed(JabotError):
    """The task raised. `str()` is the exception's own message, without a traceback."""


class JobCancelled(JabotError):
    """The job was cancelled before it ended."""


class TooManyJobs(JabotError):
    """One caller has more unfinished jobs than the node takes from one."""


class Draining(JabotError):
    """The node is stopping: it finishes what runs and takes nothing more."""
