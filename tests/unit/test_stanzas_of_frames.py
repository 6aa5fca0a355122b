"""Batches of frames as text, read back through a real XML parser."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot.xmpp import frames

XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff").filter(
        lambda c: c >= " " or c in "\t\n"
    )
)
HOSTILE = ["", "'\"<>&;", "]]><!--</json>", "<iq/>", "&lt;", "\t\n x ", "ünï 山 😀", "' to='eve@x"]
STREAM = "<stream xmlns='jabber:client'>{}</stream>"


def parsed(stanza):
    (iq,) = ET.fromstring(STREAM.format(stanza))
    return iq


@pytest.mark.parametrize("deflated", [True, False])
@pytest.mark.parametrize("peer", ["bot@x/y", 'bot@x/it\'s <me> & "you"', "bot@x/山"])
def test_a_batch(peer, deflated):
    iq = parsed(frames.batch(peer, 17, "QUJD" if deflated else '[["query","<&>"]]', deflated))
    assert (iq.get("to"), iq.get("type"), len(iq)) == (peer, "set", 1)
    iq.set("from", peer)  # as the server writes it
    batch = frames.read_batch(iq)
    assert (batch.peer, batch.id, batch.deflated) == (peer, iq.get("id"), deflated)
    assert batch.text == ("QUJD" if deflated else '[["query","<&>"]]')
    assert frames.read_answer(iq) is None


@given(XML_TEXT)
def test_any_text_of_a_batch(text):
    iq = parsed(frames.batch("a@b/c", 1, text, False))
    assert frames.read_batch(iq).text == text


@given(XML_TEXT)
def test_any_id_and_address_in_an_answer(text):
    iq = parsed(frames.responsible(text, text))
    plain = text.replace("\n", " ").replace("\t", " ")  # as XML reads attributes
    assert (iq.get("to"), iq.get("id"), iq.get("type"), len(iq)) == (plain, plain, "result", 0)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_refusal(text):
    iq = parsed(frames.refusal("bot@x/y", "jabot-5", "resource-constraint", text))
    iq.set("from", "bot@x/y")
    answer = frames.read_answer(iq)
    assert answer == frames.Answer("bot@x/y", 5, "resource-constraint", text)
    assert frames.read_batch(iq) is None


def test_an_answer():
    batch = parsed(frames.batch("bot@x/y", 23, "[]", False))
    iq = parsed(frames.responsible("app@x/y", batch.get("id")))
    iq.set("from", "bot@x/y")
    assert frames.read_answer(iq) == frames.Answer("bot@x/y", 23)


@pytest.mark.parametrize(
    "stanza",
    [
        "<iq type='result' id='7'/>",
        "<iq type='result' id='jabot-'/>",
        "<iq type='result' id='jabot-x'/>",
        "<iq type='result' id='jabot--5'/>",
        "<iq type='result' id='jabot-" + "9" * 5000 + "'/>",
        "<iq type='result'/>",
        "<iq type='get' id='jabot-1'/>",
        "<iq id='jabot-1'/>",
    ],
)
def test_what_is_no_answer_of_ours(stanza):
    assert frames.read_answer(parsed(stanza)) is None
    assert frames.read_batch(parsed(stanza)) is None


@pytest.mark.parametrize(
    ("inside", "is_batch"),
    [
        ("", False),
        ("<frames xmlns='urn:jabot:1'/>", False),
        ("<query xmlns='jabber:iq:roster'/><frames xmlns='urn:jabot:0'/>", False),
        ("<frames xmlns='urn:jabot:0'/>", True),
        ("<frames xmlns='urn:jabot:0'><json/></frames>", True),
        ("<frames xmlns='urn:jabot:0'><json xmlns='urn:xmpp:json:0'/><x/></frames>", True),
    ],
)
def test_a_batch_in_another_form_than_it_must_have(inside, is_batch):
    batch = frames.read_batch(parsed(f"<iq type='set' id='1' from='a@b/c'>{inside}</iq>"))
    assert (batch is not None) == is_batch
    assert batch is None or batch.text is None
