"""Prosody, for the tests that are marked `also_prosody`."""

import json
import os
import shutil
from pathlib import Path
from string import Template

from .certificates import Certificate
from .ports import free_port
from .process import Server, ServerMissingError

_TEMPLATE = Path(__file__).with_name("prosody.cfg.lua")


class Prosody(Server):
    kind = "prosody"

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        super().__init__(folder, certificate)
        self.tls_port = free_port()
        self._config = folder / "prosody.cfg.lua"
        self._data = folder / "data"

    def prepare(self) -> None:
        self._data.mkdir(exist_ok=True)
        self._config.write_text(
            Template(_TEMPLATE.read_text()).substitute(
                run_as_root=str(os.geteuid() == 0).lower(),
                data=self._data,
                domain=self.domain,
                port=self.port,
                tls_port=self.tls_port,
                certificate=self.certificate.chain_file,
                key=self.certificate.key_file,
            )
        )

    def command(self) -> list[str]:
        prosody = shutil.which("prosody") or shutil.which("prosody", path="/usr/sbin:/usr/bin")
        if prosody is None:
            raise ServerMissingError("Prosody is not installed: apt-get install prosody")
        return [prosody, "-F", "--config", str(self._config)]

    def add_user(self, name: str, password: str) -> str:
        """Written straight into the store, which Prosody reads anew at every login."""
        accounts = self._data / self.domain / "accounts"
        accounts.mkdir(parents=True, exist_ok=True)
        record = f'return {{ ["password"] = {json.dumps(password)} }};\n'
        (accounts / f"{_file_name(name)}.dat").write_text(record)
        return f"{name}@{self.domain}"


def _file_name(name: str) -> str:
    """Prosody's own way to name a file after a user."""
    return "".join(
        char if char.isascii() and char.isalnum() else "".join(f"%{b:02x}" for b in char.encode())
        for char in name
    )
