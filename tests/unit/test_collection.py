"""One answer of many."""

import pytest

from jabot.chat.collection import Collection


def collected(**said):
    collection = Collection(said)
    for nick, (status, text) in said.items():
        if status == "left":
            collection.left(nick)
        elif status != "unheard":
            collection.add(nick, status, text)
    return collection


OK = ("answered", "up")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"a": OK}, "up"),
        ({"a": OK, "b": OK}, "all 2: up"),
        ({"c": OK, "b": ("answered", "down"), "a": OK}, "2 of 3: up\nb: down"),
        ({"a": ("answered", "x\ny"), "b": ("answered", "x\ny")}, "all 2:\nx\ny"),
        ({"a": ("failed", "too heavy")}, "failed: too heavy"),
        (
            {"a": OK, "b": ("failed", "no disk"), "c": ("failed", "no disk")},
            "a: up\nb, c: failed: no disk",
        ),
        ({"a": OK, "b": ("refused", ""), "c": ("stranger", "")}, "a: up\n2 refused"),
        ({"a": ("refused", "")}, "You may not do that."),
        (
            {"a": OK, "b": ("unheard", ""), "c": ("left", ""), "d": ("running", "")},
            "a: up\nstill running: d\nsilent: b\nleft before there was an answer: c",
        ),
        ({"a": OK, "b": ("nothing", "")}, "up"),
        ({"a": ("nothing", ""), "b": ("nothing", "")}, ""),
        (dict.fromkeys("abcdefg", ("unheard", "")), "silent: a, b, c, d, e and 2 more"),
    ],
)
def test_what_is_said(said, text):
    assert collected(**said).text() == text


def test_when_it_is_complete():
    collection = collected(a=OK, b=("running", ""), c=("unheard", ""))
    assert not collection.is_complete
    assert collection.runs
    collection.add("b", "answered", "up")
    assert not collection.is_complete
    assert not collection.runs
    collection.left("c")
    assert collection.is_complete


def test_each_counts_once():
    collection = collected(a=OK, b=("running", ""))
    collection.add("a", "failed", "liar")
    collection.left("a")
    collection.left("b")
    collection.add("b", "answered", "late")
    assert collection.text() == "a: up\nleft before there was an answer: b"


def test_long_answers_are_cut():
    text = collected(a=("answered", "x" * 5_000), b=OK).text()
    assert "(5,000 characters in all)" in text
    assert len(text) < 2_200
