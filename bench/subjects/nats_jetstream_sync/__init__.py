"""NATS JetStream once more, with every write synced to the disk before it is acknowledged."""

from typing import ClassVar

from bench.subjects.nats_jetstream import NatsJetStream


class NatsJetStreamSync(NatsJetStream):
    name = "nats_jetstream_sync"
    label = "JetStream, sync always"
    short = "jetstream_sync"
    on_disk = "synced"
    settings: ClassVar[str] = "sync_interval: always"
