"""What a queue knows of its workers' tasks: the newest word of any of them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Raw

from jabot.errors import ConfigError, JabotError
from jabot.protocol import limits
from jabot.protocol.options import DAY, JobOptions
from jabot.queue.ledger import Ledger
from jabot.queue.names import is_task_name
from jabot.queue.store.records import TaskWord
from jabot.queue.store.verbs import DESCRIPTION, MOST_TASKS, Learn, Tasks
from jabot.tasks import Description, Offer
from jabot.tasks.described import ANYTHING, offer_of
from jabot.tasks.registry import find_name

log = logging.getLogger(__name__)

_REFRESH: Final = DAY  # seconds after which it is noted again that a task is still offered
_DOC: Final = 1000  # characters that are kept of the docstring of a task with a large description
_encode = msgspec.json.encode  # keeps the order of the parameters: it is that of their places
_decode = msgspec.json.Decoder(Description).decode


class Catalogue:
    """Learns from workers, keeps it in the store, and reads there what others have learned.

    `ask(peer)` has a worker describe its tasks, `on_change()` is called when any description has
    changed. What two workers say differently of one task is as the one says that came last.
    """

    def __init__(
        self,
        ledger: Ledger,
        ask: Callable[[str], Awaitable[dict[str, Description]]],
        on_change: Callable[[], None],
        *,
        wall: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._ask = ask
        self._on_change = on_change
        self._wall = wall
        self.defaults: dict[str, JobOptions] = {}
        """What the authors of tasks say of their jobs."""
        self._words: dict[str, TaskWord] = {}
        self._versions: dict[str, set[str]] = {}  # by task: what its description came under
        self._offers: dict[str, Offer] = {}
        self._said: dict[str, tuple[str, Mapping[str, JobOptions]]] = {}  # by worker
        self._asking: dict[str, asyncio.Task[None]] = {}  # by version
        self._version: str | None = None

    # -- what is known ------------------------------------------------------------------------

    def find(self, word: str) -> Offer | None:
        """The task that a person means by a word."""
        name = find_name(word, self._words)
        return None if name is None else self.offer(name)

    def offer(self, name: str) -> Offer:
        """A task as people are told of it; of one that is not known, nothing but its name."""
        if name not in self._words:
            return Offer(name, ANYTHING)
        if name not in self._offers:
            self._offers[name] = _offer(self._words[name])
        return self._offers[name]

    @property
    def names(self) -> list[str]:
        """Of all tasks that are known."""
        return sorted(self._words)

    def descriptions(self, names: Iterable[str]) -> dict[str, Raw]:
        """How these are described, as in a frame; those that are not known are left out."""
        words = ((name, self._words.get(name)) for name in names)
        return {name: word.description or _NOTHING for name, word in words if word is not None}

    @property
    def version(self) -> str:
        """A word that changes when any description does."""
        if self._version is None:
            digest = hashlib.blake2b(digest_size=6)
            for name in self.names:
                digest.update(_encode([name, self._words[name].description or _NOTHING]))
            self._version = digest.hexdigest()
        return self._version

    # -- workers speak ------------------------------------------------------------------------

    def spoke(self, peer: str, version: str, tasks: Mapping[str, JobOptions]) -> None:
        """A worker says what it can do, the first time or again."""
        tasks = {name: tasks[name] for name in list(tasks)[:MOST_TASKS] if _is_name(name)}
        is_news = self._said.get(peer) != (version, tasks)
        self._said[peer] = (version, tasks)
        now = self._wall()
        words = []
        for name, options in tasks.items():
            known = self._words.get(name)
            if known is None or (is_news and known.options != options):
                words.append(TaskWord(name, options, learned=now))
            elif now - known.learned >= _REFRESH:
                words.append(msgspec.structs.replace(known, learned=now))
        self._learn(words, now)
        if is_news and any(version not in self._versions[name] for name in tasks):
            self._have_described(peer, version, tasks)

    def gone(self, peer: str) -> None:
        """A worker is no more, or away."""
        self._said.pop(peer, None)

    def close(self) -> None:
        """Wait for no more answers."""
        for asking in self._asking.values():
            asking.cancel()

    # -- the store ----------------------------------------------------------------------------

    def reload(self) -> None:
        """Another process of the queue has learned something."""
        self._ledger.do(Tasks(), self.load)

    def load(self, words: Iterable[TaskWord]) -> None:
        """Know what the store knows."""
        before, self._words = self._words, {word.name: word for word in words}
        for name in before.keys() - self._words.keys():
            self._forget(name)
        for name, word in self._words.items():
            if word.description != (before[name].description if name in before else None):
                self._versions[name] = set()
            versions = self._versions.setdefault(name, set())
            if word.description is not None:
                versions.add(word.version)
        self.defaults.clear()
        self.defaults.update((word.name, word.options) for word in self._words.values())
        self._changed()

    # -- within -------------------------------------------------------------------------------

    def _learn(self, words: list[TaskWord], now: float) -> None:
        """Know it at once, for the jobs that are submitted next, and keep it."""
        if not words:
            return
        for word in words:
            known = self._words.get(word.name)
            if word.description is None and known is not None:
                word = msgspec.structs.replace(
                    word, version=known.version, description=known.description
                )
            elif known is None or word.description != known.description:
                self._versions[word.name] = {word.version} if word.description else set()
            self._words[word.name] = word
            self.defaults[word.name] = word.options
        self._ledger.do(Learn(words, now), self._learned, lambda _: self._not_kept(words))
        self._changed()

    def _learned(self, forgotten: list[str]) -> None:
        if forgotten:
            log.warning(
                "no longer known: the tasks %s; no worker has offered them for 30 days, or there "
                "are more than %d",
                ", ".join(forgotten),
                MOST_TASKS,
            )
        for name in forgotten:
            self._words.pop(name, None)
            self._forget(name)
        if forgotten:
            self._changed()

    def _not_kept(self, words: list[TaskWord]) -> None:
        """Workers say it again within a minute."""
        for name in [word.name for word in words if word.name in self._words]:
            self._words[name] = msgspec.structs.replace(self._words[name], learned=float("-inf"))

    def _have_described(self, peer: str, version: str, tasks: Mapping[str, JobOptions]) -> None:
        if version not in self._asking:
            asking = asyncio.ensure_future(self._describe(peer, version, tasks))
            self._asking[version] = asking
            asking.add_done_callback(lambda _: self._asking.pop(version, None))

    async def _describe(self, peer: str, version: str, tasks: Mapping[str, JobOptions]) -> None:
        try:
            found = await self._ask(peer)
        except JabotError as error:
            log.info("%s does not describe its tasks: %s", peer, error)
            for other, (its, _) in list(self._said.items()):
                if its == version:
                    del self._said[other]  # whoever of them says hello next is asked
            return
        now, words = self._wall(), []
        for name in tasks.keys() & found.keys():
            described = _bounded(peer, name, found[name])
            known = self._words.get(name)
            if known is None or known.description != described:
                options = tasks[name] if known is None else known.options
                words.append(TaskWord(name, options, version, described, now))
            else:
                self._versions[name].add(version)
        self._learn(words, now)

    def _forget(self, name: str) -> None:
        self.defaults.pop(name, None)
        self._versions.pop(name, None)

    def _changed(self) -> None:
        self._offers.clear()
        self._version = None
        self._on_change()


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= limits.TASK and is_task_name(name)


def _bounded(peer: str, name: str, description: Description) -> Raw:
    """As it is kept. What is too large, or cannot be shown to people, is left out."""
    try:
        offer_of(name, description)
    except ConfigError as error:
        log.warning("%s: %s; people get the usual sentences", peer, error)
        description = Description(description.doc, description.args, description.result)
    text = _encode(description)
    if len(text) > DESCRIPTION:
        log.warning(
            "%s: the description of %s takes %d bytes; over %d, its types are not kept",
            *(peer, name, len(text), DESCRIPTION),
        )
        text = _encode(Description(description.doc[:_DOC], _ANY, {}))
    return Raw(text)


def _offer(word: TaskWord) -> Offer:
    try:
        return offer_of(word.name, _decode(word.description or _NOTHING))
    except (msgspec.DecodeError, ConfigError) as error:  # written by another version of jabot
        log.warning("the description of %s that is kept cannot be read: %s", word.name, error)
        return Offer(word.name, ANYTHING)


_ANY: Final = {"type": "object", "properties": {"args": {"type": "array", "items": {}}}}
_NOTHING: Final = Raw(_encode(Description("", _ANY, {})))
"""The description of a task that no worker has described yet."""
