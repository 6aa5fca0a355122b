"""Of which kinds there may be jobs to be given away."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Ready:
    """The kinds that a claim may find jobs of. `look()` is called when there is one."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._word_of: dict[str, int] = {}  # kind -> which word of it was the newest
        self._words = 0
        self._labelled: set[str] = set()

    def look_for(self, *kinds: str) -> None:
        """There may be jobs of these kinds; without one: a worker has room for those known."""
        self._words += 1
        for kind in kinds:
            self._word_of[kind] = self._words
            if " " in kind:
                self._labelled.add(kind)
        if self._word_of:
            self._look()

    @property
    def kinds(self) -> list[str]:
        """Those that are worth a claim."""
        return list(self._word_of)

    @property
    def labelled(self) -> set[str]:
        """All kinds ever seen that need labels (see `kind_of`)."""
        return self._labelled

    @property
    def words(self) -> int:
        """How much was said up to now: for `exhausted`, by a claim that is made now."""
        return self._words

    def exhausted(self, kinds: Sequence[str], words: int) -> None:
        """A claim found no more of these; what was said after it was made still holds."""
        for kind in kinds:
            if self._word_of.get(kind, words + 1) <= words:
                del self._word_of[kind]
