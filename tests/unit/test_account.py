"""Which account a program signs in with."""

import stat
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jabot
import jabot.sync
from jabot.account import (
    Account,
    ServerAddress,
    config_path,
    is_loopback,
    parse_account_jid,
    resolve_account,
    resolve_jid,
    save_account,
    with_ca_file,
)
from jabot.errors import ConfigError
from jabot.jid import JID

ALICE = JID("alice@example.org")


# --- where to connect ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port", "direct"),
    [
        ("example.org", "example.org", 5222, False),
        ("example.org:15222", "example.org", 15222, False),
        ("xmpp://example.org", "example.org", 5222, False),
        ("xmpps://example.org", "example.org", 5223, True),
        ("xmpps://example.org:443", "example.org", 443, True),
        ("127.0.0.1:5222", "127.0.0.1", 5222, False),
        ("::1", "::1", 5222, False),
        ("[::1]", "::1", 5222, False),
        ("[::1]:15222", "::1", 15222, False),
        ("xmpps://[2001:db8::2]:443", "2001:db8::2", 443, True),
        ("2001:db8::2", "2001:db8::2", 5222, False),
    ],
)
def test_server_addresses(text, host, port, direct):
    assert ServerAddress.parse(text) == ServerAddress(host, port, direct)


@pytest.mark.parametrize(
    "text", ["", ":5222", "https://example.org", "example.org/x", "h:0", "h:65536", "h:x", "h:-1"]
)
def test_what_is_no_server_address(text):
    with pytest.raises(ConfigError):
        ServerAddress.parse(text)


@given(
    st.sampled_from(["example.org", "127.0.0.1", "::1", "2001:db8::2"]),
    st.integers(1, 65535),
    st.booleans(),
)
def test_a_server_address_is_read_back_from_its_text(host, port, direct):
    address = ServerAddress(host, port, direct)
    assert ServerAddress.parse(f"{'xmpps://' if direct else ''}{address}") == address


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_loopback(host):
    assert is_loopback(host)
    assert Account(ALICE, "x", ServerAddress(host, 5222)).on_loopback


@pytest.mark.parametrize(
    "host",
    # The first names usually resolve to 127.0.0.1; what DNS says counts for nothing.
    [
        *("localhost.localdomain", "ip6-localhost", "myself.localhost", "127.0.0.1.example.org"),
        *("127.example", "0.0.0.0", "128.0.0.1", "::2", "example.org", ""),
    ],
)
def test_no_loopback(host):
    assert not is_loopback(host)


def test_an_account_without_a_server_is_where_its_domain_is():
    assert Account(JID("a@localhost"), "x").on_loopback
    assert not Account(ALICE, "x").on_loopback


# --- the account's address ----------------------------------------------------------------------


@pytest.mark.parametrize("text", ["example.org", "alice@example.org/phone", "a b@c", "", "@x"])
def test_what_is_no_account(text):
    with pytest.raises(ConfigError):
        parse_account_jid(text)


def test_an_account_in_any_letter_case_is_the_same():
    assert parse_account_jid("ALICE@Example.ORG") == ALICE


def test_a_password_is_not_shown():
    assert "s3cret" not in repr(Account(ALICE, "s3cret"))
    assert "s3cret" not in str(Account(ALICE, "s3cret"))


# --- putting it together ------------------------------------------------------------------------


def test_code_before_environment_before_file(home):
    save_account(Account(JID("file@example.org"), "x"))
    assert resolve_jid(None, {}) == "file@example.org"
    assert resolve_jid("code@example.org", {}) == "code@example.org"
    env = {"JABOT_JID": "env@example.org"}
    assert resolve_jid(None, env) == "env@example.org"
    assert resolve_jid("code@example.org", env) == "code@example.org"


