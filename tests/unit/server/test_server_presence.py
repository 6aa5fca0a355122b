"""Who sees whom come and go (RFC 6121 sections 3 and 4), and rosters (section 2)."""

import pytest

ROSTER = "jabber:iq:roster"


def seen(client):
    """(from, type) of each presence that arrived."""
    return [
        (each.attrs["from"], each.attrs.get("type"))
        for each in client.take()
        if each.name == "presence"
    ]


def pushes(client):
    """The items of the roster pushes that arrived."""
    found = []
    for stanza in client.take():
        query = stanza.child(ROSTER, "query")
        if stanza.name == "iq" and stanza.attrs["type"] == "set":
            [item] = query.elements()
            found.append({key: value for key, value in item.attrs.items() if key != "jid"})
    return found


def roster(client):
    client.send(f"<iq type='get' id='r'><query xmlns='{ROSTER}'/></iq>")
    [reply] = [each for each in client.take() if each.attrs.get("id") == "r"]
    [query] = reply.elements()
    return {each.attrs["jid"]: each for each in query.elements()}


def put(client, item):
    client.send(f"<iq type='set' id='s'><query xmlns='{ROSTER}'>{item}</query></iq>")


@pytest.fixture
def ann(town):
    return town.client("ann@localhost/a")


@pytest.fixture
def bob(town):
    return town.client("bob@localhost/b")


# --- coming and going ---------------------------------------------------------------------------


def test_friends_see_each_other(town):
    town.friends("ann", "bob")
    ann, bob = town.client("ann@localhost/a"), town.client("bob@localhost/b")
    ann.send("<presence/>")
    assert seen(ann) == [("ann@localhost/a", None)]
    bob.send("<presence><show>away</show></presence>")
    assert seen(bob) == [("bob@localhost/b", None), ("ann@localhost/a", None)]
    [shown] = ann.take()
    assert shown.child("jabber:client", "show").text() == "away"
    bob.send("<presence type='unavailable'><status>bye</status></presence>")
    assert seen(bob) == [("bob@localhost/b", "unavailable")]
    [gone] = ann.take()
    assert gone.child("jabber:client", "status").text() == "bye"


def test_a_lost_session_is_told_once(town):
    town.friends("ann", "bob")
    ann, bob = (town.client(f"{n}@localhost/x").available() for n in ("ann", "bob"))
    ann.take()
    bob.send("<presence to='ann@localhost'/><presence to='ann@localhost/x'/>")
    ann.take()
    bob.lose()
    assert seen(ann) == [("bob@localhost/x", "unavailable")]


def test_strangers_see_nothing(ann, bob):
    ann.send("<presence/>")
    bob.send("<presence/>")
    ann.take()
    bob.lose()
    assert seen(ann) == []


def test_the_sessions_of_an_account_see_each_other(town, ann):
    ann.send("<presence/>")
    ann.take()
    other = town.client("ann@localhost/b")
    other.send("<presence/>")
    assert seen(other) == [("ann@localhost/b", None), ("ann@localhost/a", None)]
    assert seen(ann) == [("ann@localhost/b", None)]
    other.lose()
    assert seen(ann) == [("ann@localhost/b", "unavailable")]


@pytest.mark.parametrize("to", ["bob@localhost", "bob@localhost/b"])
@pytest.mark.parametrize("available", [True, False])
def test_directed_presence_is_taken_back_when_the_session_ends(ann, bob, to, available):
    bob.available(-1)
    if available:
        ann.available()
    ann.send(f"<presence to='{to}'><x xmlns='urn:jabot:0'/></presence>")
    assert seen(bob) == [("ann@localhost/a", None)]
    ann.lose()
    assert seen(bob) == [("ann@localhost/a", "unavailable")]


def test_directed_presence_that_was_taken_back_is_not_taken_back_again(ann, bob):
    bob.available()
    ann.send("<presence to='bob@localhost'/><presence to='bob@localhost' type='unavailable'/>")
    bob.take()
    ann.lose()
    assert seen(bob) == []


def test_directed_presence_ends_with_the_own_unavailable(ann, bob):
    bob.available()
    ann.available().send("<presence to='bob@localhost'/><presence type='unavailable'/>")
    assert seen(bob) == [("ann@localhost/a", None), ("ann@localhost/a", "unavailable")]
    ann.lose()
    assert seen(bob) == []


def test_the_number_of_directed_presences_is_limited(ann, error_of):
    for i in range(5):
        ann.send(f"<presence to='bob@localhost/{i}'/>")
    assert ann.take() == []
    ann.send("<presence to='bob@localhost/4'/>")
    assert ann.take() == []
    ann.send("<presence to='bob@localhost/5'/>")
    assert error_of(ann.take_one()) == "resource-constraint"


