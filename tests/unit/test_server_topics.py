"""The pure parts of publish-subscribe: access, pages, nodes and their items, capabilities."""

from datetime import UTC, datetime, timedelta

import pytest

from jabot.jid import JID
from jabot.server.capabilities import Capabilities, verification
from jabot.server.conditions import StanzaError
from jabot.server.config import ServerConfig
from jabot.server.element import Element
from jabot.server.namespaces import CAPS, CLIENT, DISCO_INFO
from jabot.server.parser import element_of
from jabot.server.pubsub.access import (
    check_owner,
    check_publish,
    check_read,
    check_retract,
    may_read,
)
from jabot.server.pubsub.configuration import NodeConfiguration
from jabot.server.pubsub.node import Affiliation, Item, Node, affiliation
from jabot.server.pubsub.nodes import Nodes
from jabot.server.pubsub.paging import Page, asked_page, told_page
from jabot.server.pubsub.store import NodeStore
from jabot.server.session import Session
from jabot.server.store import RosterItem, Store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANN, BOB = "ann@x", "bob@x"


@pytest.fixture
def server_store():
    store = Store(None)
    yield store
    store.close()


def node(**options):
    affiliations = {ANN: Affiliation.OWNER} | options.pop("affiliations", {})
    subscribers = options.pop("subscribers", set())
    return Node(
        key=1,
        service="pubsub.x",
        name="n",
        creator=ANN,
        configuration=NodeConfiguration(max_items=3, **options),
        affiliations=affiliations,
        subscribers=subscribers,
    )


def refusal(check, *args):
    """The conditions with which a check refuses; None when it does not."""
    try:
        check(*args)
    except StanzaError as error:
        return error.condition, error.detail.name if error.detail is not None else None
    return None


# --- access -------------------------------------------------------------------------------------

SEEN = RosterItem(BOB, from_=True)
FRIEND = RosterItem(BOB, from_=True, groups=("friends",))


@pytest.mark.parametrize(
    ("options", "contact", "refused"),
    [
        ({"access_model": "open"}, RosterItem(BOB), None),
        ({"access_model": "presence"}, SEEN, None),
        (
            {"access_model": "presence"},
            RosterItem(BOB, to=True),
            ("not-authorized", "presence-subscription-required"),
        ),
        ({"access_model": "roster", "roster_groups": ("friends",)}, FRIEND, None),
        (
            {"access_model": "roster", "roster_groups": ("family",)},
            FRIEND,
            ("not-authorized", "not-in-roster-group"),
        ),
        (
            {"access_model": "roster", "roster_groups": ("friends",)},
            RosterItem(BOB, groups=("friends",)),
            ("not-authorized", "not-in-roster-group"),
        ),
        ({"access_model": "whitelist"}, FRIEND, ("not-allowed", "closed-node")),
    ],
)
def test_who_may_read(server_store, options, contact, refused):
    server_store.put_roster_item(ANN, contact)
    assert refusal(check_read, node(**options), BOB, server_store) == refused
    assert may_read(node(**options), BOB, server_store) is (refused is None)
    assert refusal(check_read, node(**options), ANN, server_store) is None


@pytest.mark.parametrize(
    ("held", "reads", "publishes"),
    [
        (Affiliation.OWNER, True, True),
        (Affiliation.PUBLISHER, True, True),
        (Affiliation.PUBLISH_ONLY, False, True),
        (Affiliation.MEMBER, True, False),
        (Affiliation.NONE, False, False),
        (Affiliation.OUTCAST, False, False),
    ],
)
def test_what_each_affiliation_may(server_store, held, reads, publishes):
    closed = node(access_model="whitelist", affiliations={BOB: held})
    assert may_read(closed, BOB, server_store) is reads
    assert (refusal(check_publish, closed, BOB) is None) is publishes
    assert (refusal(check_owner, closed, BOB) is None) is (held is Affiliation.OWNER)
    open_to_all = node(publish_model="open", affiliations={BOB: held})
    assert (refusal(check_publish, open_to_all, BOB) is None) is (held is not Affiliation.OUTCAST)
    others, own = (Item("i", f"{who}/r", "", NOON) for who in (ANN, BOB))
    managing = held in (Affiliation.OWNER, Affiliation.PUBLISHER)
    assert (refusal(check_retract, closed, BOB, others) is None) is managing
    assert (refusal(check_retract, closed, BOB, own) is None) is (held is not Affiliation.OUTCAST)


