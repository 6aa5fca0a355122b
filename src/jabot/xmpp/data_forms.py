"""Forms: what programs show to people as fields to fill in, and what comes back (XEP-0004)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from xml.etree import ElementTree as ET

from jabot.xmpp.stanzas import clean

DATA: Final = "jabber:x:data"

FieldKind: TypeAlias = Literal[
    "boolean", "fixed", "hidden", "list-multi", "list-single", "text-multi", "text-single"
]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form (section 3.2)."""

    name: str
    kind: FieldKind
    values: list[str] = field(default_factory=list)
    label: str = ""
    about: str = ""
    options: list[str] = field(default_factory=list)
    required: bool = False


def data_form(
    kind: Literal["form", "result"],
    fields: Iterable[Field],
    *,
    title: str = "",
    instructions: str = "",
) -> ET.Element:
    """A form to be filled in, or one that tells something."""
    form = ET.Element(f"{{{DATA}}}x", {"type": kind})
    if title:
        _add(form, "title", title)
    for line in instructions.splitlines():
        _add(form, "instructions", line)
    for each in fields:
        attributes = {"var": clean(each.name), "type": each.kind}
        if each.label:
            attributes["label"] = clean(each.label)
        element = ET.SubElement(form, f"{{{DATA}}}field", attributes)
        if each.about:
            _add(element, "desc", each.about)
        if each.required:
            ET.SubElement(element, f"{{{DATA}}}required")
        for value in each.values:
            _add(element, "value", value)
        for option in each.options:
            offered = ET.SubElement(element, f"{{{DATA}}}option", {"label": clean(option)})
            _add(offered, "value", option)
    return form


def submit_form(kind: str, values: Mapping[str, str]) -> ET.Element:
    """A form of a type (XEP-0068) that is filled in."""
    form = ET.Element(f"{{{DATA}}}x", {"type": "submit"})
    for name, value in {"FORM_TYPE": kind, **values}.items():
        field = ET.SubElement(form, f"{{{DATA}}}field", {"var": name})
        ET.SubElement(field, f"{{{DATA}}}value").text = value
    return form


def read_form(parent: ET.Element) -> dict[str, list[str]] | None:
    """The values that somebody has filled in, by the names of the fields; None without a form."""
    form = parent.find(f"{{{DATA}}}x")
    if form is None or form.get("type") != "submit":
        return None
    return {
        each.get("var", ""): [value.text or "" for value in each.iterfind(f"{{{DATA}}}value")]
        for each in form.iterfind(f"{{{DATA}}}field")
    }


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, f"{{{DATA}}}{name}").text = clean(text)
