"""The floor: IQs over raw sockets, through the ejabberd that jabot's jobs go through."""

from typing import ClassVar

from tests.servers.ports import LOOPBACK

from bench.subjects.subject import Start, Subject


class RawEcho(Subject):
    name = "raw_echo"
    label = "raw sockets"
    short = "raw"
    programs: ClassVar[dict[str, str]] = {"ejabberdctl": "ejabberd"}
    most_in_flight = 1_000

    def server_pid(self) -> int:
        return self.servers.ejabberd.pid

    def worker(self) -> Start:
        return self._signed_in("worker")

    def caller(self, address: str) -> Start:
        return self._signed_in("caller", address)

    def versions(self) -> dict[str, str]:
        return {"ejabberd": self.servers.ejabberd.version}

    def _signed_in(self, role: str, *arguments: str) -> Start:
        account, port = self.account(role), self.servers.ejabberd.port
        return self.script(
            role, LOOPBACK, port, account.name, *arguments, BENCH_PASSWORD=account.password
        )
