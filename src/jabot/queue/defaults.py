"""A job's options, completed by what the author of its task said."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from jabot.protocol.frames import Submit
from jabot.protocol.options import NO_OPTIONS, THIS, JobOptions

_BY_AUTHOR: Final = ("retry", "expires", "priority", "unique", "lane")


def with_defaults(options: JobOptions, defaults: JobOptions | None, asked: Submit) -> JobOptions:
    """What was left out is as the task's author says."""
    if defaults is not None and defaults != NO_OPTIONS:
        missing = {
            name: getattr(defaults, name) for name in _BY_AUTHOR if getattr(options, name) is None
        }
        options = msgspec.structs.replace(options, **missing)
    if options.unique == THIS:
        options = msgspec.structs.replace(options, unique=_name(asked))
    if options.lane is not None and options.lane.name == THIS:
        lane = msgspec.structs.replace(options.lane, name=asked.task)
        options = msgspec.structs.replace(options, lane=lane)
    return options


def _name(asked: Submit) -> str:
    digest = hashlib.blake2b(bytes(asked.args) + b" " + bytes(asked.kwargs), digest_size=16)
    return f"{asked.task} {digest.hexdigest()}"
