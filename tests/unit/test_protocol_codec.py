"""Frames to text and back; what is not a batch; what would burst."""

import base64
import json
import os
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from jabot.errors import LocalProtocolError, RemoteProtocolError, TooLarge
from jabot.protocol import codec, limits
from jabot.protocol.codec import Damaged, decode_batch, encode_batch, encode_frame
from jabot.protocol.frames import (
    KINDS,
    Accepted,
    Cancel,
    Cancelled,
    Describe,
    Description,
    Failed,
    Heartbeat,
    Hello,
    Part,
    Progress,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
    kind_of,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def raw(value):
    return Raw(msgspec.json.encode(value))


ids = st.text(min_size=1, max_size=limits.ID)
texts = st.text(max_size=50)
attempts = st.integers(1, 2**31 - 1)
numbers = st.integers(0, 2**53 - 1)
maybe_floats = st.none() | st.floats(allow_nan=False, allow_infinity=False)
pairs = st.dictionaries(texts, texts, max_size=3)
held = st.lists(st.tuples(ids, attempts), max_size=3)
strategies = [
    st.builds(
        Submit,
        ids,
        st.text(min_size=1, max_size=20),
        st.lists(values, max_size=3).map(raw),
        st.dictionaries(st.text(max_size=5), values, max_size=3).map(raw),
        attempts,
        st.none() | st.floats(0, 1e6),
        pairs,
        values.map(raw),
        texts,
        st.lists(values, max_size=3).map(raw),
    ),
    st.builds(Accepted, ids, attempts),
    st.builds(Rejected, ids, numbers, st.text(max_size=32), texts),
    st.builds(Progress, ids, attempts, numbers, maybe_floats, maybe_floats, st.none() | texts),
    st.builds(Succeeded, ids, attempts, values.map(raw)),
    st.builds(Failed, ids, attempts, texts, texts, texts, st.sampled_from(["task", "lost"])),
    st.builds(Cancel, ids, numbers, texts),
    st.builds(Cancelled, ids, attempts, texts),
    st.builds(Heartbeat, held),
    st.builds(
        Hello,
        held,
        st.none() | numbers,
        st.dictionaries(texts, values, max_size=3).map(raw),
        pairs,
        st.text(max_size=32),
    ),
    st.builds(Describe, st.none() | st.text(min_size=1, max_size=20)),
    st.builds(Description, st.none(), st.text(max_size=32), values.map(raw)),
    st.builds(Query, ids, numbers),
    st.builds(State, ids, numbers, st.text(max_size=32)),
    st.builds(Part, numbers, st.integers(0, 9), st.integers(10, 20), ids, texts),
]
frames = st.one_of(strategies)


def batch(*frames, **options):
    return encode_batch([encode_frame(frame) for frame in frames], **options)


@given(st.tuples(*strategies))
@settings(max_examples=1)
def test_every_kind_is_drawn(one_of_each):
    assert {type(frame) for frame in one_of_each} == set(KINDS.values())


@given(st.lists(frames, max_size=8), st.booleans())
@settings(max_examples=150)
def test_what_goes_in_comes_out(some, deflate):
    text = batch(*some, deflate=deflate)
    assert decode_batch(text.text, deflated=text.deflated) == some
    assert codec.size_as_sent(text.text.encode()) <= limits.BATCH_SENT


def test_what_an_older_program_leaves_out_is_nothing():
    (submit,) = decode_batch('[["submit","j","t",[],{},1,null,{}]]', deflated=False)
    assert submit == Submit("j", "t")
    assert (bytes(submit.options), submit.caller, bytes(submit.parents)) == (b"null", "", b"null")
    (hello,) = decode_batch('[["hello",[],8]]', deflated=False)
    assert (bytes(hello.tasks), hello.labels, hello.version) == (b"null", {}, "")


def test_an_address_is_bounded():
    (frame,) = decode_batch(
        json.dumps([["submit", "j", "t", [], {}, 1, None, {}, None, "x" * 3072]]), deflated=False
    )
    assert isinstance(frame, Damaged)


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")), st.booleans())
@settings(max_examples=200)
def test_arbitrary_text_is_a_remote_error_or_damaged_frames(text, deflated):
    read(text, deflated)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_deflated(data):
    read(codec.deflated(data), True)


@given(st.binary(max_size=300))
def test_arbitrary_base64(data):
    read(base64.b64encode(data).decode(), True)


fields = st.none() | st.booleans() | st.integers() | texts | st.just([]) | st.just({})
almost_frames = st.builds(
    lambda kind, *rest: [kind, *rest],
    st.sampled_from(sorted(KINDS)),
    fields,
    fields,
    fields,
    fields,
)


@given(st.lists(almost_frames, max_size=9))
@settings(max_examples=300)
def test_arbitrary_frames(some):
    for frame in read(json.dumps(some), False):
        if isinstance(frame, Damaged):
            assert len(frame.id) <= limits.ID


def read(text, deflated):
    try:
        return decode_batch(text, deflated=deflated)
    except RemoteProtocolError:
        return []


def test_a_small_batch_stands_as_it_is_and_a_larger_one_is_deflated():
    small = batch(Query("a"))
    assert small.text == '[["query","a",0]]'
    assert not small.deflated
    large = batch(*(Query(f"{n:036}") for n in range(256)))
    assert large.deflated
    assert len(large.text) < 256 * 20


def test_what_no_xml_can_hold_is_deflated():
    assert batch(Cancel("a", 1, "\uffff")).deflated
    assert batch(Submit("a", "t", Raw(b'["\x7f\x01"]'))).deflated
    assert "\\u0000" in batch(Cancel("a", 1, "\0")).text


def test_unknown_fields_at_the_end_are_ignored_and_missing_ones_filled_in():
    assert decode_batch('[["query","a",0,"new",{}],["submit","a","t"]]', deflated=False) == [
        Query("a"),
        Submit("a", "t"),
    ]


def test_one_bad_frame_is_only_that():
    text = '[["query","a"],["new",1],["submit","b"],["submit",7],[],5,"x",["query","c"]]'
    first, *bad, last = decode_batch(text, deflated=False)
    assert (first, last) == (Query("a"), Query("c"))
    assert [(b.kind, b.id, b.known) for b in bad] == [
        ("new", "", False),
        ("submit", "b", True),
        ("submit", "", True),
        ("", "", True),
        ("", "", True),
        ("", "", True),
    ]
    assert "at least length 3" in bad[1].reason


@pytest.mark.parametrize(
    "frame",
    [
        ["submit", "a", "t", {}, {}],
        ["submit", "a", "t", [], []],
        ["submit", "a", "t", [], {}, 0],
        ["submit", "a", "t", [], {}, 1, -1],
        ["submit", "a", "t", [], {}, 1, None, {"k": 1}],
        ["submit", "a", "t" * (limits.TASK + 1)],
        ["submit", "a", "t", [], {}, 1, None, {str(n): "" for n in range(limits.META + 1)}],
        ["submit", "a", "t", [], {}, 1, None, {"k" * (limits.META_KEY + 1): ""}],
        ["submit", "a", "t", [], {}, 1, None, {"k": "v" * (limits.META_VALUE + 1)}],
        ["failed", "a", 1, "T", "m", "x" * (limits.TRACEBACK + 1)],
        ["succeeded", "a", 2**31, 1],
        ["failed", "a", 1, "T", "x" * (limits.TEXT + 1)],
    ],
)
def test_a_field_of_the_wrong_kind_or_size_is_named(frame):
    (bad,) = decode_batch(json.dumps([frame]), deflated=False)
    assert (bad.kind, bad.id) == (frame[0], "a")
    assert bad.reason


def test_a_frame_has_no_more_parts_than_it_may():
    most, more = limits.PARTS, limits.PARTS + 1
    text = f'[["part",1,{most - 1},{most},"a",""],["part",1,0,{more},"a",""]]'
    last, bad = decode_batch(text, deflated=False)
    assert last == Part(1, most - 1, most, "a", "")
    assert isinstance(bad, Damaged)


@pytest.mark.parametrize(
    "text", ["", "{}", "null", "[", "[1]x", '"x"', "[" * 2000, '[["query","\\ud800"]]']
)
def test_what_is_no_array_of_frames_is_refused_whole(text):
    with pytest.raises(RemoteProtocolError, match="the other side"):
        decode_batch(text, deflated=False)


def test_too_many_frames_are_refused():
    many = "[" + ",".join(['["query","a"]'] * 257) + "]"
    for text in (many, many.replace('"query"', "7", 1)):
        with pytest.raises(RemoteProtocolError, match="257 frames"):
            decode_batch(text, deflated=False)
    with pytest.raises(TooLarge):
        encode_batch([b"[]"] * 257)


def test_too_long_a_text_is_refused_before_it_is_read():
    with pytest.raises(RemoteProtocolError, match="65537 characters"):
        decode_batch("[" + " " * 65535 + "]", deflated=False)
    with pytest.raises(TooLarge, match="as sent"):
        encode_batch([os.urandom(60_000).hex().encode()])
    with pytest.raises(TooLarge):
        encode_batch([b" " * (limits.BATCH_INFLATED + 1)])


@pytest.mark.parametrize("size", [limits.BATCH_INFLATED + 1, 10_000_000])
def test_a_bomb_does_not_go_off(size, monkeypatch):
    bomb = codec.deflated(b"[" + b" " * (size - 2) + b"]")
    made = []
    real = zlib.decompressobj

    class Spy:
        def __init__(self, *options):
            self.real = real(*options)

        def decompress(self, data, most):
            made.append(self.real.decompress(data, most))
            return made[-1]

    monkeypatch.setattr(zlib, "decompressobj", Spy)
    with pytest.raises(RemoteProtocolError, match="more than 262144 bytes"):
        decode_batch(bomb, deflated=True)
    assert sum(map(len, made)) <= limits.BATCH_INFLATED + 1


def test_a_cut_off_or_lengthened_text_is_refused():
    packed = base64.b64decode(codec.deflated(b"[]"))
    for data in (packed[:-1], packed + b"x", b""):
        with pytest.raises(RemoteProtocolError, match=r"cut off|no deflate"):
            decode_batch(base64.b64encode(data).decode(), deflated=True)
    with pytest.raises(RemoteProtocolError, match="UTF-8"):
        decode_batch(codec.deflated(b'["\xff"]'), deflated=True)


@pytest.mark.parametrize(
    ("payload", "fine"),
    [
        (b"[" * 100 + b"]" * 100, True),
        (b"[" * 101 + b"]" * 101, False),
        (b'{"a":' * 101 + b"1" + b"}" * 101, False),
        (b"[" + b"[]," * 5000 + b"[]]", True),
        (b'["' + b"[" * 5000 + b'"]', True),
        (b'["\\"' + b"[" * 5000 + b'\\\\"]', True),
        (b"[" + b'["x"],' * 300 + b"[" * 100 + b"]" * 100 + b"]", False),
    ],
)
def test_depth(payload, fine):
    msgspec.json.decode(payload)
    assert codec.depth_is_fine(payload) is fine
    (frame,) = decode_batch(f'[["succeeded","a",1,{payload.decode()}]]', deflated=False)
    assert isinstance(frame, Succeeded) is fine


def test_what_is_no_unicode_is_our_own_mistake():
    for frame in (Query("\ud800"), Succeeded("a", 1, Raw(b'"\xff"'))):
        with pytest.raises(LocalProtocolError):
            encode_frame(frame)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_is_its_class_in_lower_case(kind):
    assert KINDS[kind].__name__.lower() == kind


def test_kind_of():
    assert kind_of(Query("a")) == "query"
