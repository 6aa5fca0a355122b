"""The commands that every node knows: words in, a text out."""

from __future__ import annotations

from jabot.chat import texts
from jabot.chat.clerk import Answer, Asker, Clerk, Command, by_word
from jabot.errors import BadArguments
from jabot.jid import JID, InvalidJID
from jabot.tasks.registry import close_match


class Commands:
    """What is no task: `help`, `can`, and the words of a clerk."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk
        theirs = clerk.commands.values()
        self._all = by_word(
            Command(
                "help TASK",
                "about one; help alone: what you may ask for.",
                self._help,
                takes_any=True,
            ),
            *(command for command in theirs if not command.for_managers),
            Command("can JID TASK", "whether somebody may run a task, and why.", self._can),
            *(command for command in theirs if command.for_managers),
        )

    def find(self, word: str) -> Command | None:
        """The command that a word stands for."""
        return self._all.get(word.casefold())

    def allowed_names(self, asker: Asker) -> list[str]:
        """Every word that the asker could use: commands, and tasks that they may run."""
        commands = [name for name, command in self._all.items() if _may_use(asker, command)]
        return commands + [offer.name for offer in self._clerk.allowed(asker.jid)]

    def _help(self, asker: Asker, *words: str) -> Answer:
        if words:
            command = self.find(words[0])
            if command is not None:
                return command.help
            offer = self._clerk.find(words[0])
            if offer is not None and self._clerk.desk.may_run(asker.jid, offer.name):
                return texts.task_help(offer)
            return dunno(words[0], self.allowed_names(asker))
        mine = [texts.task_line(offer) for offer in self._clerk.allowed(asker.jid)]
        intro = "You can ask me for:" if mine else "There is no task that you may run."
        usages = [command.usage for command in self._all.values() if _may_use(asker, command)]
        return "\n".join([intro, *mine, f"and: {', '.join(usages)}"])

    def _can(self, asker: Asker, whom: str, word: str) -> Answer:
        """About oneself for everybody, about others for those who manage."""
        try:
            jid = JID(whom)
        except InvalidJID:
            raise BadArguments(f"{whom} is not an address") from None
        if not asker.manages and jid.bare != asker.jid.bare:
            return "Only those who manage me may ask that about others."
        offer = self._clerk.find(word)
        if word.casefold() == "exit":
            decision = self._clerk.desk.may_manage(jid)
        elif offer is None:
            return dunno(word, self.allowed_names(asker))
        else:
            decision = self._clerk.desk.may_run(jid, offer.name)
        return f"{'Yes' if decision else 'No'}: {decision.reason}."


def dunno(word: str, names: list[str]) -> str:
    """The answer to a word that means nothing here."""
    match = close_match(word, names)
    return f"Dunno how to {texts.cut(word, 60)}" + (f". Did you mean {match}?" if match else "")


def _may_use(asker: Asker, command: Command) -> bool:
    return asker.manages or not command.for_managers
