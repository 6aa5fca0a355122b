"""Settings as data forms (XEP-0004): offered to who may change them, read when they come back.

A form is a list of fields; each stands for one attribute of a frozen dataclass of settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from jabot.server.conditions import StanzaError
from jabot.server.element import Element
from jabot.server.namespaces import DATA_FORMS

Settings = TypeVar("Settings")

_FORM_TYPE = "FORM_TYPE"  # XEP-0068
_TRUE, _FALSE = ("1", "true"), ("0", "false")


@dataclass(frozen=True, slots=True)
class Field:
    """One field, and the attribute that it stands for.

    `read` makes the attribute of what was sent, and raises ValueError with what is wrong with it;
    `write` is its inverse.
    """

    var: str
    attribute: str
    label: str
    type: str
    read: Callable[[list[str]], object]
    write: Callable[[Any], list[str]]
    options: tuple[str, ...] = ()

    def to_element(self, value: object) -> Element:
        """The field with its value, for a person who is to fill it in."""
        attrs = {"var": self.var, "type": self.type, "label": self.label}
        options = [Element(DATA_FORMS, "option", None, _values([o])) for o in self.options]
        return Element(DATA_FORMS, "field", attrs, [*options, *_values(self.write(value))])


class Form(Generic[Settings]):
    """The fields that stand for settings, under one FORM_TYPE."""

    def __init__(self, form_type: str, title: str, fields: tuple[Field, ...]) -> None:
        self._form_type = form_type
        self._title = title
        self._fields = {each.var: each for each in fields}

    def offer(self, settings: Settings) -> Element:
        """The form to be filled in, with what holds now."""
        title = Element(DATA_FORMS, "title", None, [self._title])
        fields = [
            each.to_element(getattr(settings, each.attribute)) for each in self._fields.values()
        ]
        hidden = hidden_field(self._form_type)
        return Element(DATA_FORMS, "x", {"type": "form"}, [title, hidden, *fields])

    def changed(self, settings: Settings, values: dict[str, list[str]]) -> Settings:
        """The settings with what was filled in; fields that are not ours are passed by (XEP-0004
        section 3.2). Raises StanzaError for a value that can't be.
        """
        found: dict[str, object] = {}
        for var, given in values.items():
            field = self._fields.get(var)
            if field is None:
                continue
            try:
                found[field.attribute] = field.read(given)
            except ValueError as problem:
                raise StanzaError("not-acceptable", f"{var}: {problem}") from None
        return replace(settings, **found)  # type: ignore[type-var]

    def knows(self, var: str) -> bool:
        return var in self._fields


def hidden_field(form_type: str) -> Element:
    """The field that says which form it is (XEP-0068)."""
    attrs = {"var": _FORM_TYPE, "type": "hidden"}
    return Element(DATA_FORMS, "field", attrs, _values([form_type]))


def result_form(form_type: str, values: dict[str, str]) -> Element:
    """A form that only tells (XEP-0128)."""
    fields = [
        Element(DATA_FORMS, "field", {"var": var}, _values([value]))
        for var, value in values.items()
    ]
    return Element(DATA_FORMS, "x", {"type": "result"}, [hidden_field(form_type), *fields])


def submitted(form: Element, form_type: str) -> dict[str, list[str]]:
    """What was filled in, by field. Raises StanzaError when it belongs to another form."""
    values = {
        field.attrs["var"]: [value.text() for value in field.elements("value")]
        for field in form.elements("field")
        if "var" in field.attrs
    }
    named = values.pop(_FORM_TYPE, [form_type])
    if named != [form_type]:
        raise StanzaError("bad-request", f"this is no form of the type {form_type}")
    return values


def _values(texts: list[str]) -> list[Element]:
    return [Element(DATA_FORMS, "value", None, [each]) for each in texts]


# Kinds of fields


def boolean(var: str, attribute: str, label: str) -> Field:
    """Yes or no."""

    def read(given: list[str]) -> bool:
        value = _single(given)
        if value not in _TRUE + _FALSE:
            raise ValueError(f"{value!r} is neither 1 nor 0")
        return value in _TRUE

    return Field(var, attribute, label, "boolean", read, lambda value: ["1" if value else "0"])


def choice(var: str, attribute: str, label: str, options: tuple[str, ...]) -> Field:
    """One of several words."""

    def read(given: list[str]) -> str:
        value = _single(given)
        if value not in options:
            raise ValueError(f"{value!r} is not one of {', '.join(options)}")
        return value

    return Field(var, attribute, label, "list-single", read, lambda value: [value], options)


def number(var: str, attribute: str, label: str, highest: int, lowest: int = 0) -> Field:
    """A whole number, or `max` for the highest."""

    def read(given: list[str]) -> int:
        value = _single(given)
        if value == "max":
            return highest
        if not (value.isascii() and value.isdigit() and len(value) < 12):
            raise ValueError(f"{value!r} is not a whole number")
        if not lowest <= int(value) <= highest:
            raise ValueError(f"{value} is not between {lowest} and {highest}")
        return int(value)

    return Field(var, attribute, label, "text-single", read, lambda value: [str(value)])


def text(var: str, attribute: str, label: str, limit: int) -> Field:
    """A line of at most `limit` characters; it may be empty."""

    def read(given: list[str]) -> str:
        value = _single(given) if given else ""
        if len(value) > limit:
            raise ValueError(f"it is longer than {limit} characters")
        return value

    return Field(var, attribute, label, "text-single", read, lambda value: [value])


def texts(var: str, attribute: str, label: str, limit: int) -> Field:
    """At most `limit` lines of at most `limit` characters each."""

    def read(given: list[str]) -> tuple[str, ...]:
        if len(given) > limit or any(len(each) > limit for each in given):
            raise ValueError(f"more than {limit} lines, or a longer one")
        return tuple(given)

    return Field(var, attribute, label, "text-multi", read, list)


def _single(given: list[str]) -> str:
    if len(given) != 1:
        raise ValueError("one value is wanted")
    return given[0].strip()
