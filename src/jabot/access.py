"""Who may do what: the one place that answers, for every way in.

A rule set is a mapping from *who* to *what*:

    {"alice@example.org": "*", "*@example.org": ["lift"], "partner.net": ["quote"]}

*who* is a bare address, `*@domain` or `domain` (everybody there, and the domain itself), or `*`
(everybody). *what* is `"*"` or a list of task names. A caller has the sum of what the rules that
fit give. There are no rules that take away. Rules are about bare addresses: a resource says
nothing about rights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jabot.errors import ConfigError
from jabot.jid import JID, InvalidJID

_REMEMBERED = 1000  # decisions

Rules = Mapping[str, str | Iterable[str]]


@dataclass(frozen=True)
class Decision:
    """An answer that is true or false and says why."""

    allowed: bool
    reason: str  # a clause a person can read: "the rule ... says so"

    def __bool__(self) -> bool:
        return self.allowed


@dataclass(frozen=True)
class _Who:
    """The left side of a rule, parsed."""

    text: str
    local: str | None  # None: anybody
    domain: str | None  # None: anywhere

    def fits(self, jid: JID) -> bool:
        if self.domain is not None and jid.domain != self.domain:
            return False
        return self.local is None or jid.node == self.local


class Access:
    """The rules of one node.

    `allow` says who may run which tasks, `manage` who may stop the node and see and cancel the jobs
    of others. Raises `ConfigError` for a rule that cannot be read: better no node than one that
    obeys the wrong people.
    """

    def __init__(self, allow: Rules | None = None, manage: Iterable[str] = ()) -> None:
        if allow is not None and not isinstance(allow, Mapping):
            raise ConfigError(f"allow={allow!r}: give a mapping of who to what")
        if isinstance(manage, str) or not isinstance(manage, Iterable):
            raise ConfigError(f"manage={manage!r}: give a list of addresses")
        self._decisions: dict[tuple[str, str, str], Decision] = {}
        self._allow = [(_who(who), _what(who, what)) for who, what in (allow or {}).items()]
        self._manage = [_who(who) for who in manage]
        self._queues: set[str] = set()
        self._for_all: set[str] = set()

    def work_for(self, queue: str) -> None:
        """Let a queue, a bare address, have all tasks run: it vouches for those who ask it."""
        self._queues.add(queue)
        self._decisions.clear()

    def offer_to_all(self, tasks: Iterable[str]) -> None:
        """Let everybody who has any right at all have these tasks run."""
        self._for_all.update(tasks)
        self._decisions.clear()

    @property
    def named_tasks(self) -> dict[str, str]:
        """The task names that rules mention, and whose rule, to point out a misspelt one."""
        return {name: who.text for who, names in self._allow for name in names or ()}

    def may_run(self, own: JID, caller: JID, task: str) -> Decision:
        """Whether `caller` may run `task` on the node whose account is `own`."""
        # Rules never change, and programs ask thousands of times a second.
        key = (own.bare, caller.bare, task)
        decision = self._decisions.get(key)
        if decision is None:
            if len(self._decisions) >= _REMEMBERED:
                self._decisions.clear()
            decision = self._decisions[key] = self._decide(own, caller, task)
        return decision

    def _decide(self, own: JID, caller: JID, task: str) -> Decision:
        if _same_account(own, caller):
            return Decision(True, f"{caller.bare} is the node's own account")
        if caller.bare in self._queues:
            return Decision(True, f"the node works for the queue {caller.bare}")
        for who, names in self._allow:
            if who.fits(caller) and (names is None or task in names):
                return Decision(True, f"the rule for {who.text} allows it")
        if task in self._for_all and self.knows(own, caller):
            return Decision(True, "everybody may who has any right here")
        return Decision(False, self._why_not(caller, task))

    @property
    def managers(self) -> list[str]:
        """The bare addresses of those who manage the node and are named one by one."""
        return [who.text for who in self._manage if who.local is not None]

    def may_manage(self, own: JID, caller: JID) -> Decision:
        """Whether `caller` may stop the node and handle the jobs of others."""
        if _same_account(own, caller):
            return Decision(True, f"{caller.bare} is the node's own account")
        for who in self._manage:
            if who.fits(caller):
                return Decision(True, f"manage names {who.text}")
        return Decision(False, f"{caller.bare} is not among those who manage the node")

    def knows(self, own: JID, caller: JID) -> bool:
        """Whether `caller` has any right at all: only they learn what the node is and does."""
        may_run = any(who.fits(caller) for who, names in self._allow if names != frozenset())
        return may_run or caller.bare in self._queues or bool(self.may_manage(own, caller))

    def _why_not(self, caller: JID, task: str) -> str:
        fitting = [who.text for who, _ in self._allow if who.fits(caller)]
        if fitting:
            return f"the rule for {' and '.join(fitting)} does not name {task}"
        return f"no rule names {caller.bare}"


def _same_account(own: JID, caller: JID) -> bool:
    return bool(own.bare) and own.bare == caller.bare


def _who(text: str) -> _Who:
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"access rule for {text!r}: name an address, a domain, or *")
    if text == "*":
        return _Who(text, None, None)
    anybody = text.startswith("*@")
    try:
        jid = JID(text[2:] if anybody else text)
    except InvalidJID as error:
        raise ConfigError(f"access rule for {text!r}: not an address ({error})") from None
    if jid.resource:
        raise ConfigError(f"access rule for {text!r}: leave out the resource, /{jid.resource}")
    if "*" in jid.bare or not jid.domain or (anybody and jid.node):
        raise ConfigError(
            f"access rule for {text!r}: a * stands for a whole name, as in *@example.org, or alone"
        )
    return _Who(text, jid.node or None, jid.domain)


def _what(who: str, what: str | Iterable[str]) -> frozenset[str] | None:
    """The task names, or None for all."""
    if what == "*":
        return None
    if isinstance(what, str | Mapping) or not isinstance(what, Iterable):
        raise ConfigError(f'access rule for {who!r}: give "*" or a list of tasks, not {what!r}')
    names = list(what)
    for name in names:
        if not isinstance(name, str) or not name or "*" in name:
            raise ConfigError(f"access rule for {who!r}: {name!r} is not the name of a task")
    return frozenset(names)
