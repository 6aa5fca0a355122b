"""`jabot login` and `jabot can`."""

from pathlib import Path

import pytest

from chatting import clean_environment
from servers import Server

HEAVY = Path(__file__).parents[2] / "examples" / "heavy.py"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where `jabot login` writes, in the home that these tests have."""
    return Path(clean_environment(tmp_path)["XDG_CONFIG_HOME"]) / "jabot" / "config.toml"


@pytest.mark.also_prosody
def test_a_login_is_tried_and_saved_for_its_owner_only(run, xmpp: Server, config: Path) -> None:
    account = xmpp.fresh_user("ann")
    login = run("login", account.jid, "--server", xmpp.address, text=f"{account.password}\n")
    assert login.returncode == 0, login.stderr
    assert login.stdout == f"Signed in as {account.jid}.\nSaved to {config}.\n"
    assert account.password not in login.stderr
    assert config.stat().st_mode & 0o777 == 0o600
    assert account.password in config.read_text()
    # From now on, no variable is needed.
    bob = xmpp.fresh_user("bob")
    chat = run("chat", bob.jid, text="")
    assert chat.returncode == 0, chat.stderr


def test_a_wrong_password_is_not_saved(run, xmpp: Server, config: Path) -> None:
    account = xmpp.fresh_user("ann")
    login = run("login", account.jid, "--server", xmpp.address, text="Geheimnis\n")
    assert login.returncode == 1
    assert f"does not accept the account {account.jid} with this password" in login.stderr
    assert "Geheimnis" not in login.stderr + login.stdout
    assert "Traceback" not in login.stderr
    assert not config.exists()


@pytest.mark.parametrize(
    ("arguments", "text", "code", "reason"),
    [
        (("ann@localhost",), "\n", 1, "the password for ann@localhost is empty"),
        (("ann",), "x\n", 2, "an account is written name@domain"),
        (("ann@localhost/desk",), "x\n", 2, "an account is written name@domain"),
        (("ann@localhost", "--server", "host:port"), "x\n", 2, "'port' is not a port"),
        (("ann@localhost", "--ca-file", "/no/such/file"), "x\n", 1, "there is no such file"),
        (("ann@localhost", "--server", "127.0.0.1:1"), "x\n", 1, "cannot reach 127.0.0.1:1"),
    ],
    ids=["empty", "no domain", "a resource", "no port", "no file", "no server"],
)
def test_what_can_t_be_a_login_is_told_in_one_line(
    run, config: Path, arguments: tuple[str, ...], text: str, code: int, reason: str
) -> None:
    login = run("login", *arguments, text=text)
    assert login.returncode == code
    errors = [line for line in login.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert reason in errors[0]
    assert "Traceback" not in login.stderr
    assert not config.exists()


def test_a_file_that_others_can_read_is_refused(run, config: Path) -> None:
    assert run("login", "ann@localhost", "--no-check", text="Geheimnis\n").returncode == 0
    config.chmod(0o644)
    login = ("login", "bob@localhost", "--no-check")
    for command in (("chat", "bot@localhost"), ("run", HEAVY), login):
        refused = run(*command, text="x\n", JABOT_PASSWORD="x")
        assert refused.returncode == 1
        assert "can be read by others (mode 0644); run: chmod 600 " in refused.stderr
        assert "Geheimnis" not in refused.stderr + refused.stdout


def test_a_password_is_asked_for_and_not_shown(terminal, config: Path) -> None:
    login = terminal("login", "ann@localhost", "--no-check")
    login.see("Password for ann@localhost: ")
    login.send("Geheimnis\r")
    login.see("Saved to ")
    login.wait()
    assert "Geheimnis" not in login.before
    assert "Geheimnis" in config.read_text()


def test_ctrl_c_in_place_of_a_password_is_130(terminal, config: Path) -> None:
    login = terminal("login", "ann@localhost", "--no-check")
    login.see("Password for ann@localhost: ")
    login.sendintr()
    login.see("Aborted!")
    assert login.see_end() == 130
    assert not config.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "answer"),
    [
        (("ann@localhost", "lift"), 0, "yes: the rule for *@localhost allows it\n"),
        (("ann@localhost/desk", "exit"), 0, "yes: manage names *@localhost\n"),
        (("bot@localhost", "lift"), 0, "yes: bot@localhost is the node's own account\n"),
        (("ann@elsewhere.example", "lift"), 4, "no: no rule names ann@elsewhere.example\n"),
        (
            ("ann@elsewhere.example", "exit"),
            4,
            "no: ann@elsewhere.example is not among those who manage the node\n",
        ),
    ],
)
def test_can_says_yes_or_no_and_why(run, arguments: tuple[str, str], code: int, answer) -> None:
    can = run("can", *arguments, HEAVY)
    assert (can.returncode, can.stdout) == (code, answer), can.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("a@b@c", "lift", HEAVY), 2, "'a@b@c' is not an address"),
        (("ann@localhost", "lfit", HEAVY), 2, "has no task lfit; it has: lift"),
        (("ann@localhost", "lift", "no-such.py"), 1, "Error: there is no file no-such.py"),
        (("ann@localhost", "lift", f"{HEAVY}:bar"), 1, "has no node named bar"),
    ],
)
def test_can_t_say_is_neither(run, arguments: tuple[str, ...], code: int, reason: str) -> None:
    can = run("can", *arguments)
    assert can.returncode == code
    assert reason in can.stderr
    assert can.stdout == ""
    assert "Traceback" not in can.stderr
