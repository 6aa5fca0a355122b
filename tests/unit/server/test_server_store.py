"""What is stored comes back, also to another process, and is readable by nobody else."""

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace

import pytest

from jabot import ConfigError
from jabot.server.sasl import hash_password
from jabot.server.store import RosterItem, Store


def test_accounts_come_back_after_a_restart(tmp_path):
    data = tmp_path / "deep" / "data"
    keys = hash_password("pencil", 4096)
    store = Store(data)
    store.set_credentials("ann@localhost", keys)
    secret = store.secret
    store.close()
    store = Store(data)
    assert store.has_account("ann@localhost")
    assert not store.has_account("bob@localhost")
    assert store.credentials("ann@localhost", "SCRAM-SHA-256") == keys["SCRAM-SHA-256"]
    assert store.credentials("ann@localhost", "PLAIN") is None
    assert store.secret == secret
    store.close()


def test_another_process_is_seen_at_once(tmp_path):
    running, other = Store(tmp_path), Store(tmp_path)
    other.set_credentials("ann@localhost", hash_password("pencil", 4096))
    assert running.has_account("ann@localhost")
    other.close()
    running.close()


def test_files_are_private_and_hold_no_password(tmp_path):
    store = Store(tmp_path / "data")
    store.set_credentials("ann@localhost", hash_password("correct horse", 4096))
    store.add_offline("ann@localhost", b"<message/>")
    files = list((tmp_path / "data").iterdir())
    assert files
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    for each in files:
        assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
        assert b"correct horse" not in each.read_bytes()
    store.close()


def test_a_new_password_replaces_the_old_one():
    store = Store(None)
    store.set_credentials("ann@localhost", hash_password("one", 4096))
    second = hash_password("two", 4096)
    store.set_credentials("ann@localhost", second)
    assert store.credentials("ann@localhost", "SCRAM-SHA-1") == second["SCRAM-SHA-1"]
    store.close()


def test_roster_items():
    store = Store(None)
    item = RosterItem("bob@localhost", True, "Bob", ("friends", "work"), to=True, from_=True)
    asked = RosterItem("cat@localhost", request="<presence/>")
    store.put_roster_item("ann@localhost", item)
    store.put_roster_item("ann@localhost", asked)
    assert store.roster("ann@localhost") == [item, asked]
    assert store.roster("bob@localhost") == []
    assert store.roster_item("ann@localhost", "bob@localhost") == item
    assert store.roster_size("ann@localhost") == 2
    assert store.watchers("ann@localhost") == store.watched("ann@localhost") == ["bob@localhost"]
    assert store.requests("ann@localhost") == ["<presence/>"]
    store.put_roster_item("ann@localhost", replace(item, name="Robert", from_=False))
    assert store.watchers("ann@localhost") == []
    store.delete_roster_item("ann@localhost", "bob@localhost")
    assert store.roster("ann@localhost") == [asked]
    store.close()


def test_offline_messages_are_taken_once_and_in_order(tmp_path):
    store = Store(tmp_path)
    for text in (b"1", b"2", b"3"):
        store.add_offline("ann@localhost", text)
    store.add_offline("bob@localhost", b"x")
    store.close()
    store = Store(tmp_path)
    assert store.offline_count("ann@localhost") == 3
    assert store.take_offline("ann@localhost") == [b"1", b"2", b"3"]
    assert store.take_offline("ann@localhost") == []
    assert store.offline_count("bob@localhost") == 1
    store.close()


def test_a_newer_jabot_s_database_is_left_alone(tmp_path):
    Store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "server.db")) as db:
        (known,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version = {known + 1}")
    with pytest.raises(ConfigError, match=f"server.db has schema {known + 1}, made by a newer"):
        Store(tmp_path)
