"""The stream and its consumer: what both ends have to agree on."""

from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig

SUBJECT = "jobs"
_STREAM = "JOBS"
_CONSUMER = "workers"


async def declare(jetstream: JetStreamContext) -> None:
    """Create the stream; nothing happens when it is there already."""
    await jetstream.add_stream(
        StreamConfig(
            name=_STREAM,
            subjects=[SUBJECT],
            retention=RetentionPolicy.WORK_QUEUE,
            storage=StorageType.FILE,
        )
    )


async def subscribe(jetstream: JetStreamContext) -> JetStreamContext.PullSubscription:
    """One durable consumer for all workers, with the server's own limits and waiting times."""
    return await jetstream.pull_subscribe(
        SUBJECT,
        durable=_CONSUMER,
        stream=_STREAM,
        config=ConsumerConfig(ack_policy=AckPolicy.EXPLICIT),
    )