@pytest.mark.parametrize("connect", [jabot.connect, jabot.sync.connect])
def test_the_variables_of_another_account_count_for_nothing(home, monkeypatch, connect):
    save_account(Account(ALICE, "alice's", ServerAddress("file", 1)))
    env = {"JABOT_JID": "bob@example.org", "JABOT_PASSWORD": "bob's", "JABOT_SERVER": "env:2"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert connect("alice@example.org")._account == resolve_account(None, {})
    bob = Account(JID("bob@example.org"), "bob's", ServerAddress("env", 2))
    assert connect()._account == connect("BOB@example.org")._account == bob
    with pytest.raises(ConfigError, match=r"set JABOT_JID=eve@example\.org and"):
        connect("eve@example.org")


def test_the_environment_goes_before_the_file_in_everything(home, tmp_path):
    for name in ("file.pem", "env.pem"):
        (tmp_path / name).touch()
    save_account(
        Account(ALICE, "of the file", ServerAddress("file", 1), ca_file=tmp_path / "file.pem")
    )
    from_file = resolve_account(None, {})
    assert from_file == Account(
        ALICE, "of the file", ServerAddress("file", 1), tmp_path / "file.pem"
    )
    env = {
        "JABOT_PASSWORD": "of the env",
        "JABOT_SERVER": "env:2",
        "JABOT_CA_FILE": str(tmp_path / "env.pem"),
    }
    assert resolve_account(None, env) == Account(
        ALICE, "of the env", ServerAddress("env", 2), tmp_path / "env.pem"
    )


def test_the_environment_alone_is_enough(home):
    env = {"JABOT_JID": "alice@example.org", "JABOT_PASSWORD": "x"}
    assert resolve_account(None, env) == Account(ALICE, "x")


def test_no_account_at_all(home):
    with pytest.raises(ConfigError, match="set JABOT_JID and JABOT_PASSWORD, or run `jabot login`"):
        resolve_account(None, {})


def test_no_password_says_where_one_could_be(home):
    with pytest.raises(ConfigError, match=r"JABOT_PASSWORD.*`jabot login alice@example.org`"):
        resolve_account("alice@example.org", {})


def test_the_password_of_another_account_is_not_used(home):
    save_account(Account(JID("bob@example.org"), "bob's"))
    with pytest.raises(ConfigError, match=r"no password for alice@example\.org"):
        resolve_account("alice@example.org", {})


def test_a_ca_file_must_be_there(home, tmp_path):
    env = {"JABOT_PASSWORD": "x", "JABOT_CA_FILE": str(tmp_path / "none.pem")}
    with pytest.raises(ConfigError, match=r"none\.pem.*no such file"):
        resolve_account("alice@example.org", env)
    with pytest.raises(ConfigError, match="no such file"):
        with_ca_file(Account(ALICE, "x"), str(tmp_path / "none.pem"))
    assert with_ca_file(Account(ALICE, "x"), None) == Account(ALICE, "x")


# --- the file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620])
def test_a_file_that_others_can_read_is_refused_and_the_cure_is_named(home, mode):
    path = save_account(Account(ALICE, "s3cret"))
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}") as refusal:
        resolve_account("alice@example.org", {})
    assert "s3cret" not in str(refusal.value)
    with pytest.raises(ConfigError, match="chmod 600"):
        save_account(Account(ALICE, "new"))


def test_the_file_is_written_for_its_owner_alone(home):
    path = save_account(Account(ALICE, "x"))
    assert path == config_path()
    assert path.is_relative_to(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("text", ["default =", "\xff", "[[[", 'default = "a b"'])
def test_a_file_that_cannot_be_read_is_refused(home, text):
    path = save_account(Account(ALICE, "x"))
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        resolve_account(None, {})


def test_an_entry_must_be_a_table(home):
    path = save_account(Account(ALICE, "x"))
    path.write_text('"alice@example.org" = "x"\n')
    with pytest.raises(ConfigError, match="must be a table"):
        resolve_account("alice@example.org", {})


def test_the_first_account_is_the_default_and_others_are_kept(home):
    save_account(Account(ALICE, "a"))
    save_account(Account(JID("bob@example.org"), "b"))
    save_account(Account(JID("bob@example.org"), "b2"))
    assert resolve_account(None, {}) == Account(ALICE, "a")
    assert resolve_account("bob@example.org", {}).password == "b2"


anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    password=anything,
    name=st.sampled_from(["alice", "ünal", "данила", "太郎"]),
    domain=st.sampled_from(["example.org", "müller.example", "[::1]"]),
    direct=st.booleans(),
)
def test_every_account_is_read_back_as_it_was_written(home, password, name, domain, direct):
    jid = JID(f"{name}@{domain}")
    written = Account(jid, password, ServerAddress("::1", 7, direct))
    path = save_account(written)
    assert resolve_account(str(jid), {}) == written
    tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("password", ['"', "\\", "\x7f", "'''", "\n", "#", "пароль", "\U0001f511"])
def test_passwords_with_characters_that_mean_something(home, password):
    save_account(Account(ALICE, password))
    assert resolve_account(None, {}).password == password
