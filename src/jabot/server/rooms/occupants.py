"""Who is in a room: nicknames, and the sessions behind them."""

from __future__ import annotations

from collections.abc import Iterator

from jabot.server.element import Element, Envelope
from jabot.server.rooms.affiliations import Role


class Occupant:
    """One nickname in a room: one account, by one or more of its sessions (XEP-0045 section
    7.2.8).
    """

    __slots__ = ("account", "nick", "role", "sessions", "shown")

    def __init__(self, nick: str, account: str, role: Role) -> None:
        self.nick = nick
        self.account = account  # bare JID
        self.role = role
        # By full JID: what the session's last presence holds. The one that spoke last stands last.
        self.sessions: dict[str, list[Element | str]] = {}
        # The presence as others are shown it, with the address (True) and without; the room
        # clears it whenever it tells of a change.
        self.shown: dict[bool, Envelope] = {}

    @property
    def current(self) -> str:
        """The session that stands for the occupant."""
        return next(reversed(self.sessions))


class Occupants:
    """Finds occupants by nickname and by session."""

    def __init__(self) -> None:
        self._by_nick: dict[str, Occupant] = {}
        self._by_session: dict[str, Occupant] = {}

    def __len__(self) -> int:
        return len(self._by_nick)

    def __iter__(self) -> Iterator[Occupant]:
        return iter(list(self._by_nick.values()))

    def called(self, nick: str) -> Occupant | None:
        return self._by_nick.get(nick)

    def of_session(self, full: str) -> Occupant | None:
        return self._by_session.get(full)

    def of_account(self, account: str) -> list[Occupant]:
        return [each for each in self if each.account == account]

    def sessions(self) -> Iterator[tuple[str, Occupant]]:
        """Every full JID with its occupant."""
        return iter(list(self._by_session.items()))

    @property
    def session_count(self) -> int:
        return len(self._by_session)

    def put(self, occupant: Occupant, full: str, content: list[Element | str]) -> None:
        """Add the session, or change what its presence holds."""
        occupant.sessions.pop(full, None)
        occupant.sessions[full] = content
        self._by_nick[occupant.nick] = occupant
        self._by_session[full] = occupant

    def drop(self, full: str) -> None:
        """Remove the session, and with the last one its occupant."""
        occupant = self._by_session.pop(full)
        del occupant.sessions[full]
        if not occupant.sessions:
            del self._by_nick[occupant.nick]

    def rename(self, occupant: Occupant, nick: str) -> None:
        del self._by_nick[occupant.nick]
        occupant.nick = nick
        self._by_nick[nick] = occupant
