"""Whatever clients send, the server stands, and what it knows fits together."""

import random

import pytest

from jabot.jid import JID
from jabot.server import Server, ServerConfig
from jabot.server.element import Element
from jabot.server.namespaces import (
    CAPS,
    CLIENT,
    DATA_FORMS,
    DISCO_INFO,
    DISCO_ITEMS,
    MUC,
    MUC_ADMIN,
    MUC_OWNER,
    MUC_USER,
    PING,
    PUBSUB,
    PUBSUB_OWNER,
    RSM,
)
from jabot.server.pubsub.configuration import FORM_TYPE as NODE_FORM
from jabot.server.pubsub.configuration import OPTIONS_TYPE
from jabot.server.pubsub.store import NodeStore
from jabot.server.rooms.affiliations import Affiliation
from jabot.server.rooms.configuration import FORM_TYPE as ROOM_FORM
from jabot.server.rooms.store import RoomStore
from jabot.server.session import Session

ACCOUNTS = ["ann", "bob", "cat"]
ROOMS = [f"{name}@conference.localhost" for name in ("one", "two")]
WORDS = ["", "1", "0", "max", "none", "open", "anyone", "on_sub", "9" * 30, "-1", "a/b", "x" * 40]
ADDRESSES = [
    *("ann@localhost", "bob@localhost", "cat@localhost", "ann@localhost/0", "localhost"),
    *("nobody@localhost", "elsewhere.example", "@", "a b@c", "", "one@conference.localhost/nick"),
]
NICKS = ["ann", "bob", "nick", "\N{ROBOT FACE}"]
NODES = ["n", "m", "urn:a"]
ROOM_FIELDS = {
    "muc#roomconfig_persistentroom": ["0", "1"],
    "muc#roomconfig_membersonly": ["0", "0", "1"],
    "muc#roomconfig_moderatedroom": ["0", "1"],
    "muc#roomconfig_whois": ["anyone", "moderators"],
    "muc#roomconfig_maxusers": ["2", "4"],
}
NODE_FIELDS = {
    "pubsub#access_model": ["open", "open", "presence", "whitelist"],
    "pubsub#publish_model": ["open", "subscribers", "publishers"],
    "pubsub#max_items": ["1", "2", "3"],
    "pubsub#persist_items": ["1", "1", "0"],
    "pubsub#deliver_payloads": ["1", "0"],
}


class Link:
    """A connection that takes everything."""

    def write(self, data):
        assert data

    def fail(self, error):
        raise AssertionError(error)


