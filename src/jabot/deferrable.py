"""A value that comes later, with callbacks and errbacks, after EventMachine's Deferrable."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Generic, Literal, Self, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
Status = Literal["unknown", "succeeded", "failed"]


class Deferrable(Generic[T]):
    """An outcome that others wait for: `succeed(value)` or `fail(error)`, once.

    Meant to be subclassed as well as used alone; there is no `__init__` that a subclass must
    remember to call. The rules are EventMachine's: callbacks run first in, first out, once, at the
    moment the status is set; one that is added later runs at once; one for the other outcome never
    runs. Where EventMachine is loose, this is strict: the first status is final, and a callback
    that raises is logged and the next one runs.

    Not thread-safe. From a thread, settle it with `loop.call_soon_threadsafe(d.succeed, value)`.
    """

    # Class-level defaults stand in for an __init__.
    _status: Status = "unknown"
    _value: Any = None
    _error: BaseException | None = None
    _listeners: list[tuple[Status | None, Callable[[Any], object]]] | None = None
    _timer: asyncio.TimerHandle | None = None

    @property
    def status(self) -> Status:
        """`unknown` until it is settled, then `succeeded` or `failed` for ever."""
        return self._status

    @property
    def value(self) -> Any:
        """What it succeeded with; None when it has not."""
        return self._value

    @property
    def error(self) -> BaseException | None:
        """What it failed with; None when it has not."""
        return self._error

    def succeed(self, value: T) -> bool:
        """Settle it with a value; False (and nothing happens) when it was settled before."""
        return self._settle("succeeded", value, None)

    def fail(self, error: BaseException) -> bool:
        """Settle it with an error; False (and nothing happens) when it was settled before."""
        if not isinstance(error, BaseException):
            raise TypeError(f"fail() takes an exception, not {error!r}")
        return self._settle("failed", None, error)

    def callback(self, function: Callable[[T], object]) -> Self:
        """Call `function(value)` when it succeeds, or now when it has."""
        return self._listen("succeeded", function)

    def errback(self, function: Callable[[BaseException], object]) -> Self:
        """Call `function(error)` when it fails, or now when it has."""
        return self._listen("failed", function)

    def completion(self, function: Callable[[Self], object]) -> Self:
        """Call `function(self)` when it is settled in either way, or now when it is."""
        return self._listen(None, function)

    def cancel_callback(self, function: Callable[..., object]) -> bool:
        """Forget a callback, errback or completion; False when it was not waiting."""
        before = self._listeners or []
        self._listeners = [entry for entry in before if entry[1] != function]
        return len(self._listeners) < len(before)

    def timeout(self, seconds: float, error: BaseException | None = None) -> Self:
        """Fail with `error` (`TimeoutError` by default) unless it is settled within `seconds`.

        Needs a running event loop. A second call replaces the first one's limit.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._status == "unknown":
            failure = error or TimeoutError(f"no result within {seconds:g} s")
            self._timer = asyncio.get_running_loop().call_later(seconds, self.fail, failure)
        return self

    def __await__(self) -> Generator[Any, None, T]:
        """The value, or the error is raised. Many may wait; one that gives up harms nobody."""
        if self._status == "unknown":
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            wake = partial(_wake, future)
            if self._listeners is None:  # as `completion` does, for thousands a second
                self._listeners = [(None, wake)]
            else:
                self._listeners.append((None, wake))
            try:
                yield from future.__await__()
            except BaseException:
                self.cancel_callback(wake)
                raise
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    def _listen(self, outcome: Status | None, function: Callable[[Any], object]) -> Self:
        if _is_coroutine_function(function):
            raise TypeError(f"{function!r} is a coroutine function; await the deferrable instead")
        if self._status == "unknown":
            if self._listeners is None:
                self._listeners = []
            self._listeners.append((outcome, function))
        elif outcome in (None, self._status):
            self._call(outcome, function)
        return self

    def _settle(self, status: Status, value: Any, error: BaseException | None) -> bool:
        if self._status != "unknown":
            return False
        self._status, self._value, self._error = status, value, error
        if self._timer is not None:
            self._timer.cancel()
        # Taken one by one: a callback may cancel one that has not run yet.
        while self._listeners:
            outcome, function = self._listeners.pop(0)
            if outcome in (None, status):
                self._call(outcome, function)
        return True

    def _call(self, outcome: Status | None, function: Callable[[Any], object]) -> None:
        if outcome is None:
            argument: Any = self
        else:
            argument = self._value if outcome == "succeeded" else self._error
        try:
            function(argument)
        except (Exception, asyncio.CancelledError):
            log.exception("callback %r of %r raised", function, self)


def _wake(future: asyncio.Future[None], _: object) -> None:
    if not future.done():
        future.set_result(None)


def _is_coroutine_function(function: Callable[..., object]) -> bool:
    """`inspect` looks into partials and wrappers, which takes longer than all else here; most
    functions carry their code themselves."""
    code = getattr(function, "__code__", None)
    if code is None:
        return inspect.iscoroutinefunction(function)
    return bool(code.co_flags & inspect.CO_COROUTINE)
