"""The commands that every node knows: words in, a text out."""

from __future__ import annotations

from jabot.chat import texts
from jabot.chat.clerk import Answer, Asker, Clerk, Command
from jabot.errors import BadArguments
from jabot.jid import JID, InvalidJID
from jabot.tasks.registry import close_match


class Commands:
    """What is no task: `help`, `can`, and the words of a clerk."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk
        theirs = clerk.commands.items()
        self._all = {
            "help": Command("help TASK", "help, or help TASK: what you may ask for.", self._help),
            **{name: command for name, command in theirs if not command.for_managers},
            "can": Command(
                "can JID TASK",
                "can JID TASK: whether somebody may run a task, and why.",
                self._can,
            ),
            **{name: command for name, command in theirs if command.for_managers},
        }

    def find(self, word: str) -> Command | None:
        """The command that a word stands for."""
        return self._all.get(word.casefold())

    def allowed_names(self, asker: Asker) -> list[str]:
        """Every word that the asker could use: commands, and tasks that they may run."""
        commands = [name for name, command in self._all.items() if _may_use(asker, command)]
        return commands + [offer.name for offer in self._clerk.allowed(asker.jid)]

    def _help(self, asker: Asker, words: list[str]) -> Answer:
        """`help` or `help TASK`."""
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

    def _can(self, asker: Asker, words: list[str]) -> Answer:
        """`can JID TASK`: about oneself for everybody, about others for those who manage."""
        if len(words) != 2:
            raise BadArguments("say: can JID TASK")
        try:
            jid = JID(words[0])
        except InvalidJID:
            raise BadArguments(f"{words[0]} is not an address") from None
        if not asker.manages and jid.bare != asker.jid.bare:
            return "Only those who manage me may ask that about others."
        offer = self._clerk.find(words[1])
        if words[1].casefold() == "exit":
            decision = self._clerk.desk.may_manage(jid)
        elif offer is None:
            return dunno(words[1], self.allowed_names(asker))
        else:
            decision = self._clerk.desk.may_run(jid, offer.name)
        return f"{'Yes' if decision else 'No'}: {decision.reason}."


def dunno(word: str, names: list[str]) -> str:
    """The answer to a word that means nothing here."""
    match = close_match(word, names)
    return f"Dunno how to {texts.cut(word, 60)}" + (f". Did you mean {match}?" if match else "")


def _may_use(asker: Asker, command: Command) -> bool:
    return asker.manages or not command.for_managers
