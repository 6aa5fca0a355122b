"""Where a stanza goes: RFC 6121 section 8, and XMPP.md where the RFC leaves room."""

import pytest

MESSAGES = ["", "type='chat'", "type='normal'", "type='nonsense'"]


def body(stanza):
    return stanza.child("jabber:client", "body").text()


@pytest.fixture
def ann(town):
    return town.client("ann@localhost/a").available()


def message(to, attrs="type='chat'", extra=""):
    return f"<message to='{to}' id='m' {attrs}><body>hi</body>{extra}</message>"


# --- the sender ---------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ["", "from='cat@localhost/x'", "from='ann@localhost'", "from=''"])
@pytest.mark.parametrize("name", ["message", "presence", "iq"])
def test_from_is_always_stamped(town, ann, claim, name):
    bob = town.client("bob@localhost/b").available()
    ann.send(f"<{name} to='bob@localhost/b' id='1' type='error' {claim}/>")
    assert bob.take_one().attrs["from"] == "ann@localhost/a"


def test_the_language_of_the_stream_is_that_of_its_stanzas(town, ann):
    ann.session.lang = "de"
    ann.send(message("ann@localhost/a") + message("ann@localhost/a", "xml:lang='fr'"))
    key = "http://www.w3.org/XML/1998/namespace lang"
    assert [each.attrs[key] for each in ann.take()] == ["de", "fr"]


def test_addresses_are_normalised(town, ann):
    bob = town.client("bob@localhost/B").available()
    ann.send(message("BOB@LocalHost/B"))
    assert body(bob.take_one()) == "hi"


@pytest.mark.parametrize("address", ["a@b@c", "@localhost", "bob@localhost/", "b ob@localhost"])
@pytest.mark.parametrize("xml", ["<message to='{}' id='1'/>", "<presence to='{}'/>"])
def test_a_malformed_address(ann, error_of, address, xml):
    ann.send(xml.format(address))
    assert error_of(ann.take_one()) == "jid-malformed"


