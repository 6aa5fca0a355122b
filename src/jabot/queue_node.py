"""A queue: a node that keeps jobs in a store and has workers do them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jabot.access import Access, Rules
from jabot.account import Account
from jabot.errors import ConfigError
from jabot.node import Node
from jabot.queue.commands import NAMES
from jabot.queue.crew import GRACE, LEASE
from jabot.queue.upkeep import Keeping
from jabot.queue_serving import QueueRules, QueueServing
from jabot.schedule import parse_duration
from jabot.serving import Serving
from jabot.xmpp import Timing


class QueueNode(Node):
    """A queue on a Jabber server.

    It takes jobs as a worker does, answers when they are on disk, and gives them to the nodes that
    work for it (`Node(queue=...)`). `store` is `sqlite:///jobs.db` or `postgresql://...`; several
    queues with the same account and the same PostgreSQL store share the work.

    `allow` and `manage` are as for any node: who may have which tasks run, and who may see and
    handle the jobs of others. `work` names the accounts that may take its jobs, besides its own.
    A worker that is silent for `lease` loses its jobs to others, one that goes offline after
    `grace`. A job without retries is run again up to `losses` times in all when its workers are
    lost. `keep` is how long a succeeded job is kept whose submitter has its result, `keep_unread`
    one whose submitter has not, `keep_failed` a dead letter. One account may have `jobs_per_caller`
    unfinished jobs in it; more are refused with `TooManyJobs`.

    Raises `ConfigError` for an option that cannot be used.
    """

    _words = NAMES

    def __init__(  # noqa: PLR0913 - the options of a queue, by name
        self,
        jid: str | None = None,
        *,
        store: str = "sqlite:///jobs.db",
        allow: Rules | None = None,
        manage: Iterable[str] = (),
        work: Iterable[str] = (),
        lease: float | str = LEASE,
        grace: float | str = GRACE,
        losses: int = 5,
        jobs_per_caller: int = 1_000_000,
        keep: float | str = "1d",
        keep_unread: float | str = "7d",
        keep_failed: float | str = "30d",
        **options: Any,
    ) -> None:
        super().__init__(jid, allow=allow, manage=manage, **options)
        if losses < 1:
            raise ConfigError(f"losses is at least 1, not {losses}")
        if jobs_per_caller < 1:
            raise ConfigError(f"jobs_per_caller is at least 1, not {jobs_per_caller}")
        self._rules = QueueRules(
            store,
            Access(manage=work),
            parse_duration(lease),
            parse_duration(grace),
            losses,
            jobs_per_caller,
            Keeping(parse_duration(keep), parse_duration(keep_unread), parse_duration(keep_failed)),
        )

    def _make_serving(self, account: Account, timing: Timing | None) -> Serving:
        # Its rules may name any task: those of workers are not known before they come.
        return QueueServing(self._definition, self._rules, account, timing)
