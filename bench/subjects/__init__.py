"""The subjects, in the order in which a round visits them."""

from bench.subjects.celery_redis import CeleryRedis
from bench.subjects.direct import Direct
from bench.subjects.nats_core import NatsCore
from bench.subjects.raw_echo import RawEcho
from bench.subjects.spade import Spade
from bench.subjects.subject import Subject

SUBJECTS: tuple[type[Subject], ...] = (RawEcho, Direct, NatsCore, Spade, CeleryRedis)
