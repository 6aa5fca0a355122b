"""A function that is called with what is published."""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from jabot.errors import ConfigError
from jabot.runner.timers import call
from jabot.tasks.signature import check_type
from jabot.topics.event import Event

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Handler:
    """The function, the type of the payload that it takes, and where the `Event` goes."""

    function: Callable[..., Any]
    kind: Any
    event: str | None  # the name of the parameter that gets it

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Handler:
        """Read a function's signature. Raises `ConfigError` for one that cannot be called so."""
        name = getattr(function, "__qualname__", repr(function))
        try:
            hints = typing.get_type_hints(function, include_extras=True)
        except NameError as error:
            raise ConfigError(f"{name}: an annotation: {error}") from None
        parameters = list(inspect.signature(function).parameters.values())
        event = next((p.name for p in parameters if hints.get(p.name) is Event), None)
        others = [p for p in parameters if p.name != event]
        needed = [p for p in others if p.default is p.empty]
        if (
            not others
            or others[0].kind
            not in (
                inspect.Parameter.POSITIONAL_ONLY,
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
            )
            or len(needed) > 1
            or (needed and needed[0] is not others[0])
        ):
            raise ConfigError(
                f"{name}: it takes what was published as its one argument, and the Event where a"
                " parameter is annotated so"
            )
        hint = hints.get(others[0].name, Any)
        check_type(f"{name}: parameter {others[0].name}", hint)
        return cls(function, hint, event)

    async def call(self, event: Event) -> None:
        """Call the function; a plain one runs in a thread. What it raises is logged."""
        more = {} if self.event is None else {self.event: event}
        try:
            await call(partial(self.function, event.payload, **more), name="jabot topic")
        except Exception:
            log.exception("%s raised on an event of %s", self.function, event.topic)
