"""A person's end of a chat with one contact: for `jabot chat` and the demo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from jabot.account import Account
from jabot.jid import JID
from jabot.xmpp import IncomingPresence, IncomingText, OutgoingText, Session, SessionListener
from jabot.xmpp.stanzas import CHAT_STATES, CORRECT, presence

_GREET_FIRST, _GREET_MOST = 0.1, 30.0  # seconds between two greetings


@dataclass(frozen=True)
class Ear:
    """What is done with what the person hears."""

    said: Callable[[str], None]
    progress: Callable[[str], None]
    """A text that may be corrected soon, or that corrects the last one."""
    typing: Callable[[bool], None]
    presence: Callable[[IncomingPresence], None]
    failed: Callable[[str], None]
    """A line that did not reach the contact, and why."""
    connected: Callable[[bool], None]
    other: Callable[[JID, str], None]
    """What somebody else says to the account, and who."""


class Person(SessionListener):
    """Talks with `contact`, and greets it, so that it shows its presence.

    `priority` is that of its presence: with 0 it also hears what others say to the account and what
    waited for it on the server.

    A greeting reaches only who is online in that moment, so it is repeated, less and less often,
    until the contact shows itself.
    """

    def __init__(self, account: Account, contact: JID, ear: Ear, *, priority: int = -1) -> None:
        self.contact = contact
        self.session = Session(account, self, features=(CHAT_STATES, CORRECT))
        self.signed_in = asyncio.Event()
        self._priority = priority
        self._ear = ear
        self._present: set[JID] = set()
        self._again: asyncio.TimerHandle | None = None

    def say(self, line: str) -> None:
        """Send a line; it is kept until the server has it."""
        self.session.send_text(OutgoingText(self.contact, line, chat_state="active"))

    # -- what the session tells ------------------------------------------------------------------

    def online(self) -> None:
        # With a negative priority, what is said to the account, and what waited for it, goes to
        # its other programs (RFC 6121 section 8.5.2.1).
        self.session.send(presence(priority=self._priority))
        self.signed_in.set()
        self._ear.connected(True)
        self._greet(_GREET_FIRST)

    def offline(self) -> None:
        self._present.clear()
        self._stop_greeting()
        self._ear.typing(False)
        self._ear.connected(False)

    def text_received(self, text: IncomingText) -> None:
        if text.sender.bare != self.contact.bare:
            if text.type in ("chat", "normal"):
                self._ear.other(text.sender, text.body)
        elif text.type == "error":
            self._ear.failed(f"{self.contact.bare} is not online, or not there at all")
        elif text.progress or text.replaces:
            self._ear.progress(text.body)
        else:
            if text.chat_state is not None:
                self._ear.typing(text.chat_state == "composing")
            self._ear.said(text.body)

    def typing_received(self, sender: JID, state: str) -> None:
        if sender.bare == self.contact.bare:
            self._ear.typing(state == "composing")

    def presence_received(self, stanza: IncomingPresence) -> None:
        if stanza.sender.bare != self.contact.bare or stanza.sender == self.session.jid:
            return
        if stanza.type == "available":
            self._present.add(stanza.sender)
            self._stop_greeting()
        elif stanza.type == "unavailable":
            self._present.discard(stanza.sender)
            self._ear.typing(False)
            if not self._present:
                self._greet(_GREET_FIRST)  # when it comes back, it will not know us
        else:
            return
        self._ear.presence(stanza)

    def _greet(self, pause: float) -> None:
        self._stop_greeting()
        if self.session.send(presence(to=self.contact)):
            again = min(2 * pause, _GREET_MOST)
            self._again = asyncio.get_running_loop().call_later(pause, self._greet, again)

    def _stop_greeting(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
