"""Which failures a test has looked at."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Self, cast

from jabot.calls import Calls, Job
from jabot.deferrable import Status


class Handles:
    """The jobs that a test has submitted, and the ids of those whose failure it has seen: awaited,
    called back, or read."""

    def __init__(self, calls: Callable[[], Calls]) -> None:
        self.noticed: set[str] = set()
        self._jobs: dict[str, Job[Any]] = {}
        self._calls = calls

    def __contains__(self, job_id: str) -> bool:
        """Whether the test has a handle of that job."""
        return job_id in self._jobs

    @property
    def calls(self) -> Calls:
        """A caller's end that gives watched handles."""
        return cast(Calls, _Watching(self._calls(), self._watch))

    def unfinished(self) -> str:
        """What the handles wait for, in a sentence."""
        names = [f"{job.task} {job.id}" for job in self._jobs.values() if job._status == "unknown"]
        return f"Not over: {', '.join(names)}." if names else ""

    def _watch(self, job: Job[Any]) -> None:
        job.__class__ = _Watched
        cast(_Watched, job).notice = self.noticed.add
        self._jobs[job.id] = job


class _Watching:
    """Calls, with an eye on the handles that they give."""

    def __init__(self, calls: Calls, watch: Callable[[Job[Any]], None]) -> None:
        self._inner = calls
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if name not in ("submit", "begin", "attach"):
            return inner

        async def watched(*args: Any, **kwargs: Any) -> Job[Any]:
            job: Job[Any] = await inner(*args, **kwargs)
            self._watch(job)
            return job

        return watched


class _Watched(Job[Any]):
    """A handle that tells when somebody learns from it that the job has failed."""

    notice: Callable[[str], None]

    @property
    def status(self) -> Status:
        """See `Job`."""
        if self._status == "failed":
            self.notice(self.id)
        return self._status

    @property
    def error(self) -> BaseException | None:
        """See `Job`."""
        self.notice(self.id)
        return self._error

    def errback(self, function: Callable[[BaseException], object]) -> Self:
        """See `Job`."""
        self.notice(self.id)
        return super().errback(function)

    def completion(self, function: Callable[[Self], object]) -> Self:
        """See `Job`."""
        self.notice(self.id)
        return super().completion(function)

    def __await__(self) -> Generator[Any, None, Any]:
        self.notice(self.id)
        return (yield from super().__await__())
