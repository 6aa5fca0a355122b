"""Passwords and SCRAM (RFC 5802, RFC 7677), over scramp.

Somebody who does not know a password must not learn from an exchange whether the account exists:
an unknown name gets a salt that is as stable as a real one, and fails where a wrong password does.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
from typing import Final

from scramp import ScramException, ScramMechanism

from jabot.jid import JID, InvalidJID
from jabot.server.store import Credentials, Store

MECHANISMS: Final = ("SCRAM-SHA-256", "SCRAM-SHA-1")
"""What is offered, strongest first. No channel binding, hence no `-PLUS`."""

_DIGEST_SIZES: Final = {"SCRAM-SHA-256": 32, "SCRAM-SHA-1": 20}


class SaslError(Exception):
    """The exchange failed; `condition` is one of RFC 6120 section 6.5."""

    def __init__(self, condition: str) -> None:
        super().__init__(condition)
        self.condition = condition


def hash_password(password: str, iterations: int) -> dict[str, Credentials]:
    """What is kept of a password, for each mechanism. Raises ValueError when SASLprep refuses."""
    try:
        return {
            name: Credentials(*ScramMechanism(name).make_auth_info(password, iterations))
            for name in MECHANISMS
        }
    except ScramException as problem:
        # scramp's message may quote the password.
        raise ValueError("the password holds a character that SCRAM does not allow") from problem


class ScramExchange:
    """One attempt to sign in: two messages from the client, two answers."""

    def __init__(self, mechanism: str, domain: str, store: Store, iterations: int) -> None:
        self.account = ""  # bare JID of whom the client says that it is
        self.done = False
        self._mechanism = mechanism
        self._domain = domain
        self._store = store
        self._iterations = iterations
        self._known = False
        self._scram = ScramMechanism(mechanism).make_server(self._credentials)
        self._started = False

    def answer(self, message: bytes) -> bytes:
        """The answer to the client's message. Raises SaslError when it is refused."""
        try:
            text = message.decode()
        except UnicodeDecodeError:
            raise SaslError("malformed-request") from None
        if self._started:
            return self._finish(text)
        self._started = True
        try:
            self._scram.set_client_first(text)
            return str(self._scram.get_server_first()).encode()
        except ScramException as problem:
            if isinstance(problem.__cause__, sqlite3.Error):
                raise problem.__cause__ from problem  # ours, not the client's
            raise SaslError("malformed-request") from None

    def _finish(self, text: str) -> bytes:
        try:
            self._scram.set_client_final(text)
            final: str = self._scram.get_server_final()
        except ScramException:
            raise SaslError("not-authorized") from None
        if not self._known:
            raise SaslError("not-authorized")
        self.done = True
        return final.encode()

    def _credentials(self, name: str) -> tuple[bytes, bytes, bytes, int]:
        found = None
        try:
            self.account = JID(f"{name}@{self._domain}").bare
            found = self._store.credentials(self.account, self._mechanism)
        except InvalidJID:
            self.account = name  # goes on as an unknown account
        if found is None:
            found = self._made_up(self.account)
        else:
            self._known = True
        return found.salt, found.stored_key, found.server_key, found.iterations

    def _made_up(self, account: str) -> Credentials:
        key = f"{self._mechanism} {account}".encode()
        salt = hmac.new(self._store.secret, key, hashlib.sha256).digest()
        size = _DIGEST_SIZES[self._mechanism]
        return Credentials(
            salt, secrets.token_bytes(size), secrets.token_bytes(size), self._iterations
        )
