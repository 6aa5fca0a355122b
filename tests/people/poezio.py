"""Poezio, a chat program in Python on the slixmpp of the system."""

import os
import re
import shutil

from .terminal import Person

_SETTINGS = """\
[Poezio]
jid = {jid}/person
password = {password}
custom_host = {host}
custom_port = {port}
ca_cert_path = {ca_file}
force_encryption = true
auto_reconnect = false
log_dir = {logs}
use_log = true
use_bookmark_method =
rooms =
enable_user_nick = false
send_os_info = false
beep_on =
"""
_STAMP = re.compile(r"M. \S+ \d+ (<(?P<nick>[^ ]+)>\s+)?(?P<text>.*)")
_KEYS_READ = "Got from keyboard"


class Poezio(Person):
    """It checks the server's certificate against the authority of the tests."""

    program = "poezio"

    def configure(self) -> list[str]:
        settings = self.home / "config/poezio.cfg"
        (self.home / "logs").mkdir()
        ca_file = self.home / "ca.pem"
        if self.server.ca_file is not None:
            shutil.copy(self.server.ca_file, ca_file)
        settings.write_text(
            _SETTINGS.format(
                jid=self.account.jid,
                password=self.account.password,
                host=self.server.host,
                port=self.server.port,
                ca_file=ca_file,
                logs=self.home / "logs",
            )
        )
        command = ["poezio", "--file", str(settings), "--debug", str(self.home / "debug.log")]
        return [*self._as_somebody(), *command]

    def is_online(self) -> bool:
        return f"Your JID is {self.account.jid}" in self.screen

    def enter(self, line: str) -> None:
        # Keys that it reads together are pasted text to it; neither the slash that opens the
        # input line nor the enter key would count. So it gets each alone.
        for keys in (line[0], line[1:], "\r"):
            before = self._times_keys_read()
            self.press(keys)
            self.wait_until(lambda seen=before: self._times_keys_read() > seen, "read the keys")

    def say_command(self, to: str, text: str) -> str:
        return f"/message {to} {text}"

    def received(self, sender: str) -> list[str]:
        """Its own log of the chat: `MR TIME LINES <NICK>  TEXT`, then further lines of the text."""
        log = self.home / "logs" / sender
        nick = sender.split("@")[0]
        lines: list[str] = []
        sender_speaks = False
        for line in log.read_text().splitlines() if log.exists() else ():
            stamped = _STAMP.fullmatch(line)
            if stamped:
                sender_speaks = stamped["nick"] == nick
            if sender_speaks:
                lines.append(stamped["text"] if stamped else line.strip())
        return lines

    def _times_keys_read(self) -> int:
        log = self.home / "debug.log"
        return log.read_text(errors="replace").count(_KEYS_READ) if log.exists() else 0

    def _as_somebody(self) -> list[str]:
        """It does not run as root: then it runs as `nobody`, who gets its home."""
        if os.geteuid() != 0:
            return []
        for path in (self.home, *self.home.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
