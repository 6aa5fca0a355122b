"""What clients say that they can, learnt from their presence (XEP-0115).

Of all of it the server needs the nodes whose news a client wants: features that end in `+notify`
(XEP-0060 section 9.2).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable

from jabot.server.element import Element
from jabot.server.namespaces import CAPS, CLIENT, DATA_FORMS, DISCO_INFO, LANG
from jabot.server.session import Session

_NOTIFY = "+notify"
_HASHES = {"sha-1": hashlib.sha1, "sha-256": hashlib.sha256}
_REMEMBERED = 1_000  # hashes
_MOST = 1_000  # nodes that one client may want news of

Key = tuple[str, str]  # the hash's name, and the hash


class Capabilities:
    """Asks each client whose hash is new what it can, and remembers the answer by the hash.

    `on_learnt` is called with a session and the nodes that it wants news of and did not before.
    """

    def __init__(self, domain: str, on_learnt: Callable[[Session, frozenset[str]], object]) -> None:
        self._domain = domain
        self._on_learnt = on_learnt
        self._known: OrderedDict[Key, frozenset[str]] = OrderedDict()
        self._asked: dict[str, tuple[Session, str, Key]] = {}  # by session: id and hash

    def seen(self, session: Session) -> None:
        """The session has shown a presence."""
        told = session.presence.child(CAPS, "c") if session.presence is not None else None
        attrs = told.attrs if told is not None else {}
        key = (attrs.get("hash", ""), attrs.get("ver", ""))
        if key == session.capabilities:
            return
        session.capabilities = key
        self._asked.pop(session.full, None)
        if told is None:
            session.wanted_nodes = frozenset()
        elif key in self._known:
            self._known.move_to_end(key)
            self._learnt(session, self._known[key])
        else:
            self._ask(session, attrs.get("node", ""), key)

    def answered(self, stanza: Element) -> None:
        """An answer came, perhaps to a question of ours."""
        asked = self._asked.get(stanza.attrs["from"])
        if asked is None or asked[1] != stanza.attrs.get("id"):
            return
        session, _, key = self._asked.pop(stanza.attrs["from"])
        query = stanza.child(DISCO_INFO, "query")
        if query is None:
            return  # it does not say
        wanted = _wanted_nodes(query)
        # What the hash does not prove is believed of this session only (section 5.4).
        if key[1] and verification(query, key[0]) == key[1]:
            self._known[key] = wanted
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._learnt(session, wanted)

    def forget(self, session: Session) -> None:
        """The session has ended."""
        self._asked.pop(session.full, None)

    def _ask(self, session: Session, node: str, key: Key) -> None:
        asked = f"caps-{secrets.token_hex(6)}"
        self._asked[session.full] = (session, asked, key)
        attrs = {"type": "get", "id": asked, "from": self._domain, "to": session.full}
        query = Element(DISCO_INFO, "query", {"node": f"{node}#{key[1]}"})
        session.send(Element(CLIENT, "iq", attrs, [query]))

    def _learnt(self, session: Session, wanted: frozenset[str]) -> None:
        new = wanted - session.wanted_nodes
        session.wanted_nodes = wanted
        if new:
            self._on_learnt(session, new)


def _wanted_nodes(query: Element) -> frozenset[str]:
    names = (each.attrs.get("var", "") for each in query.elements("feature"))
    found = [name.removesuffix(_NOTIFY) for name in names if name.endswith(_NOTIFY)]
    return frozenset(found[:_MOST])


def verification(query: Element, name: str) -> str:
    """The hash of what a client says (section 5.1), by the name of the hash; empty when it is of
    no kind that is known here, or when the client says a thing twice.
    """
    if name not in _HASHES:
        return ""
    identities, features, forms = [], [], []
    for each in query.elements():
        attrs = each.attrs
        if each.name == "identity":
            parts = (attrs.get(name, "") for name in ("category", "type", LANG, "name"))
            identities.append("/".join(parts))
        elif each.name == "feature":
            features.append(attrs.get("var", ""))
        elif each.ns == DATA_FORMS:
            forms.append(_form(each))
    named = sorted(form for form in forms if form[0])
    for said in (identities, features, [form[0] for form in named]):
        if len(set(said)) != len(said):
            return ""
    text = [*sorted(identities), *sorted(features)]
    for _, lines in named:
        text += lines
    digest = _HASHES[name]("".join(f"{each}<" for each in text).encode()).digest()
    return base64.b64encode(digest).decode()


def _form(form: Element) -> tuple[str, list[str]]:
    """A form's type, and its lines in the order in which they are hashed. A form without a type,
    or with one that is shown, counts for nothing.
    """
    form_type = ""
    lines: list[str] = []
    for each in sorted(form.elements("field"), key=lambda field: field.attrs.get("var", "")):
        if each.attrs.get("var") != "FORM_TYPE":
            lines += [each.attrs.get("var", ""), *sorted(_values(each))]
        elif each.attrs.get("type") == "hidden":
            form_type = "".join(_values(each))
    return form_type, [form_type, *lines]


def _values(field: Element) -> Iterable[str]:
    return (each.text() for each in field.elements("value"))
