"""A queue that has its workers do what people ask for: a `Clerk`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from jabot.chat import texts
from jabot.chat.clerk import Answer, Command, Taken
from jabot.chat.direct import Direct
from jabot.chat.talk import Talks
from jabot.errors import Draining, TooManyJobs
from jabot.jid import JID
from jabot.protocol.frames import Submit
from jabot.protocol.options import NO_OPTIONS, OWN_TASKS
from jabot.queue import words
from jabot.queue.arrivals import Arrivals, refusal
from jabot.queue.catalogue import Catalogue
from jabot.queue.ledger import Ledger
from jabot.queue.rights import Rights
from jabot.queue.store.verbs import Added
from jabot.runner.job import new_job_id
from jabot.tasks import Bind, Offer


class QueueClerk:
    """Keeps the jobs that people ask for. A task of the queue's own is done by `direct`."""

    def __init__(
        self,
        direct: Direct,
        talks: Talks,
        catalogue: Catalogue,
        ledger: Ledger,
        arrivals: Arrivals,
        commands: Mapping[str, Command],
        *,
        rights: Rights,
    ) -> None:
        self.desk = direct.desk
        self.commands = commands
        self._direct = direct
        self._talks = talks
        self._catalogue = catalogue
        self._ledger = ledger
        self._arrivals = arrivals
        self._rights = rights

    # -- see `Clerk` ---------------------------------------------------------------------------

    def find(self, word: str) -> Offer | None:
        own = self._direct.find(word)
        return self._catalogue.find(word) if own is None or _is_office(own) else own

    def does(self, offer: Offer) -> bool:
        return self._direct.find(offer.name) is offer

    def allowed(self, person: JID) -> Sequence[Offer]:
        own = [offer for offer in self._direct.allowed(person) if not _is_office(offer)]
        theirs = [name for name in self._catalogue.names if self.desk.may_run(person, name)]
        return [*own, *map(self._catalogue.offer, theirs)]

    def start(
        self, offer: Offer, person: JID, bind: Bind, taken: Taken = lambda job_id: None
    ) -> Answer:
        if self.does(offer):
            return self._direct.start(offer, person, bind, taken)
        self._rights.check(str(person), offer.name)
        if self.desk.runner.draining:
            raise Draining("I am stopping and take no new jobs")
        args, kwargs = bind(offer.signature)
        return self._keep(offer, person, args, kwargs, taken)

    def run(self, offer: Offer, person: JID, bind: Bind) -> Answer:
        if self.does(offer):
            return self._direct.run(offer, person, bind)
        return self.start(offer, person, bind)

    # -- within --------------------------------------------------------------------------------

    async def _keep(
        self,
        offer: Offer,
        person: JID,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        taken: Taken,
    ) -> str:
        asked = Submit(
            new_job_id(),
            offer.name,
            Raw(msgspec.json.encode(args)),
            Raw(msgspec.json.encode(kwargs)),
        )
        job = self._arrivals.job(
            asked, NO_OPTIONS, person.bare, person=str(person), teller=str(self.desk.own())
        )
        self._arrivals.expect(job)
        added: Added = await self._ledger.ask(job)
        if added.refused:
            raise TooManyJobs(refusal(job, added))
        self._talks.accompany(person, added.id, offer.name)
        taken(added.id)
        if not added.is_new:
            return words.waits_already(offer.name, added.id)
        return texts.scheduled(offer, added.id)


def _is_office(offer: Offer) -> bool:
    """What people have commands for."""
    return offer.name.startswith(OWN_TASKS)
