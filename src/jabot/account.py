"""Which account a program signs in with, and where that is written down.

The password comes from `JABOT_PASSWORD` or from `~/.config/jabot/config.toml` (which `jabot login`
writes), never from an argument: arguments are visible to everybody on the machine.

    default = "alice@example.org"          # the account when nothing else names one

    ["alice@example.org"]
    password = "..."
    server = "xmpp.example.org:5222"       # optional; found by DNS otherwise
    ca_file = "/etc/ssl/our-ca.pem"        # optional
"""

from __future__ import annotations

import ipaddress
import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import platformdirs

from jabot.errors import ConfigError
from jabot.jid import JID, InvalidJID

XMPP_PORT = 5222  # RFC 6120 section 14.7
DIRECT_TLS_PORT = 5223  # customary for XEP-0368


@dataclass(frozen=True)
class ServerAddress:
    """Where to connect: `host`, `host:port`, or `xmpps://host:port` for TLS from the first byte."""

    host: str
    port: int
    direct_tls: bool = False

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Read the text form; raises `ConfigError` when it is not one."""
        scheme, separator, rest = text.rpartition("://")
        if separator and scheme not in ("xmpp", "xmpps"):
            raise ConfigError(f"server {text!r}: write HOST:PORT or xmpps://HOST:PORT")
        direct = scheme == "xmpps"
        host, port = rest, ""
        if not rest.endswith("]") and (rest.count(":") == 1 or "]:" in rest):
            host, _, port = rest.rpartition(":")
        host = host.strip("[]")
        if not host or "/" in host:
            raise ConfigError(f"server {text!r}: write HOST:PORT or xmpps://HOST:PORT")
        number = port or (DIRECT_TLS_PORT if direct else XMPP_PORT)
        try:
            number = int(number)
        except ValueError:
            raise ConfigError(f"server {text!r}: {port!r} is not a port") from None
        if not 0 < number < 65536:
            raise ConfigError(f"server {text!r}: {number} is not a port")
        return cls(host, number, direct)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Account:
    """What is needed to sign in."""

    jid: JID  # bare
    password: str = field(repr=False)
    server: ServerAddress | None = None  # None: by DNS (RFC 6120 section 3.2)
    ca_file: Path | None = None  # given: certificates are checked against it, on loopback too
    # What makes its connections, for `xmpp/session.py`; None: the network.
    lines: Callable[[Account], Any] | None = field(default=None, repr=False)

    @property
    def on_loopback(self) -> bool:
        """Whether the server is on this machine: only there may a link go without verified TLS."""
        host = self.server.host if self.server else self.jid.domain
        return is_loopback(host)


def is_loopback(host: str) -> bool:
    """True for `localhost` and for literal loopback addresses, never for what DNS says."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_jid(text: str | JID) -> JID:
    """Any address; raises `ConfigError` for what is none, as an empty text."""
    if not text:
        raise ConfigError(f"{str(text)!r} is not an address")
    try:
        return JID(text)
    except InvalidJID as error:
        raise ConfigError(f"{str(text)!r} is not an address ({error})") from None


def parse_account_jid(text: str) -> JID:
    """A bare address with a name and a domain; raises `ConfigError` otherwise."""
    jid = parse_jid(text)
    if not jid.node or jid.resource:
        raise ConfigError(f"{text!r}: an account is written name@domain")
    return jid


def config_path() -> Path:
    """`~/.config/jabot/config.toml`, or where the platform keeps such files."""
    return platformdirs.user_config_path("jabot") / "config.toml"


def resolve_jid(jid: str | None = None, env: Mapping[str, str] = os.environ) -> JID:
    """The account's address: `jid`, else `JABOT_JID`, else the configured default."""
    text = jid or env.get("JABOT_JID") or _read_config(config_path()).get("default")
    if not text:
        raise ConfigError("no account: set JABOT_JID and JABOT_PASSWORD, or run `jabot login`")
    return parse_account_jid(str(text))


def resolve_account(jid: str | None = None, env: Mapping[str, str] = os.environ) -> Account:
    """Put an account together from the environment first, then the configuration file.

    `JABOT_JID` says whose the other variables are: for another account they count for nothing.

    Raises `ConfigError` when no account or no password is to be found, or when the file with the
    password can be read by others.
    """
    address = resolve_jid(jid, env)
    whose = env.get("JABOT_JID")
    foreign = bool(whose) and parse_account_jid(str(whose)) != address
    if foreign:
        env = {}
    entry = _read_config(config_path()).get(address.bare, {})
    if not isinstance(entry, dict):
        raise ConfigError(f"{config_path()}: [{address.bare!r}] must be a table")
    password = env.get("JABOT_PASSWORD") or entry.get("password")
    if not password:
        variables = f"JABOT_JID={address.bare} and JABOT_PASSWORD" if foreign else "JABOT_PASSWORD"
        raise ConfigError(
            f"no password for {address.bare}: set {variables}, or run `jabot login {address.bare}`"
        )
    server = env.get("JABOT_SERVER") or entry.get("server")
    ca_file = env.get("JABOT_CA_FILE") or entry.get("ca_file")
    return Account(
        address,
        str(password),
        ServerAddress.parse(str(server)) if server else None,
        _existing_file(str(ca_file)) if ca_file else None,
    )


def default_account() -> str | None:
    """The account that the configuration file names for who names none."""
    default = _read_config(config_path()).get("default")
    return None if default is None else str(default)


def save_account(account: Account) -> Path:
    """Write the account to the configuration file (mode 0600); the first one is the default."""
    path = config_path().resolve()  # a link stays one
    config = _read_config(path)
    entry: dict[str, str] = {"password": account.password}
    if account.server:
        scheme = "xmpps://" if account.server.direct_tls else ""
        entry["server"] = f"{scheme}{account.server}"
    if account.ca_file:
        entry["ca_file"] = str(account.ca_file)
    config[account.jid.bare] = entry
    config.setdefault("default", account.jid.bare)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(_to_toml(config))
    temporary.replace(path)
    return path


def with_ca_file(account: Account, ca_file: str | None) -> Account:
    """The same account, trusting the certificates in `ca_file` (when given)."""
    return replace(account, ca_file=_existing_file(ca_file)) if ca_file else account


def _existing_file(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise ConfigError(f"ca_file {text!r}: there is no such file")
    return path.resolve()


def _read_config(path: Path) -> dict[str, Any]:
    import tomllib  # here, since many programs have their account from the environment

    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ConfigError(
                    f"{path} holds passwords and can be read by others (mode {mode:04o}); "
                    f"run: chmod 600 {path}"
                )
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # what is no TOML, or no UTF-8
        raise ConfigError(f"cannot read {path}: {error}") from None


def _to_toml(config: dict[str, Any]) -> str:
    """Our own few keys: strings, and one level of tables."""
    plain = {k: v for k, v in config.items() if not isinstance(v, dict)}
    lines = [f"{_quote(key)} = {_quote(value)}" for key, value in plain.items()]
    for name, table in config.items():
        if isinstance(table, dict):
            lines += ["", f"[{_quote(name)}]"]
            lines += [f"{_quote(key)} = {_quote(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _quote(value: object) -> str:
    """A JSON string is a TOML string, but for one character that TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
