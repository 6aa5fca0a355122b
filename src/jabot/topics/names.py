"""Names of topics, and patterns that stand for many."""

from __future__ import annotations

import re
from typing import Final

from jabot.errors import ConfigError

MOST: Final = 200  # characters of a name
_SEGMENT: Final = re.compile(r"[^\s/*\x00-\x1f\x7f]+")


def check_topic(name: str) -> str:
    """The name of a topic: words with slashes between them. Raises `ConfigError`."""
    if not isinstance(name, str) or not all(map(_SEGMENT.fullmatch, name.split("/"))):
        raise ConfigError(
            f"topic {name!r}: write words with slashes between them, as in sensors/hall;"
            " no spaces and no *"
        )
    if len(name) > MOST:
        raise ConfigError(f"topic {name[:40]}...: a name has at most {MOST} characters")
    return name


class Pattern:
    """One topic, or many: `*` stands for one word, `**` at the end for all that follow."""

    def __init__(self, text: str) -> None:
        """Raises `ConfigError` for what is no pattern."""
        self.text = text
        words = text.split("/") if isinstance(text, str) else []
        self.is_plain = "*" not in text
        if self.is_plain:
            check_topic(text)
        elif not all(
            word == "*" or (word == "**" and place == len(words) - 1) or _SEGMENT.fullmatch(word)
            for place, word in enumerate(words)
        ):
            raise ConfigError(
                f"topics {text!r}: a * stands for a whole word, as in sensors/*, and ** for all the"
                " words at the end"
            )
        parts = [{"*": "[^/]+", "**": ".+"}.get(word) or re.escape(word) for word in words]
        self._matches = re.compile("/".join(parts)).fullmatch

    def fits(self, topic: str) -> bool:
        """Whether it stands for a topic."""
        return self._matches(topic) is not None
