"""The server that ships with jabot, as a process of its own."""

import socket
import subprocess
import sys

from .process import Server


class Embedded(Server):
    kind = "embedded"

    def prepare(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)

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
        jid = f"{name}@{self.domain}"
        subprocess.run(
            [
                *(sys.executable, "-m", "jabot", "server", "adduser", jid),
                *("--data", str(self.folder / "data")),
            ],
            input=password + "\n",
            text=True,
            check=True,
            capture_output=True,
        )
        return jid
