"""A made-up fleet for the tests of `jabot top`: what nodes say, and a feed without a network."""

from jabot import NodeJob, NodeStatus, NotAllowed, Peer
from jabot.cli.top.fleet import Fleet
from jabot.queue.answers import Standing, TaskLine
from jabot.status import LastError

POOL = "bot@localhost"


def node(name, running=0, slots=4, waiting=0, account=POOL, **more):
    return Peer(f"{account}/{name}", frozenset({"lift"}), running, waiting, slots, **more)


def status(jid, succeeded=0, failed=0, cpu=0.0, error=None, uptime=60.0, **more):
    last = None if error is None else LastError("lift", error, float(failed))
    known = {
        "version": "0.1.0", "host": "vm", "pid": 7, "running": 0, "waiting": 0, "slots": 4,
        "load": 0.0, "stopping": False, "jobs": [], "memory": 45 << 20, "fields": {},
    }  # fmt: skip
    return NodeStatus(
        jid=jid, uptime=uptime, succeeded=succeeded, failed=failed, cpu=cpu, last_error=last,
        **(known | more),
    )  # fmt: skip


def standing(account, available=0, failed=0, ended=0):
    line = TaskLine(states={"available": available, "failed": failed}, ended_last_minute=ended)
    return Standing(jid=account, now=0.0, tasks={"lift": line})


def job(job_id, task="lift", caller="ann@localhost", state="running", **more):
    known = {"attempt": 1, "since": 0.0, "stopping": False, "progress": ""} | more
    return NodeJob(job_id, task, caller, state, **known)


class Clock:
    """Seconds that go on when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Feed:
    """Says what a test wants, and notes what is asked. Jobs in `foreign` may not be stopped."""

    def __init__(self, *peers, addresses=(POOL,)):
        self.clock = Clock()
        self.addresses = addresses
        self.fleet = Fleet(addresses, self.clock, lambda: 1_000_000.0)
        self.peers = list(peers)
        self.notes = []
        self.listed = {}  # jobs by node
        self.foreign = set()
        self.online = True
        self.closed = None  # why there will be no connection any more
        self.asked, self.cancelled = [], []
        self.on_change = lambda: None
        self.look()

    def look(self):
        if self.online:
            self.fleet.back()
            self.fleet.seen(self.peers)
        else:
            self.fleet.lost(self.closed)

    def ask(self, jids):
        self.asked += jids

    async def jobs(self, jid):
        return self.listed.get(jid, [])

    async def cancel(self, jid, job_id):
        if job_id in self.foreign:
            raise NotAllowed("it is not yours")
        self.cancelled.append((jid, job_id))
        self.listed[jid] = [job for job in self.listed[jid] if job.id != job_id]
