"""Real XMPP servers for the tests: each a process of its own, on loopback, in a private folder."""

from pathlib import Path

from .certificates import Authority, Certificate
from .ejabberd import Ejabberd
from .embedded import Embedded
from .memory import MEMORY, InMemory
from .process import Account, Server, ServerMissingError, runs
from .prosody import Prosody

__all__ = [
    "KINDS",
    "MEMORY",
    "Account",
    "Authority",
    "Certificate",
    "Ejabberd",
    "Embedded",
    "InMemory",
    "Prosody",
    "Server",
    "ServerMissingError",
    "create",
    "runs",
]

KINDS: dict[str, type[Server]] = {kind.kind: kind for kind in (Embedded, Ejabberd, Prosody)}


def create(kind: str, folder: Path, certificate: Certificate, **options: str) -> Server:
    """A server of that kind, not started yet; `options` are those of its class."""
    return KINDS[kind](folder, certificate, **options)
