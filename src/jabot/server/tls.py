"""The server's TLS: its certificate is made on first use, and kept in the data directory."""

from __future__ import annotations

import os
import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path


class Certificate:
    """Gives the TLS context of one domain. `data` is a directory; None keeps nothing."""

    def __init__(self, domain: str, data: Path | None) -> None:
        self._domain = domain
        self._data = data
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """The context for the server's side; made once, with the certificate if need be."""
        if self._context is None:
            if self._data is not None:
                self._context = self._load(self._data)
            else:
                # OpenSSL reads key and certificate from files only.
                with tempfile.TemporaryDirectory() as folder:
                    self._context = self._load(Path(folder))
        return self._context

    def _load(self, folder: Path) -> ssl.SSLContext:
        # Only here: cryptography is a heavy import, and a test in memory needs no TLS.
        from jabot.server.self_signed import is_good, make_self_signed

        certificate, key = folder / "cert.pem", folder / "key.pem"
        if not (key.exists() and is_good(certificate, self._domain)):
            key_pem, certificate_pem = make_self_signed(self._domain, datetime.now(UTC))
            _write_private(key, key_pem)
            _write_private(certificate, certificate_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        return context


def _write_private(path: Path, content: bytes) -> None:
    """Readable by nobody else at any moment, and never half written."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(temporary).replace(path)
