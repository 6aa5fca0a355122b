"""SPADE: two agents that exchange messages, through the ejabberd that jabot's jobs go through."""

from typing import ClassVar

from bench.subjects.subject import Start, Subject


class Spade(Subject):
    name = "spade"
    label = "SPADE"
    short = "spade"
    programs: ClassVar[dict[str, str]] = {"ejabberdctl": "ejabberd"}
    most_in_flight = 1_000

    def server_pid(self) -> int:
        return self.servers.ejabberd.pid

    def worker(self) -> Start:
        return self._signed_in("worker")

    def caller(self, address: str) -> Start:
        return self._signed_in("caller", self.account("worker").jid)

    def versions(self) -> dict[str, str]:
        return super().versions() | {"ejabberd": self.servers.ejabberd.version}

    def _signed_in(self, role: str, *arguments: str) -> Start:
        account, port = self.account(role), self.servers.ejabberd.port
        return self.script(role, port, account.jid, *arguments, BENCH_PASSWORD=account.password)
