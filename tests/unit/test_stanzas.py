"""What is read from stanzas, and how ours are built."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot.jid import JID
from jabot.xmpp.backoff import Backoff
from jabot.xmpp.outbox import Outbox
from jabot.xmpp.stanzas import (
    SID,
    IncomingPresence,
    IncomingText,
    OutgoingText,
    chat_state,
    clean,
    presence,
    read_chat_state,
    read_presence,
    read_text,
)

OWN = JID("bot@localhost/host-1")
ALICE = JID("alice@localhost/phone")


def xml(text):
    """A stanza as it comes from the stream."""
    return next(iter(ET.fromstring(f"<stream xmlns='jabber:client'>{text}</stream>")))


def message(inner="<body>hi</body>", attributes="type='chat'"):
    return xml(f"<message from='{ALICE}' to='{OWN}' id='m1' {attributes}>{inner}</message>")


# --- texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain größe 太郎 🏋", "plain größe 太郎 🏋"),
        ("tab\tline\nend", "tab\tline\nend"),
        ("a\x00b\x08c\x1bd\x0be", "a\ufffdb\ufffdc\ufffdd\ufffde"),
        ("\ud800 \udfff", "\ufffd \ufffd"),
        ("\ufffe\uffff", "\ufffd\ufffd"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("<&>\"'", "<&>\"'"),
    ],
)
def test_texts_are_cleaned_of_what_xml_forbids(text, cleaned):
    assert clean(text) == cleaned


any_text = st.text(st.characters(codec=None, exclude_categories=[]))


@given(any_text)
def test_every_cleaned_text_survives_a_trip_through_xml(text):
    element = ET.Element("body")
    element.text = clean(text)
    assert (ET.fromstring(ET.tostring(element)).text or "") == clean(text)
    assert clean(clean(text)) == clean(text)
    assert len(clean(text)) <= len(text)


@given(any_text.filter(lambda t: t), st.booleans(), st.sampled_from([None, "active", "composing"]))
def test_a_text_is_read_as_it_was_built(body, automatic, state):
    sent = OutgoingText(ALICE, body, chat_state=state, replaces="m0", automatic=automatic, id="m1")
    stanza = ET.fromstring(ET.tostring(sent.xml()))
    stanza.set("from", str(OWN))
    assert read_text(stanza, ALICE) == IncomingText(
        sender=OWN,
        to=ALICE,
        body=clean(body),
        id="m1",
        type="chat",
        delayed=False,
        chat_state=state,
        replaces="m0",
        automatic=automatic,
    )


def test_only_its_room_gives_a_line_an_id():
    room = "fleet@conference.localhost"
    ours = f"<stanza-id xmlns='{SID}' by='{room}' id='s7'/>"
    forged = f"<stanza-id xmlns='{SID}' by='eve@localhost' id='s1'/>"
    for marks, wanted in ((forged + ours, "s7"), (forged, "")):
        stanza = ET.fromstring(
            f"<message xmlns='jabber:client' from='{room}/ann'><body>up</body>{marks}</message>"
        )
        assert read_text(stanza, OWN).stanza_id == wanted


def test_each_text_has_an_id_of_its_own():
    assert OutgoingText(ALICE, "a").id != OutgoingText(ALICE, "a").id


def test_a_message_of_somebody_elses_program():
    text = read_text(message("<body>lift</body><active xmlns='x'/>", ""), OWN)
    assert (text.sender, text.to, text.body, text.type) == (ALICE, OWN, "lift", "normal")
    assert (text.delayed, text.chat_state, text.replaces, text.automatic) == (
        False,
        None,
        None,
        False,
    )


def test_a_delayed_message():
    delay = "<delay xmlns='urn:xmpp:delay' stamp='2024-01-01T00:00:00Z'/>"
    assert read_text(message(f"<body>lift</body>{delay}"), OWN).delayed


FORWARDED = (
    "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='boss@localhost/x' "
    "to='bot@localhost' type='chat'><body>exit</body></message></forwarded>"
)


@pytest.mark.parametrize(
    "wrapped",
    [
        f"<received xmlns='urn:xmpp:carbons:2'>{FORWARDED}</received>",
        f"<sent xmlns='urn:xmpp:carbons:2'>{FORWARDED}</sent>",
        f"<result xmlns='urn:xmpp:mam:2'>{FORWARDED}</result>",
        FORWARDED,
    ],
)
def test_forwarded_copies_are_not_said_to_us(wrapped):
    assert read_text(message(wrapped), OWN) is None
    assert read_text(message(f"<body>mine</body>{wrapped}"), OWN).body == "mine"


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<body/>",
        "<body></body>",
        "<subject>x</subject>",
        "<body xmlns='other'>x</body>",
        "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
    ],
)
def test_messages_without_a_text(inner):
    assert read_text(message(inner), OWN) is None


def test_an_error_comes_back_with_or_without_its_text():
    error = "<error type='cancel'><service-unavailable/></error>"
    bounced = read_text(message(f"<body>hi</body>{error}", "type='error'"), OWN)
    assert (bounced.type, bounced.body) == ("error", "hi")
    assert read_text(message(f"<body/>{error}", "type='error'"), OWN).type == "error"
    assert read_text(message(error, "type='error'"), OWN) is None


def test_a_message_without_addresses_is_the_servers_own_doing():
    text = read_text(xml("<message><body>x</body></message>"), OWN)
    assert (text.sender, text.to, text.id) == ("bot@localhost", OWN, "")


@pytest.mark.parametrize("attributes", ["from='a@b@c'", "from='@x'", "to='a b@c'"])
def test_addresses_that_are_none(attributes):
    read = [
        read_text(xml(f"<message {attributes}><body>x</body></message>"), OWN),
        read_chat_state(xml(f"<message {attributes}/>"), OWN),
        read_presence(xml(f"<presence {attributes}/>"), OWN),
    ]
    assert read == [None, None, None]


def test_a_typing_state_is_told_and_read_but_not_kept():
    stanza = chat_state(ALICE, "composing")
    assert stanza.find("{urn:xmpp:hints}no-store") is not None
    stanza.set("from", str(OWN))
    assert read_text(stanza, ALICE) is None
    assert read_chat_state(stanza, ALICE) == (OWN, "composing")
    assert read_chat_state(message(), OWN) is None


# --- presence -----------------------------------------------------------------------------------


def test_presence_is_read_as_it_was_built():
    stanza = presence(to=ALICE, show="dnd", status="2 of 2 \x00", priority=0, node={"since": "7"})
    stanza = ET.fromstring(ET.tostring(stanza))
    assert stanza.findtext("{jabber:client}priority") == "0"
    stanza.set("from", str(OWN))
    assert read_presence(stanza, ALICE) == IncomingPresence(
        sender=OWN,
        to=ALICE,
        type="available",
        show="dnd",
        status="2 of 2 \ufffd",
        node={"since": "7"},
    )


def test_plain_presence_says_nothing_more():
    assert list(presence()) == []
    assert presence().attrib == {}
    read = read_presence(xml(f"<presence from='{ALICE}'/>"), OWN)
    assert read == IncomingPresence(ALICE, OWN, "available", "", "", None)
    gone = read_presence(
        xml(f"<presence from='{ALICE}' type='unavailable'><show/></presence>"), OWN
    )
    assert (gone.type, gone.show, gone.node) == ("unavailable", "", None)


# --- the outbox ---------------------------------------------------------------------------------


def texts(count):
    return [OutgoingText(ALICE, str(n)).xml() for n in range(count)]


def test_texts_go_in_order_and_are_kept_until_they_are_confirmed():
    outbox, (one, two, three) = Outbox(), texts(3)
    outbox.add(one)
    outbox.add(two)
    assert outbox.take() == [one, two]
    mark = outbox.mark()
    outbox.add(three)
    assert outbox.take() == [three]
    outbox.confirm(mark)
    assert len(outbox) == 1
    outbox.rewind()
    assert outbox.take() == [three]
    outbox.confirm(outbox.mark())
    assert not outbox


def test_an_early_ping_confirms_nothing_that_came_after_it():
    outbox = Outbox()
    mark = outbox.mark()
    outbox.add(texts(1)[0])
    outbox.take()
    outbox.confirm(mark)
    assert len(outbox) == 1


def test_after_a_reconnect_all_goes_again_that_was_not_confirmed_in_order():
    outbox, all_texts = Outbox(window=500), texts(10)
    for text in all_texts:
        outbox.add(text)
    assert 0 < len(outbox.take()) < 10
    outbox.confirm(1)
    outbox.rewind()
    sent = []
    while taken := outbox.take():
        sent += taken
        outbox.confirm(outbox.mark())
    assert sent == all_texts[1:]


def test_no_more_than_the_window_is_under_way():
    outbox = Outbox(window=1000)
    for text in texts(20):
        outbox.add(text)
    taken = outbox.take()
    assert taken
    assert outbox.bytes_under_way <= 1000
    assert outbox.take() == []
    outbox.confirm(1)
    assert len(outbox.take()) == 1


def test_a_text_larger_than_the_window_goes_alone():
    outbox, (small,) = Outbox(window=1000), texts(1)
    large = OutgoingText(ALICE, "x" * 5000).xml()
    for text in (large, small):
        outbox.add(text)
    assert outbox.take() == [large]
    assert outbox.take() == []
    outbox.confirm(1)
    assert outbox.take() == [small]


def test_a_full_outbox_gives_up_the_oldest_and_says_so(caplog):
    outbox, all_texts = Outbox(limit=3), texts(5)
    for text in all_texts:
        outbox.add(text)
    assert outbox.take() == all_texts[2:]
    assert caplog.text.count(str(ALICE)) == 2


def test_who_sent_a_text_hears_what_became_of_it(caplog):
    outbox, all_texts, heard = Outbox(limit=2), texts(4), []

    def note(number):
        def arrived(has_it):
            heard.append((number, has_it))
            if number == 1:
                raise ValueError("no")

        return arrived

    for number, text in enumerate(all_texts[:3]):
        outbox.add(text, note(number))
    assert heard == [(0, False)]
    assert outbox.take() == all_texts[1:3]
    outbox.rewind()
    assert heard == [(0, False)]
    outbox.take()
    outbox.add(all_texts[3])
    outbox.take()
    outbox.confirm(outbox.mark())
    assert heard == [(0, False), (1, True), (2, True)]  # what one raises harms no other
    assert "could not be noted" in caplog.text


# --- backoff ------------------------------------------------------------------------------------


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_backoff_stays_between_half_and_all_of_its_ceiling(failures, fraction):
    backoff = Backoff(first=0.5, most=60)
    ceiling = min(60, 0.5 * 2 ** min(failures - 1, 100))
    assert ceiling / 2 <= backoff.delay(failures, fraction) <= ceiling
    assert ceiling / 2 <= backoff.delay(failures) <= ceiling


def test_backoff_doubles():
    assert [Backoff(1, 10).delay(n, 1.0) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_backoff_is_not_the_same_for_everybody():
    assert len({Backoff().delay(5) for _ in range(20)}) > 1
