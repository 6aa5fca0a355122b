"""A part of a long list (XEP-0059), by the ids of its items."""

from __future__ import annotations

from dataclasses import dataclass

from jabot.server.conditions import StanzaError, read_number
from jabot.server.element import Element
from jabot.server.namespaces import RSM


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for: at most `most` ids after one, or before one; None is no limit."""

    most: int | None = None
    after: str | None = None
    before: str | None = None  # empty: from the end

    def select(self, ids: list[str]) -> list[str]:
        """The ids that are asked for. Raises StanzaError when one to count from is not there."""
        first, last = 0, len(ids)
        if self.after is not None:
            first = _position(ids, self.after) + 1
        if self.before:
            last = _position(ids, self.before)
        chosen = ids[first:last]
        if self.most is None:
            return chosen
        if self.before is not None:
            return chosen[-self.most :] if self.most else []
        return chosen[: self.most]


def asked_page(element: Element) -> Page | None:
    """The page that the `<set/>` in an element asks for; None when there is none."""
    wanted = element.child(RSM, "set")
    if wanted is None:
        return None
    most = wanted.text_of(RSM, "max")
    return Page(
        None if most is None else read_number(most),
        wanted.text_of(RSM, "after"),
        wanted.text_of(RSM, "before"),
    )


def told_page(ids: list[str], shown: list[str]) -> Element:
    """Which part of `ids` is shown: a run of them."""
    children = []
    if shown:
        index = str(ids.index(shown[0]))
        children.append(Element(RSM, "first", {"index": index}, [shown[0]]))
        children.append(Element(RSM, "last", None, [shown[-1]]))
    children.append(Element(RSM, "count", None, [str(len(ids))]))
    return Element(RSM, "set", None, children)


def _position(ids: list[str], wanted: str) -> int:
    try:
        return ids.index(wanted)
    except ValueError:
        raise StanzaError("item-not-found", f"there is no item {wanted}") from None
