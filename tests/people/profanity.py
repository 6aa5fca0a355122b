"""Profanity, a chat program in C on libstrophe."""

import re

from .terminal import Person

_ACCOUNT = """\
[{jid}]
enabled=true
jid={jid}
server={host}
port={port}
resource=person
tls.policy=trust
password={password}
"""
# "trust": it takes TLS for granted and the certificate as it is. It can't be told of an authority
# by settings alone; that its certificate is checked is tested with other clients.

_SETTINGS = """\
[logging]
chlog=true
grlog=true

[ui]
splash=false

[otr]
policy=manual
"""
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\S+ - (?P<name>[^:]*): (?P<text>.*)")


class Profanity(Person):
    program = "profanity"

    def configure(self) -> list[str]:
        settings = self.home / "config/profanity"
        accounts = self.home / "data/profanity"
        settings.mkdir()
        accounts.mkdir()
        (settings / "profrc").write_text(_SETTINGS)
        (accounts / "accounts").write_text(
            _ACCOUNT.format(
                jid=self.account.jid,
                host=self.server.host,
                port=self.server.port,
                password=self.account.password,
            )
        )
        return ["profanity", "--account", self.account.jid]

    def is_online(self) -> bool:
        return f"{self.account.jid}/person logged in successfully" in self.screen

    def enter(self, line: str) -> None:
        self.press(line + "\r")

    def say_command(self, to: str, text: str) -> str:
        return f"/msg {to} {text}"

    def received(self, sender: str) -> list[str]:
        """Its own log of the chat: one file a day, `TIME - NAME: TEXT`, `me` for what was sent."""
        logs = self.home / "data/profanity/chatlogs" / _folder(self.account.jid) / _folder(sender)
        lines: list[str] = []
        sender_speaks = False
        for log in sorted(logs.glob("*.log")):
            for line in log.read_text().splitlines():
                stamped = _STAMP.fullmatch(line)
                if stamped:
                    sender_speaks = stamped["name"] != "me"
                if sender_speaks:
                    lines.append(stamped["text"] if stamped else line)
        return lines


def _folder(jid: str) -> str:
    return jid.replace("@", "_at_")
