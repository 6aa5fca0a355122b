"""The pure parts of rooms: who may do what, history, who is there, what is kept."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from jabot.jid import JID
from jabot.server.conditions import StanzaError
from jabot.server.element import Element, Envelope, to_text
from jabot.server.namespaces import CLIENT, MUC
from jabot.server.rooms.admin import give_affiliation
from jabot.server.rooms.affiliations import (
    Affiliation,
    Role,
    check_affiliation_change,
    check_role_change,
    first_role,
    role_after,
)
from jabot.server.rooms.configuration import RoomConfiguration
from jabot.server.rooms.history import KEPT, KEPT_BYTES, History, Wanted, wanted
from jabot.server.rooms.occupants import Occupant, Occupants
from jabot.server.rooms.presences import Why
from jabot.server.rooms.room import Room, RoomRecord
from jabot.server.rooms.store import RoomStore
from jabot.server.store import Store

OWNER, ADMIN, MEMBER = Affiliation.OWNER, Affiliation.ADMIN, Affiliation.MEMBER
NONE, OUTCAST = Affiliation.NONE, Affiliation.OUTCAST
MODERATOR, PARTICIPANT, VISITOR = Role.MODERATOR, Role.PARTICIPANT, Role.VISITOR
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def refusal(check, *args, **kwargs):
    """The condition with which a check refuses; None when it does not."""
    try:
        check(*args, **kwargs)
    except StanzaError as error:
        return error.condition
    return None


# --- roles and affiliations ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "moderated", "expected"),
    [
        (OWNER, True, MODERATOR),
        (ADMIN, False, MODERATOR),
        (MEMBER, True, PARTICIPANT),
        (NONE, False, PARTICIPANT),
        (NONE, True, VISITOR),
    ],
)
def test_the_role_of_who_comes_in(held, moderated, expected):
    assert first_role(held, moderated=moderated) is expected


@pytest.mark.parametrize(
    ("held", "before", "now", "expected"),
    [
        (PARTICIPANT, NONE, ADMIN, MODERATOR),
        (VISITOR, NONE, MEMBER, PARTICIPANT),
        (MODERATOR, ADMIN, MEMBER, PARTICIPANT),
        (MODERATOR, ADMIN, NONE, VISITOR),
        (MODERATOR, NONE, MEMBER, MODERATOR),
        (PARTICIPANT, MEMBER, NONE, PARTICIPANT),
    ],
)
def test_the_role_after_a_change_of_affiliation(held, before, now, expected):
    assert role_after(held, before, now, moderated=True) is expected


ROLE_CHANGES = [
    # actor, target, wanted, refused with
    ((NONE, PARTICIPANT), (NONE, VISITOR), PARTICIPANT, "forbidden"),
    ((NONE, MODERATOR), (NONE, VISITOR), PARTICIPANT, None),
    ((NONE, MODERATOR), (NONE, PARTICIPANT), VISITOR, None),
    ((NONE, MODERATOR), (NONE, PARTICIPANT), Role.NONE, None),
    ((NONE, MODERATOR), (MEMBER, PARTICIPANT), Role.NONE, "not-allowed"),
    ((MEMBER, MODERATOR), (MEMBER, PARTICIPANT), Role.NONE, None),
    ((MEMBER, MODERATOR), (NONE, MODERATOR), Role.NONE, "not-allowed"),
    ((MEMBER, MODERATOR), (NONE, PARTICIPANT), MODERATOR, "forbidden"),
    ((MEMBER, MODERATOR), (NONE, MODERATOR), PARTICIPANT, "forbidden"),
    ((ADMIN, MODERATOR), (NONE, PARTICIPANT), MODERATOR, None),
    ((ADMIN, MODERATOR), (NONE, MODERATOR), PARTICIPANT, None),
    ((ADMIN, MODERATOR), (ADMIN, MODERATOR), VISITOR, "not-allowed"),
    ((ADMIN, MODERATOR), (OWNER, MODERATOR), Role.NONE, "not-allowed"),
    ((OWNER, MODERATOR), (ADMIN, MODERATOR), Role.NONE, None),
    ((OWNER, MODERATOR), (ADMIN, MODERATOR), PARTICIPANT, "not-allowed"),
]


@pytest.mark.parametrize(("actor", "target", "given", "condition"), ROLE_CHANGES)
def test_who_may_change_whose_role(actor, target, given, condition):
    assert refusal(check_role_change, actor, target, given) == condition


def test_nobody_but_admins_and_owners_changes_affiliations():
    for actor, held, given in itertools.product(Affiliation, repeat=3):
        allowed = refusal(check_affiliation_change, actor, held, given, own=False, owners=2) is None
        assert allowed == (actor is OWNER or (actor is ADMIN and held < ADMIN and given < ADMIN))


@pytest.mark.parametrize(
    ("actor", "held", "given", "own", "owners", "condition"),
    [
        (OWNER, OWNER, ADMIN, True, 1, "conflict"),
        (OWNER, OWNER, ADMIN, True, 2, None),
        (OWNER, OWNER, OUTCAST, True, 2, "conflict"),
        (ADMIN, ADMIN, NONE, True, 1, None),
        (ADMIN, OWNER, NONE, False, 1, "not-allowed"),
        (ADMIN, OWNER, OUTCAST, False, 2, "not-allowed"),
        (ADMIN, NONE, OWNER, False, 2, "forbidden"),
    ],
)
def test_the_limits_of_admins_and_owners(actor, held, given, own, owners, condition):
    found = refusal(check_affiliation_change, actor, held, given, own=own, owners=owners)
    assert found == condition


def test_words_that_are_none():
    assert Affiliation.read("outcast") is OUTCAST
    assert Role.read("none") is Role.NONE
    for read in (Affiliation.read, Role.read):
        with pytest.raises(StanzaError, match="bad-request"):
            read("king")


# --- history ------------------------------------------------------------------------------------


def line(text):
    body = Element(CLIENT, "body", None, [text])
    return Element(CLIENT, "message", {"type": "groupchat", "from": "r@c/ann"}, [body])


def filled(count, text="line {}"):
    history = History("r@c")
    for number in range(count):
        history.add(line(text.format(number)), NOON + timedelta(minutes=number))
    return history


def bodies(envelopes):
    return [each.to("x@y").decode().partition("<body>")[2].partition("<")[0] for each in envelopes]


def test_history_keeps_the_newest_and_says_when():
    kept = filled(KEPT + 5).select(Wanted())
    assert bodies(kept) == [f"line {n}" for n in range(5, KEPT + 5)]
    first = kept[0].to("bob@x/y").decode()
    assert first.startswith("<message to='bob@x/y' type='groupchat' from='r@c/ann'>")
    assert "<delay xmlns='urn:xmpp:delay' from='r@c' stamp='2026-01-01T12:05:00.000Z'/>" in first


def test_history_is_bounded_in_bytes():
    kept = filled(10, "{}" + "x" * (KEPT_BYTES // 4)).select(Wanted())
    assert len(kept) == 3
    assert sum(len(each) for each in kept) <= KEPT_BYTES


def test_history_selects_by_count_size_and_age():
    history = filled(10)
    size = len(history.select(Wanted())[0])
    assert len(history.select(Wanted(stanzas=3))) == 3
    assert len(history.select(Wanted(characters=2 * size))) == 2
    assert history.select(Wanted(stanzas=0)) == []
    since = NOON + timedelta(minutes=7)
    assert bodies(history.select(Wanted(since=since))) == ["line 7", "line 8", "line 9"]


def test_what_a_join_wants_of_the_history():
    def asked(**attrs):
        return wanted(Element(MUC, "x", None, [Element(MUC, "history", attrs)]), NOON)

    assert wanted(Element(MUC, "x"), NOON) == Wanted()
    assert asked(maxstanzas="5", maxchars="100") == Wanted(5, 100)
    minute_ago = NOON - timedelta(minutes=1)
    assert asked(seconds="60") == Wanted(since=minute_ago)
    assert asked(seconds="60", since="2020-01-01T00:00:00Z") == Wanted(since=minute_ago)
    assert asked(seconds="9" * 30).since < NOON
    assert asked(maxstanzas="0000000000005") == Wanted(5)
    assert asked(maxstanzas="1" + "0" * 4300) == Wanted(999_999_999)
    for bad in ({"maxstanzas": "-1"}, {"seconds": "soon"}, {"since": "2020-01-01T00:00:00"}):
        with pytest.raises(StanzaError, match="bad-request"):
            asked(**bad)


# --- who is there -------------------------------------------------------------------------------


def test_occupants_are_found_by_nickname_session_and_account():
    occupants = Occupants()
    ann = Occupant("ann", "ann@x", MODERATOR)
    occupants.put(ann, "ann@x/desk", [])
    occupants.put(ann, "ann@x/phone", ["busy"])
    occupants.put(Occupant("bob", "bob@x", PARTICIPANT), "bob@x/a", [])
    assert len(occupants) == 2
    assert occupants.session_count == 3
    assert ann.current == "ann@x/phone"
    occupants.put(ann, "ann@x/desk", [])
    assert ann.current == "ann@x/desk"
    occupants.rename(ann, "anna")
    assert occupants.called("ann") is None
    assert occupants.called("anna") is occupants.of_session("ann@x/phone") is ann
    assert occupants.of_account("ann@x") == [ann]
    occupants.drop("ann@x/desk")
    assert occupants.called("anna") is ann
    occupants.drop("ann@x/phone")
    assert occupants.called("anna") is None


def test_a_room_shows_an_occupant_anew_after_every_change():
    """Presences are kept as text for who comes in; none of them may be stale."""
    sent = []
    record = RoomRecord(
        jid="r@c",
        creator="ann@x",
        configuration=RoomConfiguration(max_occupants=10, whois="anyone"),
        affiliations={"ann@x": OWNER},
    )
    room = Room(record, lambda full, data: sent.append((full, data.decode())), lambda: NOON, 10)

    def come(full, nick, status=""):
        children = [Element(MUC, "x"), Element(CLIENT, "status", None, [status])]
        stanza = Element(CLIENT, "presence", {"from": full}, children)
        room.presence(stanza, JID(full), nick)

    come("ann@x/a", "ann", "free")
    for number, (nick, status) in enumerate((("ann", "busy"), ("anna", "away"))):
        come(f"bob@x/{number}", f"bob{number}")
        come("ann@x/a", nick, status)
        sent.clear()
        come(f"cat@x/{number}", f"cat{number}")
        seen = "".join(data for full, data in sent if full == f"cat@x/{number}")
        assert f"from='r@c/{nick}'" in seen
        assert f"<status>{status}</status>" in seen
    give_affiliation(room, "bob@x", ADMIN, Why())
    sent.clear()
    come("cat@x/2", "cat2")
    seen = "".join(data for full, data in sent if full == "cat@x/2")
    assert seen.count("affiliation='admin' role='moderator' jid='bob@x/") == 2


# --- what is kept -------------------------------------------------------------------------------


@pytest.fixture
def store():
    store = Store(None)
    yield RoomStore(store.db)
    store.close()


def test_a_room_is_read_back_as_it_was_kept(store):
    subject = Element(
        CLIENT, "message", {"from": "r@c/ann"}, [Element(CLIENT, "subject", None, ["<&>"])]
    )
    record = RoomRecord(
        jid="r@c",
        creator="ann@x",
        configuration=RoomConfiguration(name="R", persistent=True, max_occupants=7),
        affiliations={"ann@x": OWNER, "bob@x": OUTCAST},
        subject=subject,
    )
    store.save(record)
    store.save_affiliations("r@c", {"bob@x": NONE, "cat@x": MEMBER})
    [kept] = store.load()
    assert kept.affiliations == {"ann@x": OWNER, "cat@x": MEMBER}
    assert (kept.creator, kept.configuration) == ("ann@x", record.configuration)
    assert to_text(kept.subject) == to_text(subject)
    store.delete("r@c")
    assert list(store.load()) == []


def test_an_envelope_is_the_stanza_with_an_address():
    stanza = Element(CLIENT, "presence", {"from": "r@c/<ann>"}, ["a&b"])
    envelope = Envelope(stanza)
    written = envelope.to("bob@x/it's")
    assert written == b"<presence to='bob@x/it&apos;s' from='r@c/&lt;ann&gt;'>a&amp;b</presence>"
