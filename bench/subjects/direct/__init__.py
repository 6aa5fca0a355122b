"""jabot's direct jobs: from a caller to a pool of one node, through ejabberd."""

from importlib.metadata import version
from typing import ClassVar

from bench.servers import Account
from bench.subjects.subject import Start, Subject


class Direct(Subject):
    name = "direct"
    label = "jabot, direct"
    short = "direct"
    programs: ClassVar[dict[str, str]] = {"ejabberdctl": "ejabberd"}
    watches_idle = True

    def server_pid(self) -> int:
        return self.servers.ejabberd.pid

    def worker(self) -> Start:
        own = self._environment(self.account("worker"))
        return self.script("worker", BENCH_CALLER=self.account("caller").jid, **own)

    def caller(self, address: str) -> Start:
        own = self._environment(self.account("caller"))
        return self.script("caller", self.account("worker").jid, **own)

    def versions(self) -> dict[str, str]:
        names = ("jabot", "slixmpp", "msgspec")
        return {name: version(name) for name in names} | {"ejabberd": self.servers.ejabberd.version}

    def _environment(self, account: Account) -> dict[str, str]:
        return {
            "JABOT_JID": account.jid,
            "JABOT_PASSWORD": account.password,
            "JABOT_SERVER": self.servers.ejabberd.address,
        }
