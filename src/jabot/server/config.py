"""What can be set about a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Settings of one server. Times are in seconds, sizes in bytes."""

    domain: str = "localhost"
    host: str = "127.0.0.1"  # the address to listen on; TLS is a must where it is not loopback
    port: int = 5222  # 0: a free one
    data: Path | None = None  # accounts, rosters, offline messages, certificate; None: in memory

    max_stanza: int = 262_144  # of a session that is signed in
    max_stanza_before_auth: int = 10_000
    max_depth: int = 64  # elements in elements
    max_backlog: int = 33_554_432  # not yet read by a client; past it the client is closed
    max_connections: int = 5_000
    max_logins: int = 5  # failed ones in one stream
    max_offline: int = 100  # messages kept for one user
    max_roster: int = 5_000  # contacts of one user
    max_directed: int = 10_000  # addresses to which one session has shown itself
    max_rooms: int = 100  # made by one account, and still there
    max_occupants: int = 1_000  # sessions in one room
    max_affiliations: int = 5_000  # accounts that are something to one room, or to one node
    max_room_stanza: int = 131_072  # of what is sent to a room: all in it get it
    max_nodes: int = 1_000  # of publish-subscribe, made by one account
    max_items: int = 1_000  # of one node
    max_item: int = 65_536  # of one payload
    max_topic_bytes: int = 67_108_864  # of all payloads in the nodes that one account has made
    max_subscribers: int = 5_000  # of one node

    auth_timeout: float = 30.0  # from the connection to the session
    ping_interval: float = 30.0  # of silence, after which a session is pinged
    ping_timeout: float = 15.0  # for the answer to the ping
    write_timeout: float = 15.0  # for a client that reads nothing while data waits for it
    close_timeout: float = 2.0  # for clients to close their side when the server stops

    scram_iterations: int = 10_000  # of PBKDF2, for passwords set from now on