@pytest.mark.parametrize(
    ("subscribers", "publishes"),
    [(set(), False), ({BOB}, True), ({f"{BOB}/r"}, True), ({"bob@x.y", "bob@xy"}, False)],
)
def test_subscribers_publish_where_they_may(subscribers, publishes):
    here = node(publish_model="subscribers", subscribers=subscribers)
    assert (refusal(check_publish, here, BOB) is None) is publishes


def test_words_that_are_none():
    assert affiliation("publish-only") is Affiliation.PUBLISH_ONLY
    with pytest.raises(StanzaError, match="bad-request"):
        affiliation("king")


# --- pages --------------------------------------------------------------------------------------

IDS = list("abcde")


@pytest.mark.parametrize(
    ("page", "chosen"),
    [
        (Page(), "abcde"),
        (Page(most=2), "ab"),
        (Page(most=2, after="b"), "cd"),
        (Page(after="e"), ""),
        (Page(most=2, before=""), "de"),
        (Page(most=2, before="d"), "bc"),
        (Page(before="b"), "a"),
        (Page(most=0), ""),
        (Page(most=0, before=""), ""),
        (Page(after="a", before="d"), "bc"),
    ],
)
def test_pages(page, chosen):
    assert "".join(page.select(IDS)) == chosen


def test_a_page_that_begins_nowhere():
    for page in (Page(after="x"), Page(before="x")):
        with pytest.raises(StanzaError, match="item-not-found"):
            page.select(IDS)


def test_how_a_page_is_asked_for_and_told():
    def asked(inner):
        return asked_page(
            element_of(f"<q><set xmlns='http://jabber.org/protocol/rsm'>{inner}</set></q>")
        )

    assert asked_page(Element("", "q")) is None
    assert asked("") == Page()
    assert asked("<max>3</max><after>b</after>") == Page(3, "b")
    assert asked("<before/>") == Page(before="")
    with pytest.raises(StanzaError, match="bad-request"):
        asked("<max>-1</max>")
    told = told_page(IDS, ["c", "d"])
    assert [(each.name, each.text()) for each in told.elements()] == [
        ("first", "c"),
        ("last", "d"),
        ("count", "5"),
    ]
    assert next(told.elements()).attrs == {"index": "2"}


# --- nodes and items ----------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(server_store):
    return NodeStore(server_store.db)


@pytest.fixture
def nodes(store, clock):
    return Nodes(ServerConfig(), store, clock)


def published(nodes, node, *values):
    for value in values:
        nodes.publish(node, value, f"{ANN}/r", f"<v xmlns='urn:v'>{value}</v>")


def test_what_is_kept_is_read_back(nodes, store, clock):
    made = nodes.create("pubsub.x", "n", ANN, NodeConfiguration(max_items=2, roster_groups=("a",)))
    nodes.affiliate(made, {BOB: Affiliation.MEMBER})
    nodes.subscribe(made, BOB)
    nodes.subscribe(made, f"{BOB}/session")
    published(nodes, made, "a", "b", "c")
    again = Nodes(ServerConfig(), store, clock)
    again.load()
    kept = again.find("pubsub.x", "n")
    assert kept.configuration == made.configuration
    assert kept.affiliations == {ANN: Affiliation.OWNER, BOB: Affiliation.MEMBER}
    assert kept.subscribers == {BOB}
    assert again.ids(kept) == ["b", "c"]
    assert kept.size == made.size == 2 * len("<v xmlns='urn:v'>a</v>")
    assert again.last(kept) == Item("c", f"{ANN}/r", "<v xmlns='urn:v'>c</v>", NOON)
    again.delete(kept)
    assert list(again) == []
    assert list(store.load()) == []


