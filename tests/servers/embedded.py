"""The server that ships with jabot, as a process of its own."""

import shutil
import sys
from pathlib import Path
from typing import Any

from .certificates import Certificate
from .process import Server

# Its limits are no options of the command line.
_IMPATIENT = """
import asyncio, sys
from pathlib import Path
from jabot.cli.server import _serve
from jabot.server import ServerConfig

domain, host, port, data, keepalive = sys.argv[1:]
where = {"domain": domain, "host": host, "port": int(port), "data": Path(data)}
limits = {"ping_interval": float(keepalive), "ping_timeout": float(keepalive)}
asyncio.run(_serve(ServerConfig(**where, **limits)))
"""


class Embedded(Server):
    """`jabot server`, with a data folder that outlives its restarts.

    It replaces a certificate that is expired or names another host by one of its own making.
    """

    kind = "embedded"

    def __init__(
        self, folder: Path, certificate: Certificate, *, keepalive: int | None = None, **where: Any
    ) -> None:
        super().__init__(folder, certificate, **where)
        self._keepalive = keepalive  # seconds of silence until a ping, and again until the end

    def prepare(self) -> None:
        data = self.folder / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(self.certificate.chain_file, data / "cert.pem")
        shutil.copy(self.certificate.key_file, data / "key.pem")

    def command(self) -> list[str]:
        if self._keepalive is not None:
            words = (self.domain, self.host, self.port, self.folder / "data", self._keepalive)
            return [sys.executable, "-c", _IMPATIENT, *map(str, words)]
        return [
            *(sys.executable, "-m", "jabot", "server"),
            *("--domain", self.domain, "--host", self.host, "--port", str(self.port)),
            *("--data", str(self.folder / "data")),
        ]

    def add_user(self, name: str, password: str) -> str:
        """Written into the data folder, as `jabot server adduser` does, without its start-up."""
        # Here and not above: tests of other parts must run while the server is broken.
        from jabot.server import Server as EmbeddedServer
        from jabot.server import ServerConfig

        accounts = EmbeddedServer(ServerConfig(domain=self.domain, data=self.folder / "data"))
        try:
            accounts.add_user(name, password)
        finally:
            accounts.close()
        return f"{name}@{self.domain}"