def test_a_replaced_session_ends_and_the_new_one_stays(town, bob):
    first = town.client("ann@localhost/a").available()
    bob.available()
    first.send("<presence to='bob@localhost'/>")
    bob.take()
    second = town.client("ann@localhost/a")
    assert first.link.error.condition == "conflict"
    assert seen(bob) == [("ann@localhost/a", "unavailable")]
    first.lose()
    bob.send("<message to='ann@localhost/a'><body>hi</body></message>")
    assert second.take_one().name == "message"


@pytest.mark.parametrize("priority", ["x", "", "128", "-129"])
def test_a_priority_is_a_small_number(ann, error_of, priority):
    ann.send(f"<presence><priority>{priority}</priority></presence>")
    assert error_of(ann.take_one()) == "bad-request"
    assert ann.session.presence is None


@pytest.mark.parametrize("to", ["", "to='bob@localhost'"])
def test_an_unknown_type_of_presence(ann, error_of, to):
    ann.send(f"<presence type='nonsense' {to}/>")
    assert error_of(ann.take_one()) == "bad-request"


def test_a_probe_is_answered_to_those_who_may_know(town):
    town.friends("ann", "bob")
    ann, cat = town.client("ann@localhost/a"), town.client("cat@localhost/c")
    town.client("bob@localhost/b").available()
    ann.send("<presence type='probe' to='bob@localhost'/>")
    assert seen(ann) == [("bob@localhost/b", None)]
    cat.send("<presence type='probe' to='bob@localhost'/>")
    assert seen(cat) == []  # "unsubscribed" is for those whose roster says otherwise


# --- subscriptions ------------------------------------------------------------------------------


def test_asking_granting_and_ending(ann, bob):
    roster(ann), roster(bob)
    ann.available(), bob.available()
    ann.send("<presence type='subscribe' to='bob@localhost/ignored' id='1'/>")
    assert pushes(ann) == [{"subscription": "none", "ask": "subscribe"}]
    request = bob.take_one()
    assert (request.attrs["from"], request.attrs["to"]) == ("ann@localhost", "bob@localhost")
    bob.send("<presence type='subscribed' to='ann@localhost'/>")
    assert pushes(bob) == [{"subscription": "from"}]
    arrived = ann.take()
    assert [(each.name, each.attrs.get("type")) for each in arrived] == [
        ("presence", "subscribed"),
        ("iq", "set"),
        ("presence", None),
    ]
    assert arrived[0].attrs["from"] == "bob@localhost"
    assert arrived[2].attrs["from"] == "bob@localhost/b"
    bob.send("<presence type='unsubscribed' to='ann@localhost'/>")
    assert pushes(bob) == [{"subscription": "none"}]
    arrived = ann.take()
    assert [
        (each.attrs["from"], each.attrs.get("type")) for each in arrived if each.name == "presence"
    ] == [
        ("bob@localhost", "unsubscribed"),
        ("bob@localhost/b", "unavailable"),
    ]


def test_the_contact_is_told_when_the_subscriber_leaves(town):
    town.friends("ann", "bob")
    ann, bob = town.client("ann@localhost/a"), town.client("bob@localhost/b")
    roster(bob)
    bob.available(), ann.available()
    bob.take()
    ann.send("<presence type='unsubscribe' to='bob@localhost'/>")
    assert seen(ann) == [("bob@localhost/b", "unavailable")]
    assert pushes(bob) == [{"subscription": "to"}]


def test_a_request_waits_until_it_is_answered(town, ann):
    ann.send("<presence type='subscribe' to='bob@localhost'><status>it is me</status></presence>")
    for _ in range(2):
        bob = town.client("bob@localhost/b")
        assert roster(bob) == {}
        bob.send("<presence/>")
        [request] = [each for each in bob.take() if each.attrs.get("type") == "subscribe"]
        assert request.child("jabber:client", "status").text() == "it is me"
        bob.lose()
    bob = town.client("bob@localhost/b")
    bob.send("<presence type='unsubscribed' to='ann@localhost'/><presence/>")
    assert seen(bob) == [("bob@localhost/b", None)]
    assert roster(bob) == {}


def test_a_long_request_is_kept_without_its_content(town, ann):
    ann.send(
        f"<presence type='subscribe' to='bob@localhost'><status>{'x' * 9_000}</status></presence>"
    )
    [request] = town.store.requests("bob@localhost")
    assert len(request) < 300


