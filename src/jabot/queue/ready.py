"""Of which kinds there may be jobs to be given away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

_FEW: Final = 1000


class Ready:
    """The kinds that a claim may find jobs of. `look()` is called when there is one.

    What no worker does is found by no claim, and stays here when the last such job was cancelled
    or its time was over. So `crowded()` is called when there are more than `few` kinds, and twice
    as many as last time: then the store is to be asked which it has (see `are_all`). The job of
    the present word may come after the question: for that, the word counts as said later.
    """

    def __init__(
        self, look: Callable[[], None], crowded: Callable[[], None], *, few: int = _FEW
    ) -> None:
        self._look = look
        self._crowded = crowded
        self._few = few
        self._many = few
        self._word_of: dict[str, int] = {}  # kind -> which word of it was the newest
        self._words = 0

    def look_for(self, *kinds: str) -> None:
        """There may be jobs of these kinds; without one: a worker has room for those known."""
        word = self._words + 1
        for kind in kinds:
            self._word_of[kind] = word
        if len(self._word_of) > self._many:
            self._many = 2 * len(self._word_of)
            self._crowded()
        self._words = word
        if self._word_of:
            self._look()

    def are_all(self, kinds: Sequence[str], words: int) -> None:
        """The store was asked after so many `words`, and has jobs of these kinds alone."""
        known = set(kinds)
        self._word_of = {
            kind: word for kind, word in self._word_of.items() if word > words or kind in known
        }
        self._many = max(self._few, 2 * len(self._word_of | dict.fromkeys(kinds, 0)))
        self.look_for(*kinds)

    @property
    def kinds(self) -> list[str]:
        """Those that are worth a claim."""
        return list(self._word_of)

    @property
    def words(self) -> int:
        """How much was said up to now: for `exhausted`, by a claim that is made now."""
        return self._words

    def exhausted(self, kinds: Sequence[str], words: int) -> None:
        """A claim found no more of these; what was said after it was made still holds."""
        for kind in kinds:
            if self._word_of.get(kind, words + 1) <= words:
                del self._word_of[kind]
