"""ejabberd as Debian packages it, run without its control script: by any user, and at once."""

import http.client
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

from .certificates import Certificate
from .ports import free_port
from .process import Server, ServerMissingError

_TEMPLATE = Path(__file__).with_name("ejabberd.yml")
_API_LIMIT = 30.0  # seconds for one call


class Ejabberd(Server):
    """A single ejabberd that is no Erlang node: it needs no epmd, no cookie, and no root.

    `ejabberdctl` would start another Erlang for every command, which takes half a second or more;
    accounts are made through the HTTP API instead (about 30 ms).
    """

    kind = "ejabberd"

    def __init__(
        self,
        folder: Path,
        certificate: Certificate,
        *,
        keepalive: int | None = None,
        topics: bool = True,
        **where: Any,
    ) -> None:
        super().__init__(folder, certificate, **where)
        self.tls_port = free_port()
        self._api_port = free_port()
        self._keepalive = keepalive  # seconds of silence until a ping, and again until the end
        self._topics = topics
        self._config = folder / "ejabberd.yml"
        self._spool = folder / "spool"
        self._logs = folder / "logs"

    def prepare(self) -> None:
        self._spool.mkdir(exist_ok=True)
        self._logs.mkdir(exist_ok=True)
        self._config.write_text(
            Template(_TEMPLATE.read_text()).substitute(
                certificate=self.certificate.combined_file,
                ca_file=self.certificate.ca_file,
                domain=self.domain,
                host=self.host,
                port=self.port,
                tls_port=self.tls_port,
                api_port=self._api_port,
                send_pings=str(self._keepalive is not None).lower(),
                keepalive=self._keepalive or 30,
                topics="mod_pubsub: {plugins: [flat, pep]}" if self._topics else "",
            )
        )

    def command(self) -> list[str]:
        erl = shutil.which("erl")
        if erl is None:
            raise _missing()
        spool = json.dumps(str(self._spool))  # an Erlang string is quoted as JSON's are
        mnesia = ["-mnesia", "dir", spool]
        return [erl, "-noinput", *mnesia, "-ejabberd", "quiet", "true", "-s", "ejabberd"]

    def environment(self) -> dict[str, str]:
        return {
            "ERL_LIBS": str(_libraries()),
            "ERL_CRASH_DUMP_BYTES": "0",
            "EJABBERD_CONFIG_PATH": str(self._config),
            "EJABBERD_LOG_PATH": str(self._logs / "ejabberd.log"),
            "HOME": str(self.folder),
        }

    def is_ready(self) -> bool:
        try:
            return "is running" in self._call("status", {})
        except (OSError, http.client.HTTPException):
            return False

    def add_user(self, name: str, password: str) -> str:
        self._call("register", {"user": name, "host": self.domain, "password": password})
        # Erlang holds the last write to a table back for up to three seconds, and a kill would undo
        # it. Reading the whole table makes it write first.
        self._call("registered_users", {"host": self.domain})
        return f"{name}@{self.domain}"

    def share_roster(self, group: str, members: Iterable[str]) -> None:
        """Make accounts each other's contacts, as who looks after a server can."""
        host = {"group": group, "host": self.domain}
        about = {"label": group, "description": group, "display": group}
        self._call("srg_create", host | about)
        for member in members:
            user = {"user": member.partition("@")[0], "host": self.domain}
            self._call("srg_user_add", user | {"group": group, "grouphost": self.domain})

    def _call(self, command: str, arguments: dict[str, str]) -> Any:
        connection = http.client.HTTPConnection(self.host, self._api_port, timeout=_API_LIMIT)
        try:
            connection.request("POST", f"/api/{command}", json.dumps(arguments))
            answer = connection.getresponse()
            content = answer.read().decode()
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"ejabberd refused {command}: {answer.status} {content}")
            return json.loads(content)
        finally:
            connection.close()


def _libraries() -> Path:
    """The folder that holds ejabberd's Erlang code: named after the kind of machine on Debian."""
    roots = [Path(root) for root in os.environ.get("ERL_LIBS", "").split(":") if root]
    for pattern in ("lib/*-linux-gnu*", "lib", "lib64", "local/lib"):
        roots += sorted(Path("/usr").glob(pattern))
    for root in roots:
        if any(root.glob("ejabberd-*/ebin/ejabberd.app")):
            return root
    raise _missing()


def _missing() -> ServerMissingError:
    return ServerMissingError("ejabberd is not installed: apt-get install ejabberd")