def test_the_oldest_go_and_what_is_published_again_is_the_newest(nodes):
    made = nodes.create("pubsub.x", "n", ANN, NodeConfiguration(max_items=3))
    published(nodes, made, "a", "b", "c", "a", "d")
    assert nodes.ids(made) == ["c", "a", "d"]
    assert made.size == 3 * len("<v xmlns='urn:v'>a</v>")
    assert nodes.configure(made, NodeConfiguration(max_items=1)) == ["c", "a"]
    assert nodes.ids(made) == ["d"]


def test_items_expire(nodes, clock):
    made = nodes.create("pubsub.x", "n", ANN, NodeConfiguration(max_items=9, item_expire=60))
    published(nodes, made, "a")
    clock.now += timedelta(seconds=30)
    published(nodes, made, "b")
    clock.now += timedelta(seconds=31)
    assert nodes.ids(made) == ["b"]
    assert nodes.item(made, "a") is None
    clock.now += timedelta(seconds=30)
    assert nodes.last(made) is None
    assert made.size == 0


def test_what_has_expired_takes_no_room(store, clock):
    nodes = Nodes(ServerConfig(max_topic_bytes=50), store, clock)
    made = nodes.create("pubsub.x", "n", ANN, NodeConfiguration(max_items=9, item_expire=60))
    published(nodes, made, "a", "b")
    with pytest.raises(StanzaError, match="resource-constraint"):
        published(nodes, made, "c")
    clock.now += timedelta(seconds=61)
    published(nodes, made, "c")
    assert nodes.ids(made) == ["c"]


def test_a_transient_node_keeps_the_last_item_only(nodes, clock):
    settings = {"max_items": 9, "persist_items": False, "item_expire": 60}
    made = nodes.create("pubsub.x", "n", ANN, NodeConfiguration(**settings))
    published(nodes, made, "a", "b")
    assert nodes.ids(made) == ["b"]
    assert nodes.item(made, "b") == nodes.last(made)
    assert made.size == len("<v xmlns='urn:v'>b</v>")
    with pytest.raises(StanzaError, match="feature-not-implemented"):
        nodes.purge(made)
    clock.now += timedelta(seconds=61)
    assert nodes.last(made) is None
    nodes.configure(made, NodeConfiguration(**settings, send_last="never"))
    published(nodes, made, "c")
    assert made.size == 0
    with pytest.raises(StanzaError, match="feature-not-implemented"):
        nodes.ids(made)


@pytest.mark.parametrize("persists", [True, False])
def test_a_node_that_changes_its_mind_about_keeping_items_keeps_none(nodes, persists):
    made = nodes.create(
        "pubsub.x", "n", ANN, NodeConfiguration(max_items=9, persist_items=persists)
    )
    published(nodes, made, "a")
    nodes.configure(made, NodeConfiguration(max_items=9, persist_items=not persists))
    assert nodes.ids(made) == []
    assert made.size == 0


def test_a_node_without_a_name_gets_one(nodes):
    one, two = (nodes.create("x", "", ANN, NodeConfiguration(max_items=1)) for _ in range(2))
    assert one.name
    assert one.name != two.name
    assert nodes.find("x", one.name) is one
    with pytest.raises(StanzaError, match="item-not-found"):
        nodes.find("y", one.name)


# --- capabilities -------------------------------------------------------------------------------

# The examples of XEP-0115 sections 5.2 and 5.3, with the hashes that stand there.
SIMPLE = f"""<query xmlns='{DISCO_INFO}'>
<identity category='client' name='Exodus 0.9.1' type='pc'/>
<feature var='http://jabber.org/protocol/caps'/>
<feature var='http://jabber.org/protocol/muc'/>
<feature var='http://jabber.org/protocol/disco#info'/>
<feature var='http://jabber.org/protocol/disco#items'/>
</query>"""
COMPLEX = f"""<query xmlns='{DISCO_INFO}'>
<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>
<identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>
<feature var='http://jabber.org/protocol/caps'/>
<feature var='http://jabber.org/protocol/disco#info'/>
<feature var='http://jabber.org/protocol/disco#items'/>
<feature var='http://jabber.org/protocol/muc'/>
<x xmlns='jabber:x:data' type='result'>
<field var='software_version'><value>0.11</value></field>
<field var='software'><value>Psi</value></field>
<field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>
<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>
<field var='os'><value>Mac</value></field>
<field var='os_version'><value>10.5.1</value></field>
</x></query>"""
SHOWN = "<x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>a</value></field></x>"


