"""The subjects, in the order in which a round visits them."""

from bench.subjects.celery_redis import CeleryRedis
from bench.subjects.celery_redis_late import CeleryRedisLate
from bench.subjects.direct import Direct
from bench.subjects.dramatiq_redis import DramatiqRedis
from bench.subjects.durable import DurableSubject
from bench.subjects.durable_postgres import DurablePostgres
from bench.subjects.durable_sqlite import DurableSqlite
from bench.subjects.nats_core import NatsCore
from bench.subjects.nats_jetstream import NatsJetStream
from bench.subjects.nats_jetstream_sync import NatsJetStreamSync
from bench.subjects.procrastinate import Procrastinate
from bench.subjects.raw_echo import RawEcho
from bench.subjects.spade import Spade
from bench.subjects.subject import Subject
from bench.subjects.taskiq_redis import TaskiqRedis

SUBJECTS: tuple[type[Subject], ...] = (RawEcho, Direct, NatsCore, Spade, CeleryRedis)

DURABLE: tuple[type[DurableSubject], ...] = (
    DurableSqlite,
    DurablePostgres,
    NatsJetStream,
    NatsJetStreamSync,
    CeleryRedisLate,
    DramatiqRedis,
    TaskiqRedis,
    Procrastinate,
)

ALL: tuple[type[Subject], ...] = SUBJECTS + DURABLE