def test_who_is_already_subscribed_is_answered_at_once(town):
    town.friends("ann", "bob")
    town.store.delete_roster_item("ann@localhost", "bob@localhost")
    ann, bob = town.client("ann@localhost/a"), town.client("bob@localhost/b").available()
    roster(ann)
    ann.send("<presence type='subscribe' to='bob@localhost'/>")
    assert pushes(ann) == [{"subscription": "none", "ask": "subscribe"}, {"subscription": "to"}]
    assert bob.take() == []


def test_a_grant_that_nobody_asked_for_goes_nowhere(ann, bob):
    roster(ann)
    ann.available()
    bob.send("<presence type='subscribed' to='ann@localhost'/>")
    assert ann.take() == bob.take() == []
    assert roster(ann) == roster(bob) == {}


@pytest.mark.parametrize("to", ["nobody@localhost", "ann@localhost"])
def test_asking_nobody_or_oneself(ann, to):
    ann.send(f"<presence type='subscribe' to='{to}'/>")
    assert ann.take() == []


def test_asking_on_another_server(ann, error_of):
    ann.send("<presence type='subscribe' to='x@example.org'/>")
    assert error_of(ann.take_one()) == "remote-server-not-found"
    assert roster(ann) == {}


# --- the roster ---------------------------------------------------------------------------------


def test_a_contact_is_added_changed_and_removed(town, ann):
    second, third = (town.client(f"ann@localhost/{i}") for i in (2, 3))
    roster(second)
    put(
        ann,
        "<item jid='Bob@localhost/x' name='Bob &amp; co'><group>1</group><group>2</group></item>",
    )
    assert ann.take_one().attrs["type"] == "result"
    assert pushes(second) == [{"subscription": "none", "name": "Bob & co"}]
    assert third.take() == []
    item = roster(ann)["bob@localhost"]
    assert [each.text() for each in item.elements()] == ["1", "2"]
    put(ann, "<item jid='bob@localhost'/>")
    assert "name" not in roster(ann)["bob@localhost"].attrs
    put(ann, "<item jid='bob@localhost' subscription='remove'/>")
    assert pushes(second)[-1] == {"subscription": "remove"}
    assert roster(ann) == {}


def test_a_subscription_is_not_given_by_a_roster_set(ann):
    put(ann, "<item jid='bob@localhost' subscription='both' ask='subscribe'/>")
    assert roster(ann)["bob@localhost"].attrs == {"jid": "bob@localhost", "subscription": "none"}


def test_removing_a_contact_ends_both_subscriptions(town):
    town.friends("ann", "bob")
    ann, bob = town.client("ann@localhost/a"), town.client("bob@localhost/b")
    roster(ann), roster(bob)
    ann.available(), bob.available()
    ann.take(), bob.take()
    put(ann, "<item jid='bob@localhost' subscription='remove'/>")
    assert pushes(ann)[-1] == {"subscription": "remove"}
    assert roster(ann) == {}
    assert roster(bob)["ann@localhost"].attrs["subscription"] == "none"
    assert town.store.watchers("bob@localhost") == []


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("", "bad-request"),
        ("<item jid='a@localhost'/><item jid='b@localhost'/>", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='a@b@c'/>", "jid-malformed"),
        ("<item jid='bob@localhost'><group>a</group><group>a</group></item>", "bad-request"),
        ("<item jid='bob@localhost'><group/></item>", "not-acceptable"),
        (f"<item jid='bob@localhost' name='{'x' * 1024}'/>", "not-acceptable"),
        ("<item jid='bob@localhost' subscription='remove'/>", "item-not-found"),
    ],
)
def test_a_roster_set_that_is_refused(ann, error_of, item, expected):
    put(ann, item)
    assert error_of(ann.take_one()) == expected
    assert roster(ann) == {}


def test_a_roster_has_an_end(ann, bob, error_of):
    for i in range(4):
        put(ann, f"<item jid='x{i}@localhost'/>")
    ann.take()
    put(ann, "<item jid='x9@localhost'/>")
    assert error_of(ann.take_one()) == "resource-constraint"
    ann.send("<presence type='subscribe' to='bob@localhost'/>")
    assert error_of(ann.take_one()) == "resource-constraint"
    bob.send("<presence type='subscribe' to='ann@localhost'/>")
    bob.available()
    assert len(roster(ann)) == 4


@pytest.mark.parametrize("kind", ["get", "set"])
def test_nobody_reads_or_writes_another_roster(ann, error_of, kind):
    item = "<item jid='cat@localhost'/>"
    ann.send(
        f"<iq type='{kind}' id='1' to='bob@localhost'><query xmlns='{ROSTER}'>{item}</query></iq>"
    )
    assert error_of(ann.take_one()) == "forbidden"
