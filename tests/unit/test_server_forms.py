"""Data forms (XEP-0004): offered, filled in, read."""

from dataclasses import dataclass

import pytest

from jabot.server.conditions import StanzaError
from jabot.server.element import Element, to_text
from jabot.server.forms import Form, boolean, choice, number, result_form, submitted, text, texts
from jabot.server.namespaces import DATA_FORMS

TYPE = "urn:example:form"


@dataclass(frozen=True)
class Settings:
    open: bool = True
    name: str = "a"
    size: int = 5
    who: str = "all"
    groups: tuple[str, ...] = ()


FORM = Form(
    TYPE,
    "Title",
    (
        boolean("x#open", "open", "Open"),
        text("x#name", "name", "Name", 10),
        number("x#size", "size", "Size", 100, 1),
        choice("x#who", "who", "Who", ("all", "some")),
        texts("x#groups", "groups", "Groups", 3),
    ),
)


def test_the_form_says_what_holds_and_what_may_be():
    offered = to_text(FORM.offer(Settings(groups=("a", "b"))), DATA_FORMS)
    assert offered == (
        "<x type='form'><title>Title</title>"
        f"<field var='FORM_TYPE' type='hidden'><value>{TYPE}</value></field>"
        "<field var='x#open' type='boolean' label='Open'><value>1</value></field>"
        "<field var='x#name' type='text-single' label='Name'><value>a</value></field>"
        "<field var='x#size' type='text-single' label='Size'><value>5</value></field>"
        "<field var='x#who' type='list-single' label='Who'><option><value>all</value></option>"
        "<option><value>some</value></option><value>all</value></field>"
        "<field var='x#groups' type='text-multi' label='Groups'>"
        "<value>a</value><value>b</value></field></x>"
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Settings()),
        ({"x#open": ["false"]}, Settings(open=False)),
        ({"x#name": []}, Settings(name="")),
        ({"x#size": ["max"]}, Settings(size=100)),
        ({"x#size": [" 7 "], "x#who": ["some"]}, Settings(size=7, who="some")),
        ({"x#groups": ["a", "b"]}, Settings(groups=("a", "b"))),
        ({"x#other": ["1"]}, Settings()),
    ],
)
def test_what_was_filled_in(values, expected):
    assert FORM.changed(Settings(), values) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"x#open": ["yes"]},
        {"x#open": []},
        {"x#name": ["x" * 11]},
        {"x#size": ["0"]},
        {"x#size": ["101"]},
        {"x#size": ["-1"]},
        {"x#size": ["٣"]},
        {"x#size": ["9" * 5_000]},
        {"x#who": ["none"]},
        {"x#who": ["all", "some"]},
        {"x#groups": ["a", "b", "c", "d"]},
    ],
)
def test_what_cannot_be_filled_in(values):
    with pytest.raises(StanzaError, match=f"not-acceptable: {next(iter(values))}: "):
        FORM.changed(Settings(), values)


def test_a_form_that_tells_is_read_like_one_that_was_filled_in():
    form = result_form(TYPE, {"a": "1", "b": ""})
    assert submitted(form, TYPE) == {"a": ["1"], "b": [""]}
    with pytest.raises(StanzaError, match="bad-request"):
        submitted(form, "urn:other")
    assert submitted(Element(DATA_FORMS, "x"), TYPE) == {}