@pytest.mark.parametrize("address", ["bob@example.org", "example.org", "bob@example.org/x"])
def test_nothing_leaves_for_another_domain(ann, error_of, address):
    ann.send(message(address))
    ann.send(f"<iq to='{address}' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert [error_of(each) for each in ann.take()] == ["remote-server-not-found"] * 2


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("attrs", MESSAGES)
def test_to_a_bare_address_all_of_the_highest_priority_get_it(town, ann, attrs):
    low = town.client("bob@localhost/low").available(1)
    tops = [town.client(f"bob@localhost/top{i}").available(5) for i in range(2)]
    never = town.client("bob@localhost/never").available(-1)
    absent = town.client("bob@localhost/absent")
    low.take(), never.take(), [each.take() for each in tops]
    ann.send(message("bob@localhost", attrs))
    assert [body(each.take_one()) for each in tops] == ["hi", "hi"]
    assert low.take() == never.take() == absent.take() == []


@pytest.mark.parametrize("attrs", [*MESSAGES, "type='headline'", "type='groupchat'"])
@pytest.mark.parametrize("priority", [-1, None])
def test_to_a_full_address_priority_does_not_matter(town, ann, attrs, priority):
    bob = town.client("bob@localhost/b")
    if priority is not None:
        bob.available(priority)
    ann.send(message("bob@localhost/b", attrs))
    assert body(bob.take_one()) == "hi"


@pytest.mark.parametrize("attrs", MESSAGES)
def test_to_a_session_that_is_gone_another_gets_it(town, ann, attrs):
    bob = town.client("bob@localhost/b").available()
    ann.send(message("bob@localhost/gone", attrs))
    assert body(bob.take_one()) == "hi"


@pytest.mark.parametrize("to", ["bob@localhost", "bob@localhost/gone"])
@pytest.mark.parametrize("attrs", MESSAGES)
def test_what_nobody_takes_waits(town, ann, to, attrs):
    quiet = town.client("bob@localhost/quiet").available(-1)
    ann.send(message(to, attrs))
    assert ann.take() == quiet.take() == []
    bob = town.client("bob@localhost/b")
    assert bob.take() == []
    bob.send("<presence/>")
    waited = [each for each in bob.take() if each.name == "message"]
    assert [body(each) for each in waited] == ["hi"]
    delay = waited[0].child("urn:xmpp:delay", "delay")
    assert delay.attrs["from"] == "localhost"
    assert delay.attrs["stamp"].endswith("Z")
    assert waited[0].attrs["from"] == "ann@localhost/a"


def test_a_priority_that_is_raised_takes_what_waits(town, ann):
    bob = town.client("bob@localhost/b").available(-1)
    ann.send(message("bob@localhost"))
    assert bob.take() == []
    bob.send("<presence><priority>0</priority></presence>")
    assert [each.name for each in bob.take()] == ["presence", "message"]


def test_too_many_messages_wait(town, ann, error_of):
    for _ in range(4):  # the limit of this host is 3
        ann.send(message("bob@localhost"))
    assert error_of(ann.take_one()) == "resource-constraint"


@pytest.mark.parametrize("hint", ["no-store", "no-permanent-store"])
def test_what_must_not_be_stored_bounces(town, ann, error_of, hint):
    ann.send(message("bob@localhost", extra=f"<{hint} xmlns='urn:xmpp:hints'/>"))
    assert error_of(ann.take_one()) == "service-unavailable"
    assert town.store.offline_count("bob@localhost") == 0


def test_a_typing_notice_is_not_kept(town, ann):
    ann.send(
        "<message to='bob@localhost' type='chat'>"
        "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
    assert town.store.offline_count("bob@localhost") == 0


@pytest.mark.parametrize("to", ["nobody@localhost", "nobody@localhost/x", "localhost"])
def test_to_nobody(ann, error_of, to):
    ann.send(message(to))
    reply = ann.take_one()
    assert error_of(reply) == "service-unavailable"
    assert (reply.attrs["from"], reply.attrs["id"]) == (to, "m")


def test_a_headline_reaches_all_who_take_messages_or_nobody(town, ann):
    sessions = [town.client(f"bob@localhost/{p}").available(p) for p in (0, 5, -1)]
    [each.take() for each in sessions]
    ann.send(message("bob@localhost", "type='headline'"))
    assert [len(each.take()) for each in sessions] == [1, 1, 0]
    ann.send(message("bob@localhost/gone", "type='headline'"))
    assert [each.take() for each in [*sessions, ann]] == [[]] * 4
    assert town.store.offline_count("bob@localhost") == 0


@pytest.mark.parametrize("to", ["bob@localhost", "bob@localhost/gone", "cat@localhost"])
def test_groupchat_is_refused_and_an_error_dropped(town, ann, error_of, to):
    bob = town.client("bob@localhost/b").available()
    ann.send(message(to, "type='groupchat'"))
    assert error_of(ann.take_one()) == "service-unavailable"
    ann.send(message(to, "type='error'"))
    assert ann.take() == bob.take() == []


def test_without_an_address_a_message_is_for_oneself(town, ann):
    other = town.client("ann@localhost/b").available()
    ann.take()
    ann.send("<message><body>note</body></message>")
    assert body(ann.take_one()) == body(other.take_one()) == "note"


# --- iq -----------------------------------------------------------------------------------------


def test_an_iq_reaches_the_session_that_it_names(town, ann):
    bob = town.client("bob@localhost/b")
    ann.send(
        "<iq type='set' to='bob@localhost/b' id='1'><frames xmlns='urn:jabot:0'>x</frames></iq>"
    )
    request = bob.take_one()
    assert next(request.elements()).text() == "x"
    bob.send("<iq type='result' to='ann@localhost/a' id='1'/>")
    assert ann.take_one().attrs == {
        "type": "result", "id": "1", "to": "ann@localhost/a", "from": "bob@localhost/b",
    }  # fmt: skip


@pytest.mark.parametrize(
    "to", ["bob@localhost/gone", "bob@localhost", "nobody@localhost/x", "localhost"]
)
@pytest.mark.parametrize("kind", ["get", "set"])
def test_an_iq_that_nobody_answers_is_refused_at_once(town, ann, error_of, to, kind):
    bob = town.client("bob@localhost/b").available()
    ann.send(f"<iq type='{kind}' to='{to}' id='1'><frames xmlns='urn:jabot:0'/></iq>")
    assert error_of(ann.take_one()) == "service-unavailable"
    assert bob.take() == []


@pytest.mark.parametrize("kind", ["result", "error"])
@pytest.mark.parametrize(
    "to", ["bob@localhost/gone", "bob@localhost", "localhost", "nobody@localhost"]
)
def test_an_answer_that_nobody_waits_for_is_dropped(ann, to, kind):
    ann.send(f"<iq type='{kind}' to='{to}' id='1'/>")
    assert ann.take() == []


@pytest.mark.parametrize(
    "xml",
    [
        "<iq type='get' to='bob@localhost/b'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='get' id='1' to='bob@localhost/b'/>",
        "<iq type='set' id='1' to='bob@localhost/b'><a xmlns='x'/><b xmlns='x'/></iq>",
        "<iq type='ask' id='1' to='bob@localhost/b'><a xmlns='x'/></iq>",
        "<iq id='1'><a xmlns='x'/></iq>",
    ],
)
def test_a_misshapen_iq_goes_nowhere(town, ann, error_of, xml):
    bob = town.client("bob@localhost/b")
    ann.send(xml)
    assert error_of(ann.take_one()) == "bad-request"
    assert bob.take() == []


@pytest.mark.parametrize(
    "payload",
    [
        "<vCard xmlns='vcard-temp'/>",
        "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>",
        "<query xmlns='jabber:iq:register'/>",
        "<query xmlns='jabber:iq:last'/>",
        "<blocklist xmlns='urn:xmpp:blocking'/>",
        "<enable xmlns='urn:xmpp:carbons:2'/>",
    ],
)
@pytest.mark.parametrize("to", ["", "to='localhost'", "to='ann@localhost'"])
@pytest.mark.parametrize("kind", ["get", "set"])
def test_what_is_not_offered_is_refused(ann, error_of, payload, to, kind):
    ann.send(f"<iq type='{kind}' id='1' {to}>{payload}</iq>")
    assert error_of(ann.take_one()) == "service-unavailable"


@pytest.mark.parametrize(
    ("payload", "to"),
    [
        ("<ping xmlns='urn:xmpp:ping'/>", "localhost"),
        ("<ping xmlns='urn:xmpp:ping'/>", "ann@localhost"),
        ("<query xmlns='jabber:iq:version'/>", "localhost"),
        ("<query xmlns='http://jabber.org/protocol/disco#info'/>", "localhost"),
        ("<query xmlns='http://jabber.org/protocol/disco#items'/>", "localhost"),
        ("<query xmlns='http://jabber.org/protocol/disco#info'/>", "ann@localhost"),
        ("<query xmlns='http://jabber.org/protocol/disco#items'/>", "ann@localhost"),
    ],
)
def test_what_the_server_answers(ann, payload, to):
    ann.send(f"<iq type='get' id='1' to='{to}'>{payload}</iq>")
    reply = ann.take_one()
    assert (reply.attrs["type"], reply.attrs["from"]) == ("result", to)


def test_every_feature_that_disco_names_is_there(town, ann, error_of):
    ns = "http://jabber.org/protocol/disco#info"
    for to in ("localhost", "ann@localhost"):
        ann.send(f"<iq type='get' id='1' to='{to}'><query xmlns='{ns}'/></iq>")
        [query] = ann.take_one().elements()
        features = {each.attrs["var"] for each in query.elements() if each.name == "feature"}
        # What an account's own nodes can do has a suite of its own.
        for feature in {each for each in features if "/pubsub" not in each} - {"msgoffline"}:
            name = "ping" if feature == "urn:xmpp:ping" else "query"
            ann.send(f"<iq type='get' id='1' to='{to}'><{name} xmlns='{feature}'/></iq>")
            assert ann.take_one().attrs["type"] == "result"
    ann.send(f"<iq type='get' id='1' to='localhost'><query xmlns='{ns}' node='x'/></iq>")
    assert error_of(ann.take_one()) == "item-not-found"


def test_an_account_tells_strangers_nothing(town, ann, error_of):
    for to in ("bob@localhost", "nobody@localhost"):
        query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        ann.send(f"<iq type='get' id='1' to='{to}'>{query}</iq>")
        assert error_of(ann.take_one()) == "service-unavailable"
    town.friends("ann", "bob")
    ann.take()
    ann.send(f"<iq type='get' id='1' to='bob@localhost'>{query}</iq>")
    assert ann.take_one().attrs["type"] == "result"


# --- other services -----------------------------------------------------------------------------


class Echo:
    def __init__(self):
        self.got = []

    def receive(self, stanza, to):
        self.got.append((stanza.name, stanza.attrs.get("type"), to.full))


def test_a_service_has_a_domain_of_its_own(town, ann):
    rooms = Echo()
    town.router.add("rooms.localhost", rooms)
    ann.send(message("hall@rooms.localhost", "type='groupchat'"))
    ann.send("<presence to='hall@rooms.localhost/ann'/>")
    ann.lose()
    assert rooms.got == [
        ("message", "groupchat", "hall@rooms.localhost"),
        ("presence", None, "hall@rooms.localhost/ann"),
        ("presence", "unavailable", "hall@rooms.localhost/ann"),
    ]
    bob = town.client("bob@localhost/b")
    query = "<query xmlns='http://jabber.org/protocol/disco#items'/>"
    bob.send(f"<iq type='get' id='1' to='localhost'>{query}</iq>")
    [found] = bob.take_one().elements()
    assert [each.attrs["jid"] for each in found.elements()] == [
        "pubsub.localhost",
        "rooms.localhost",
    ]