class Clients:
    """Three accounts with two sessions each, that come and go, and say what chance tells them."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        limits = {"max_rooms": 2, "max_occupants": 4, "max_nodes": 3, "max_items": 3}
        self.server = Server(ServerConfig(scram_iterations=4_096, **limits))
        for name in ACCOUNTS:
            self.server.add_user(name, "secret")
        self.sessions = {}
        self.me = ""
        for name in ACCOUNTS:
            for number in range(2):
                self.connect(f"{name}@localhost/{number}")

    def connect(self, full):
        session = self.sessions[full] = Session(JID(full), Link())
        self.server.host.begin(session)

    def step(self):
        full = self.me = self.chance.choice(list(self.sessions))
        session = self.sessions[full]
        if self.chance.random() < 0.02:
            self.server.host.end(session)
            self.connect(full)
        else:
            self.server.host.accept(session, self.stanza())

    def one(self, *choices):
        return self.chance.choice(choices)

    def stanza(self):
        make = self.one(self.presence, self.presence, self.message, self.iq, self.iq, self.iq)
        return make()

    def presence(self):
        to = self.one("", self.one(*ADDRESSES), *(f"{self.one(*ROOMS)}/{n}" for n in NICKS))
        attrs = {"to": to} if to else {}
        if self.chance.random() < 0.2:
            attrs["type"] = self.one("unavailable", "subscribe", "subscribed", "error", "probe")
        history = Element(
            MUC, "history", self.attributes("maxstanzas", "maxchars", "seconds", "since")
        )
        shown = Element(CAPS, "c", self.attributes("hash", "node", "ver"))
        content = [Element(MUC, "x", None, self.some(history)), shown, self.user()]
        return Element(CLIENT, "presence", attrs, self.some(*content, always=1))

    def message(self):
        attrs = {"to": self.one(*ROOMS, f"{self.one(*ROOMS)}/{self.one(*NICKS)}", *ADDRESSES)}
        attrs["type"] = self.one("groupchat", "chat", "normal", "headline", "error")
        said = [Element(CLIENT, name, None, [self.one(*WORDS)]) for name in ("body", "subject")]
        return Element(CLIENT, "message", attrs, self.some(*said, self.user()))

    def iq(self):
        make, fit = self.one(
            (self.admin, ROOMS),
            (self.owner, ROOMS),
            *[(self.topic, ["pubsub.localhost", "ann@localhost"])] * 2,
            (self.nodes_owner, ["pubsub.localhost", "ann@localhost"]),
            (self.disco, [*ROOMS, "pubsub.localhost", "conference.localhost"]),
        )
        to = self.one(*ADDRESSES) if self.chance.random() < 0.1 else self.one(*fit)
        kind = self.one("get", *["set"] * 5, "result", "error")
        return Element(CLIENT, "iq", {"id": "q", "type": kind, "to": to}, [make()])

    def user(self):
        kind = self.one("invite", "decline", "status", "item")
        reason = Element(MUC_USER, "reason", None, ["why"])
        return Element(
            MUC_USER, "x", None, [Element(MUC_USER, kind, self.attributes("to"), [reason])]
        )

    def admin(self):
        items = []
        for _ in range(self.one(0, 1, 1, 2)):
            attrs = self.attributes("jid", "nick")
            if self.chance.random() < 0.5:
                attrs["affiliation"] = self.one(
                    "owner", "admin", "member", "none", "outcast", "king"
                )
            else:
                attrs["role"] = self.one("moderator", "participant", "visitor", "none", "king")
            items.append(Element(MUC_ADMIN, "item", attrs))
        return Element(MUC_ADMIN, "query", None, items)

    def owner(self):
        form = self.form(ROOM_FORM, ROOM_FIELDS)
        destroy = Element(MUC_OWNER, "destroy", self.attributes("jid"))
        chosen = self.one(*[[form]] * 8, [], [destroy])
        return Element(MUC_OWNER, "query", None, chosen)

    def form(self, form_type, fields):
        """Mostly what can be filled in, and of that not much."""
        filled = {"FORM_TYPE": form_type}
        for var, values in fields.items():
            if self.chance.random() < 0.3:
                filled[var] = self.one(*values * 4, self.one(*WORDS))
        elements = [
            Element(
                DATA_FORMS, "field", {"var": var}, [Element(DATA_FORMS, "value", None, [value])]
            )
            for var, value in filled.items()
        ]
        return Element(DATA_FORMS, "x", {"type": self.one(*["submit"] * 8, "cancel")}, elements)

    def node_form(self, form_type):
        return self.form(form_type, NODE_FIELDS)

    def topic(self):
        node = {"node": self.one(*NODES, "")}
        item = Element(PUBSUB, "item", self.attributes("id"), self.some(Element("urn:v", "v")))
        wanted = self.one(
            *[Element(PUBSUB, "publish", node, self.one(*[[item]] * 4, [], [item, item]))] * 4,
            Element(PUBSUB, "retract", node, [item]),
            Element(PUBSUB, "create", node),
            *[Element(PUBSUB, "subscribe", node | self.attributes("jid"))] * 5,
            Element(PUBSUB, "unsubscribe", node | self.attributes("jid")),
            Element(PUBSUB, "items", node | self.attributes("max_items"), self.some(item)),
            Element(PUBSUB, self.one("subscriptions", "affiliations", "options", "dance"), node),
        )
        page = Element(RSM, "set", None, self.some(*(Element(RSM, n) for n in ("after", "before"))))
        configure = Element(PUBSUB, "configure", None, [self.node_form(NODE_FORM)])
        options = Element(PUBSUB, "publish-options", None, [self.node_form(OPTIONS_TYPE)])
        return Element(PUBSUB, "pubsub", None, [wanted, *self.some(page, configure, options)])

    def nodes_owner(self):
        node = {"node": self.one(*NODES, "")}
        affiliation = self.one("owner", "publisher", "none", "outcast", "king")
        changed = {"affiliation": affiliation, "subscription": self.one("none", "subscribed", "x")}
        each = self.attributes("jid") | changed
        wanted = self.one(
            Element(PUBSUB_OWNER, "configure", node, [self.node_form(NODE_FORM)]),
            Element(
                PUBSUB_OWNER, "affiliations", node, [Element(PUBSUB_OWNER, "affiliation", each)]
            ),
            Element(
                PUBSUB_OWNER, "subscriptions", node, [Element(PUBSUB_OWNER, "subscription", each)]
            ),
            Element(PUBSUB_OWNER, self.one("purge", "delete", "default", "dance"), node),
        )
        return Element(PUBSUB_OWNER, "pubsub", None, self.one([wanted], [wanted], []))

    def disco(self):
        ns, name = self.one((DISCO_INFO, "query"), (DISCO_ITEMS, "query"), (PING, "ping"))
        return Element(ns, name, self.one({}, {"node": self.one(*NODES)}))

    def attributes(self, *names):
        pools = {"jid": ADDRESSES, "to": ADDRESSES, "nick": NICKS, "hash": ["sha-1", ""]}
        found = {
            name: self.one(*pools.get(name, WORDS)) for name in names if self.chance.random() < 0.7
        }
        if "jid" in found and self.chance.random() < 0.8:
            found["jid"] = self.one(self.me, JID(self.me).bare)
        return found

    def some(self, *elements, always=0):
        return [e for n, e in enumerate(elements) if n < always or self.chance.random() < 0.5]


@pytest.mark.parametrize("seed", range(4))
def test_the_server_stands(seed):
    clients = Clients(seed)
    seen = {"rooms": 0, "crowds": 0, "persistent": 0, "nodes": 0, "items": 0, "subscribers": 0}
    for _ in range(4_000):
        clients.step()
        check_rooms(clients, seen)
        check_nodes(clients, seen)
    check_what_is_kept(clients.server)
    clients.server.close()
    assert all(seen.values()), seen  # else chance has tested nothing


def check_rooms(clients, seen):
    for room in clients.server.rooms:
        for full, occupant in room.occupants.sessions():
            assert full in clients.sessions
            assert full in occupant.sessions
            assert room.occupants.called(occupant.nick) is occupant
            held = room.affiliation(occupant.account)
            assert held is not Affiliation.OUTCAST
            assert held is not Affiliation.NONE or not room.configuration.members_only
        assert Affiliation.OWNER in room.record.affiliations.values()
        assert len(room.occupants) > 0 or room.configuration.persistent
        assert room.occupants.session_count <= 4
        seen["rooms"] += 1
        seen["crowds"] += len(room.occupants) > 2
        seen["persistent"] += room.configuration.persistent


def check_nodes(clients, seen):
    made = {}
    for node in clients.server.host.pubsub.nodes:
        assert node.owners
        assert all(JID(jid).resource == "" or jid in clients.sessions for jid in node.subscribers)
        made[node.creator] = made.get(node.creator, 0) + 1
        seen["nodes"] += 1
        seen["items"] += node.size > 0
        seen["subscribers"] += len(node.subscribers)
    assert all(count <= 3 for count in made.values())


def check_what_is_kept(server):
    """A restart would find all as it is."""
    nodes = server.host.pubsub.nodes
    kept = {(node.service, node.name): node for node in NodeStore(server.store.db).load()}
    for node in nodes:
        same = kept.pop((node.service, node.name))
        assert (same.configuration, same.affiliations) == (node.configuration, node.affiliations)
        assert same.subscribers == {jid for jid in node.subscribers if "/" not in jid}
        if node.configuration.persist_items:
            assert same.size == node.size
            assert len(nodes.ids(node)) <= node.configuration.max_items
    assert kept == {}
    records = {record.jid: record for record in RoomStore(server.store.db).load()}
    for room in server.rooms:
        if room.configuration.persistent:
            record = records.pop(room.jid)
            assert record.configuration == room.configuration
            assert record.affiliations == room.record.affiliations
            assert (record.subject is None) is (room.record.subject is None)
    assert records == {}
