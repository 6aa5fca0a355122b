"""NATS core: request and reply with nats-py, a queue group of one worker."""

from functools import cached_property

from tests.servers.ports import LOOPBACK

from bench.servers import PortServer, version_of
from bench.subjects.subject import Start, Subject


class NatsCore(Subject):
    name = "nats_core"
    label = "NATS core"
    short = "nats"

    @cached_property
    def _server(self) -> PortServer:
        program = str(self.bin / "nats-server")
        return self.servers.start("nats-server", [program, "--addr", LOOPBACK])

    def server_pid(self) -> int:
        return self._server.program.pid

    def worker(self) -> Start:
        return self.script("worker", self._url)

    def caller(self, address: str) -> Start:
        return self.script("caller", self._url)

    def versions(self) -> dict[str, str]:
        return super().versions() | {
            "nats-server": version_of(str(self.bin / "nats-server"), "--version")
        }

    @property
    def _url(self) -> str:
        return f"nats://{LOOPBACK}:{self._server.port}"
