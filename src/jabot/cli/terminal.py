"""A chat with one contact, in a terminal or in a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import platformdirs
from rich.console import Console
from rich.text import Text

from jabot.account import Account
from jabot.cli.screen import clean
from jabot.jid import JID
from jabot.person import Ear, Person
from jabot.runner.threads import run_in_thread
from jabot.xmpp import IncomingPresence

ANSWER_LIMIT = 10.0  # seconds in which a contact that is there answers a line
_QUIET = 1.0  # seconds without a word or a typing state after which a pipe's chat is over


class Conversation:
    """Shows what is said, and knows when there is nothing left to wait for."""

    def __init__(self, account: Account, contact: JID, *, live: bool = False) -> None:
        self.name = contact.node or contact.domain
        # Somebody who sits there wants to hear everything that is said to them; not so a script,
        # and not who signs in as the bot itself, which would get its own lines back.
        priority = 0 if live and account.jid.bare != contact.bare else -1
        self.person = Person(account, contact, self._ear(), priority=priority)
        self._presence_line = "connecting"
        self._work = ""  # what the contact does for the person just now
        self.online = asyncio.Event()
        self.gone = asyncio.Event()
        self.unheard = False
        """Whether the last line did not reach the contact."""
        self._heard = asyncio.Event()
        self._typing = False
        self._console = Console(highlight=False, soft_wrap=True, markup=False)

    def _ear(self) -> Ear:
        return Ear(
            said=self._said,
            progress=self._progress,
            typing=self._is_typing,
            presence=self._presence,
            failed=self._failed,
            connected=self._connected,
            other=lambda sender, text: self._print(f"{sender.bare}> ", text, "bold magenta"),
        )

    @property
    def state(self) -> str:
        """For the line below the prompt."""
        return self._work or self._presence_line

    async def ask(self, line: str) -> None:
        """Show a line, as no prompt does it, say it, and wait for the next text; raises
        `TimeoutError` when none comes."""
        self._heard.clear()
        self._print("you> ", line, "bold")
        self.person.say(line)
        async with asyncio.timeout(ANSWER_LIMIT):
            await self._heard.wait()

    async def until_quiet(self) -> bool:
        """Wait until the contact has neither said anything nor typed for a second.

        True when it went offline while it typed: something was not done.
        """
        worked = self._typing
        while not self.gone.is_set():
            self._heard.clear()
            worked = self._typing
            try:
                async with asyncio.timeout(_QUIET):
                    await self._heard.wait()
            except TimeoutError:
                if not self._typing:
                    return False
        return worked

    def _said(self, text: str) -> None:
        self.unheard = False
        self._is_typing(self._typing)  # what was told of a job before is no longer news
        self._print(f"{self.name}> ", text, "bold cyan")
        self._heard.set()

    def _progress(self, text: str) -> None:
        self._work = text
        self._heard.set()

    def _is_typing(self, typing: bool) -> None:
        self._typing = typing
        self._work = f"{self.name} is typing..." if typing else ""
        self._heard.set()

    def _connected(self, connected: bool) -> None:
        offline = f"{self.name} is offline"
        self._presence_line = offline if connected else "no connection; trying again"

    def _failed(self, reason: str) -> None:
        self.unheard = True
        self._print("", reason, "red")
        self._heard.set()

    def _presence(self, stanza: IncomingPresence) -> None:
        farewell = stanza.type == "unavailable" or stanza.show == "away"
        show = "offline" if stanza.type == "unavailable" else stanza.show or "online"
        show = {"chat": "online", "dnd": "busy", "xa": "away"}.get(show, show)
        text = f"{self.name} is {show}" + (f": {stanza.status}" if stanza.status else "")
        if farewell:
            self._print("", text, "dim")
        self._presence_line = text
        if stanza.type == "unavailable":
            self.gone.set()
            self._heard.set()
        else:
            self.gone.clear()
            self.online.set()

    def _print(self, prefix: str, text: str, style: str) -> None:
        shown = clean(text).replace("\n", "\n" + " " * len(prefix))
        self._console.print(Text(prefix, style=style) + Text(shown, style="" if prefix else style))


async def prompt(conversation: Conversation) -> None:
    """Ask the person for lines until they leave (Ctrl-D, Ctrl-C) or are cancelled."""
    # Only here, so that a pipe does not pay for it.
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import FileHistory
    from prompt_toolkit.patch_stdout import patch_stdout

    history = Path(platformdirs.user_state_dir("jabot", ensure_exists=True)) / "chat-history"
    session: PromptSession[str] = PromptSession(
        history=FileHistory(str(history)),
        bottom_toolbar=lambda: conversation.state,
        refresh_interval=0.5,
    )
    with quiet_logs(), patch_stdout(raw=True):
        while True:
            try:
                line = await session.prompt_async("you> ")
            except (EOFError, KeyboardInterrupt):
                return
            if line.strip():
                conversation.person.say(line)


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """Log nothing that would run through a prompt; the line below it tells what matters."""
    log = logging.getLogger("jabot")
    before = log.level
    if logging.getLogger().level > logging.DEBUG:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


async def lines_of_stdin() -> AsyncIterator[str]:
    """The lines of standard input, without blocking the loop."""
    while True:
        # In a thread that does not keep the process when nobody writes any more.
        line = await run_in_thread(sys.stdin.readline, "jabot stdin")
        if not line:
            return
        if line.strip():
            yield line.strip()
