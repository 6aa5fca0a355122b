"""Streams are cut into stanzas whatever the pieces, and hostile input ends them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jabot.server.element import Element, escape, escape_attribute, to_bytes, to_text
from jabot.server.parser import StreamClosed, StreamFailed, StreamOpened, StreamParser

OPENING = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>"
)


def feed(data, limit=1_000, depth=10, piece=None):
    parser = StreamParser(limit, depth)
    pieces = [data] if piece is None else [data[i : i + piece] for i in range(0, len(data), piece)]
    events = [event for each in pieces for event in parser.feed(each)]
    parser.close()
    return events


def condition(data, **limits):
    last = feed(data, **limits)[-1]
    assert isinstance(last, StreamFailed), last
    return last.error.condition


def test_a_stream_is_opened_used_and_closed():
    opened, stanza, closed = feed(OPENING + b"<message><body>hi</body></message></stream:stream>")
    assert isinstance(opened, StreamOpened)
    assert opened.attrs["to"] == "localhost"
    assert opened.content_ns == "jabber:client"
    assert to_text(stanza) == "<message><body>hi</body></message>"
    assert isinstance(closed, StreamClosed)


@pytest.mark.parametrize("piece", [1, 2, 7, 64])
def test_pieces_make_no_difference(piece):
    body = "<message to='bob@localhost'><body>caf\u00e9 \U0001f600 &amp; 1&lt;2</body></message>"
    data = OPENING + body.encode() + b" \n" + b"<presence/>" + b"</stream:stream>"
    whole, cut = feed(data), feed(data, piece=piece)
    assert [type(each) for each in whole] == [type(each) for each in cut]
    assert to_text(whole[1]) == to_text(cut[1]) == body
    assert to_text(cut[2]) == "<presence/>"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + OPENING, "restricted-xml"),
        (b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'>" + OPENING, "restricted-xml"),
        (OPENING + b"<message>&bomb;</message>", "restricted-xml"),
        (OPENING + b"<message><!-- x --></message>", "restricted-xml"),
        (OPENING + b"<?php x ?>", "restricted-xml"),
        (OPENING + b"<message></presence>", "not-well-formed"),
        (OPENING + b"<x:message/>", "not-well-formed"),
        (OPENING + b"<message>\x01</message>", "not-well-formed"),
        (OPENING + b"<message>\xff</message>", "not-well-formed"),
        (OPENING + b"<message a='1' a='2'/>", "not-well-formed"),
        (OPENING + b"text", "bad-format"),
        (b"<html>", "invalid-namespace"),
        (b"<stream xmlns='jabber:client'>", "invalid-namespace"),
        (b"<x:other xmlns:x='http://etherx.jabber.org/streams'>", "bad-format"),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?>" + OPENING, "unsupported-encoding"),
        (b"GET / HTTP/1.1\r\n", "not-well-formed"),
    ],
)
@pytest.mark.parametrize("piece", [None, 1])
def test_forbidden_input_ends_the_stream(data, expected, piece):
    if data.startswith(b"<?xml version='1.0' enc") or data.startswith(b"<!DOC"):
        data = data.replace(b"<?xml version='1.0'?>", b"")
    assert condition(data, piece=piece) == expected


def test_what_came_before_a_failure_still_counts():
    events = feed(OPENING + b"<presence/><a></b>")
    assert [type(each) for each in events] == [StreamOpened, Element, StreamFailed]


def test_nothing_follows_a_failure():
    parser = StreamParser(1_000, 10)
    parser.feed(OPENING + b"<a></b>")
    assert parser.feed(b"<presence/>") == []


def test_an_entity_bomb_is_never_expanded():
    bomb = b"<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]><l>&b;</l>"
    assert condition(bomb) == "restricted-xml"


@pytest.mark.parametrize("piece", [None, 1, 100])
@pytest.mark.parametrize(
    "tail",
    [
        b"<message><body>" + b"x" * 2_000,
        b"<message><body>" + b"x" * 2_000 + b"</body></message>",
        b"<message a='" + b"x" * 2_000,
        b"<" + b"x" * 2_000,
        b"<message>" + b"<a/>" * 500,
    ],
)
def test_a_stanza_over_the_limit_ends_the_stream(tail, piece):
    assert condition(OPENING + tail, piece=piece) == "policy-violation"


def test_a_header_over_the_limit_ends_the_stream():
    assert condition(b"<stream:stream x='" + b"x" * 2_000) == "policy-violation"


@pytest.mark.parametrize("piece", [None, 1, 100])
def test_the_limit_is_for_one_stanza_not_for_all(piece):
    stanza = b"<message><body>" + b"x" * 900 + b"</body></message>"
    events = feed(OPENING + stanza * 20 + b" " * 5_000 + stanza, piece=piece)
    assert [type(each) for each in events] == [StreamOpened] + [Element] * 21


def test_the_depth_is_limited():
    nested = b"<a>" * 10 + b"</a>" * 10
    assert isinstance(feed(OPENING + nested, depth=10)[-1], Element)
    assert condition(OPENING + b"<a>" * 11, depth=10) == "policy-violation"


def test_namespaces_and_prefixes_survive():
    xml = (
        b"<iq xmlns:q='urn:q' xml:lang='de'><q:query q:x='1' y='2'><z xmlns='urn:z'/>"
        b"<plain/></q:query></iq>"
    )
    [_, first] = feed(OPENING + xml)
    [_, again] = feed(OPENING + to_bytes(first))
    [query] = again.elements()
    assert (query.ns, query.name, query.attrs) == ("urn:q", "query", {"urn:q x": "1", "y": "2"})
    assert [(each.ns, each.name) for each in query.elements()] == [
        ("urn:z", "z"),
        ("jabber:client", "plain"),
    ]
    assert again.attrs == {"http://www.w3.org/XML/1998/namespace lang": "de"}


TEXT = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cs"], exclude_characters="".join(map(chr, range(32)))
    )
    | st.sampled_from("\t\n\r<>&'\"]"),
    max_size=30,
).filter(lambda text: not {"\ufffe", "\uffff"} & set(text))


@given(TEXT, TEXT)
def test_any_text_survives_writing_and_reading(body, attribute):
    stanza = Element("jabber:client", "message", {"id": attribute}, [body])
    [_, read] = feed(OPENING + to_bytes(stanza))
    assert read.text() == body
    assert read.attrs == {"id": attribute}


@given(TEXT)
def test_nothing_breaks_out_of_text_or_attributes(text):
    assert not set("<>") & set(escape(text))
    assert not set("<>'\n\r\t") & set(escape_attribute(text))


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                b"<a>", b"</a>", b"<a/>", b"&amp;", b"&x;", b"<!--", b"-->", b"<![CDATA[", b"]]>",
                b"x" * 50, b" ", b"<?x", b"?>", b"<!DOCTYPE a>", b"</stream:stream>", b"'", b"\x00",
                b"\xc3", b"<a b='", b"xmlns:", b"&#0;", b"&#10;",
            ]
        )
        | st.binary(max_size=20),
        max_size=40,
    ),
    st.integers(1, 60),
)  # fmt: skip
def test_garbage_only_ever_makes_events(parts, piece):
    events = feed(OPENING + b"".join(parts), limit=300, depth=5, piece=piece)
    ends = [each for each in events if isinstance(each, StreamFailed)]
    assert isinstance(events[0], StreamOpened)
    assert len(ends) <= 1
    for event in events:
        if isinstance(event, Element):
            assert len(to_bytes(event)) < 5_000
