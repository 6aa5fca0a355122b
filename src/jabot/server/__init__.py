"""The embedded XMPP server: knows XMPP, knows nothing of jobs.

    server = Server(ServerConfig(port=0))
    server.add_user("bot", "secret")
    await server.start()          # server.port
    await server.stop()

A stanza's way through it: connection -> parser -> stream -> host -> router -> connection.
"""

from jabot.server.config import ServerConfig
from jabot.server.server import Server

__all__ = ["Server", "ServerConfig"]
