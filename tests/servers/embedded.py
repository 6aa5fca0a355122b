"""The server that ships with jabot, as a process of its own."""

import shutil
import socket
import sys

from .process import Server


class Embedded(Server):
    """`jabot server`, with a data folder that outlives its restarts.

    It replaces a certificate that is expired or names another host by one of its own making.
    """

    kind = "embedded"

    def prepare(self) -> None:
        data = self.folder / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(self.certificate.chain_file, data / "cert.pem")
        shutil.copy(self.certificate.key_file, data / "key.pem")

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", "jabot", "server"),
            *("--domain", self.domain, "--host", self.host, "--port", str(self.port)),
            *("--data", str(self.folder / "data")),
        ]

    def is_ready(self) -> bool:
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

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
