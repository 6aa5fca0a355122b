"""NATS JetStream: a work-queue stream in files, a pull consumer, explicit acknowledgement."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

from tests.servers.ports import LOOPBACK

from bench.servers import PortServer, version_of
from bench.subjects.durable import DurableSubject
from bench.subjects.subject import Start


class NatsJetStream(DurableSubject):
    name = "nats_jetstream"
    label = "JetStream, as it comes"
    short = "jetstream"
    on_disk = "written, synced within 2 minutes"
    settings: ClassVar[str] = ""  # of JetStream, besides the folder

    _server: PortServer

    @classmethod
    def folder(cls) -> Path:
        return Path(__file__).parent

    def open(self, stack: ExitStack) -> Sequence[int]:
        data = self.servers.data(self.name)
        config = data / "server.conf"
        config.write_text(f'jetstream {{\n  store_dir: "{data}"\n  {self.settings}\n}}\n')
        command = [str(self.bin / "nats-server"), "--addr", LOOPBACK, "--config", str(config)]
        self._server = self.servers.start(self.name, command, stack)
        return [self._server.program.pid]

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