def test_the_hash_of_what_a_client_says():
    assert verification(element_of(SIMPLE), "sha-1") == "QgayPKawpkPSDYmwT/WM94uAlu0="
    assert verification(element_of(COMPLEX), "sha-1") == "q07IKJEyjvHSyhy//CH0CxmKi8w="
    with_nothing = COMPLEX.replace("</query>", f"{SHOWN}{SHOWN}</query>")
    assert verification(element_of(with_nothing), "sha-1") == "q07IKJEyjvHSyhy//CH0CxmKi8w="
    assert verification(element_of(SIMPLE), "md2") == ""


@pytest.mark.parametrize("twice", ["<feature var='http://jabber.org/protocol/muc'/>", "<x "])
def test_what_is_said_twice_proves_nothing(twice):
    at = COMPLEX.index(twice)
    end = COMPLEX.index("</x>") + 4 if twice == "<x " else at + len(twice)
    doubled = COMPLEX[:end] + COMPLEX[at:end] + COMPLEX[end:]
    assert verification(element_of(doubled), "sha-1") == ""


class Link:
    def __init__(self):
        self.sent = []

    def write(self, data):
        self.sent.append(data.decode())

    def fail(self, error):
        raise AssertionError(error)


@pytest.fixture
def capabilities():
    learnt = []
    made = Capabilities("x", lambda session, new: learnt.append((session.full, set(new))))
    made.learnt = learnt
    return made


def shown(capabilities, full, ver="v1"):
    session = Session(JID(full), Link())
    session.presence = Element(CLIENT, "presence", {}, [caps(ver)])
    capabilities.seen(session)
    return session


def caps(ver):
    return Element(CAPS, "c", {"hash": "sha-1", "node": "urn:c", "ver": ver})


def answer(session, wanted):
    [asked] = session.link.sent
    question = element_of(asked)
    features = [Element(DISCO_INFO, "feature", {"var": each}) for each in wanted]
    query = Element(DISCO_INFO, "query", None, features)
    attrs = {"type": "result", "id": question.attrs["id"], "from": session.full}
    return Element(CLIENT, "iq", attrs, [query])


def test_an_answer_counts_for_who_was_asked_and_only_once(capabilities):
    ann, bob = shown(capabilities, "ann@x/a"), shown(capabilities, "bob@x/b")
    assert "node='urn:c#v1'" in ann.link.sent[0]
    told = answer(ann, ["urn:a+notify", "urn:b"])
    forged = answer(ann, ["urn:forged+notify"])
    forged.attrs["from"] = bob.full
    capabilities.answered(forged)
    assert (bob.wanted_nodes, capabilities.learnt) == (frozenset(), [])
    capabilities.answered(told)
    capabilities.answered(answer(ann, ["urn:later+notify"]))
    assert ann.wanted_nodes == {"urn:a"}
    assert capabilities.learnt == [("ann@x/a", {"urn:a"})]


def test_a_presence_that_shows_nothing_new_asks_nothing(capabilities):
    ann = shown(capabilities, "ann@x/a")
    capabilities.seen(ann)
    assert len(ann.link.sent) == 1
    capabilities.answered(answer(ann, ["urn:a+notify"]))
    capabilities.seen(ann)
    assert len(ann.link.sent) == 1
    ann.presence = Element(CLIENT, "presence", {}, [caps("v2")])
    capabilities.seen(ann)
    assert len(ann.link.sent) == 2


def test_who_goes_is_waited_for_no_more(capabilities):
    ann = shown(capabilities, "ann@x/a")
    told = answer(ann, ["urn:a+notify"])
    capabilities.forget(ann)
    capabilities.answered(told)
    assert capabilities.learnt == []


def test_a_presence_without_capabilities_wants_nothing(capabilities):
    ann = shown(capabilities, "ann@x/a")
    capabilities.answered(answer(ann, ["urn:a+notify"]))
    ann.presence = Element(CLIENT, "presence")
    capabilities.seen(ann)
    assert ann.wanted_nodes == frozenset()
