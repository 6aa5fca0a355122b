"""From what was written down to a `History`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from jabot.protocol.states import JobState
from jabot.queue.store import open_store
from jabot.queue.store.records import Record
from jabot.queue.store.store import Store
from jabot.queue.store.verbs import Filter, List, Look

from .checker import Crash, History, Lost, Outcome, Run, Stored
from .journal import read

_PAGE = 500
_ERRORS = {"cancelled": "JobCancelled"}


async def gather(
    folder: Path, store_url: str, workers: Iterable[str], callers: Iterable[str]
) -> History:
    """Read the journals, and the store, which no queue uses any more."""
    told = [line for name in callers for line in read(folder / f"{name}.jsonl")]
    acknowledged = [
        (line["number"], line["job"]) for line in told if line["what"] == "acknowledged"
    ]
    store = open_store(store_url)
    await store.open()
    try:
        records = await records_of(store)
        known = {job for _, job in acknowledged}
        aliases = await _aliases(store, known - records.keys())
    finally:
        await store.close()
    return History(
        submitted=[line["number"] for line in told if line["what"] == "submit"],
        acknowledged=acknowledged,
        runs=[run for name in workers for run in _runs(read(folder / f"{name}.jsonl"))],
        outcomes=[_outcome(line) for line in told if line["what"] == "outcome"],
        stored={job: stored(record) for job, record in records.items()},
        aliases=aliases,
        unknown=[line["job"] for line in told if line["what"] == "unknown"],
        lost=[
            Lost(record.id, attempt.number, attempt.error)
            for record in records.values()
            for attempt in record.history
            if attempt.outcome == "lost"
        ],
        crashes=[
            Crash(line["target"], line["mono"])
            for line in read(folder / "nemesis.jsonl")
            if (line["what"] == "fault" and line["kind"] in ("kill", "restart"))
            or line["what"] == "ended"
        ],
    )


async def records_of(store: Store) -> dict[str, Record]:
    """All jobs, with what became of them."""
    found: dict[str, Record] = {}
    before: str | None = None
    while True:
        (page,) = await store.apply([List(Filter(before=before), _PAGE)])
        for record in await store.apply([Look(record.id) for record in page]):
            found[record.id] = record
        if len(page) < _PAGE:
            return found
        before = page[-1].id


async def _aliases(store: Store, ids: Iterable[str]) -> dict[str, str]:
    asked = list(ids)
    answers = await store.apply([Look(job) for job in asked]) if asked else []
    return {job: record.id for job, record in zip(asked, answers, strict=True) if record}


def _runs(lines: Iterable[dict[str, Any]]) -> list[Run]:
    began: dict[tuple[Any, ...], dict[str, Any]] = {}
    runs = []
    for line in lines:
        key = (line["job"], line["attempt"], line["pid"])
        if line["what"] == "begin" and key not in began:
            began[key] = line
        elif line["what"] == "begin":
            runs.append(_run(line))  # twice in one process: shown as it is
        elif line["what"] in ("end", "raise"):
            runs.append(_run(began.pop(key), line))
    return [*runs, *(_run(line) for line in began.values())]


def _run(begin: dict[str, Any], end: dict[str, Any] | None = None) -> Run:
    what = "" if end is None else end["what"]
    return Run(
        begin["job"],
        begin["number"],
        begin["attempt"],
        begin["worker"],
        begin["mono"],
        result=token(begin) if what == "end" else None,
        raised=what == "raise",
        ended=None if end is None else end["mono"],
    )


def token(line: dict[str, Any]) -> str:
    """The result of an execution, which no other one has."""
    return f"{line['job']} {line['attempt']} {line['worker']} {line['pid']}"


def _outcome(line: dict[str, Any]) -> Outcome:
    if "value" in line:
        return Outcome(line["job"], result=line["value"])
    return Outcome(line["job"], error=line["error"])


def stored(record: Record) -> Stored:
    """A job as the judge sees it."""
    succeeded = record.state is JobState.SUCCEEDED
    arguments = msgspec.json.decode(record.args)
    failure = record.failure
    error = _ERRORS.get(record.state.value, failure.type if failure is not None else "")
    return Stored(
        record.id,
        record.state.value,
        number=arguments[0] if arguments else None,
        result=msgspec.json.decode(record.result) if succeeded and record.result else None,
        error="" if succeeded else error,
        code=failure.code if failure is not None else "",
        attempt=record.attempt,
        expires=record.options.expires is not None,
        retries=record.options.retry is not None,
    )
