"""Which node a job goes to."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot.errors import ConfigError
from jabot.peers import Peer, Peers, check_labels

POOL = "bot@localhost"


@pytest.fixture
def flying():
    """How many jobs of ours each node has."""
    return collections.Counter()


@pytest.fixture
def peers(flying):
    return Peers(lambda jid: flying[jid])


def peer(name, **fields):
    return Peer(f"{POOL}/{name}", **{"tasks": frozenset(["lift"]), "slots": 4} | fields)


def chosen(peers, *names, **options):
    found = peers.choose(POOL, options.pop("task", "lift"), options.pop("where", {}), **options)
    return None if found is None else found.jid.partition("/")[2]


def test_the_least_loaded_for_its_size(peers, flying):
    peers.saw(peer("small", slots=1, running=1))
    peers.saw(peer("large", slots=100, running=50, waiting=0))
    assert {chosen(peers) for _ in range(4)} == {"large"}
    flying[f"{POOL}/large"] += 60
    assert {chosen(peers) for _ in range(4)} == {"small"}


def test_own_jobs_count_at_once_and_not_twice(peers, flying):
    for name in "ab":
        peers.saw(peer(name))
    for _ in range(20):
        flying[peers.choose(POOL, "lift", {}).jid] += 1
    assert set(flying.values()) == {10}
    # When it tells them itself, they are not others' jobs as well.
    peers.saw(peer("a", running=4, waiting=6))
    flying[f"{POOL}/a"] -= 1
    assert chosen(peers) == "a"
    # But these are.
    peers.saw(peer("a", running=4, waiting=20))
    flying[f"{POOL}/b"] += 3
    assert chosen(peers) == "b"
    assert not peers.is_free(f"{POOL}/b")


def test_a_queue_takes_jobs_also_when_its_workers_are_busy(peers):
    peers.saw(Peer(f"{POOL}/a", running=8, slots=8, queue=True))
    assert peers.is_free(f"{POOL}/a")


def test_equals_take_turns(peers):
    for name in "abc":
        peers.saw(peer(name))
    assert {chosen(peers) for _ in range(3)} == {"a", "b", "c"}


@pytest.mark.parametrize("count", [2, 8, 9, 20, 200])
def test_work_is_spread_within_a_factor_of_two(peers, flying, count):
    for number in range(count):
        peers.saw(peer(f"n{number}"))
    for _ in range(50 * count):
        flying[peers.choose(POOL, "lift", {}).jid] += 1
    assert len(flying) == count
    assert max(flying.values()) <= 2 * min(flying.values())


def test_who_offers_the_task(peers):
    peers.saw(peer("a", tasks=frozenset(["wave"])))
    peers.saw(peer("b"))
    assert {chosen(peers) for _ in range(4)} == {"b"}
    assert chosen(peers, task="nope") is None
    anyone = peers.choose(POOL, "nope", {}, offering=False)  # whoever it is knows why not
    assert anyone.jid in (f"{POOL}/a", f"{POOL}/b")
    peers.saw(Peer(f"{POOL}/silent"))  # tells no names: perhaps
    assert {chosen(peers) for _ in range(4)} == {"b", "silent"}


def test_labels(peers):
    peers.saw(peer("a", labels={"gpu": "a100", "rack": "1"}))
    peers.saw(peer("b", labels={"gpu": "h100", "rack": "1"}))
    peers.saw(peer("c"))
    assert chosen(peers, where={"gpu": "h100"}) == "b"
    assert chosen(peers, where={"gpu": ["h100", "b200"], "rack": "1"}) == "b"
    assert {chosen(peers, where={"rack": ("1", "2")}) for _ in range(4)} == {"a", "b"}
    assert chosen(peers, where={"gpu": "a100", "rack": "2"}) is None
    assert chosen(peers, where={"gpu": "a"}) is None  # the whole value counts
    peers.saw(peer("c", labels={"gpu": "a"}))
    assert chosen(peers, where={"gpu": "a"}) == "c"


def test_those_to_be_avoided_and_those_who_left(peers):
    for name in "ab":
        peers.saw(peer(name))
    assert {chosen(peers, avoid={f"{POOL}/a"}) for _ in range(4)} == {"b"}
    assert chosen(peers, avoid={f"{POOL}/a", f"{POOL}/b"}) is None
    assert peers.gone(f"{POOL}/b")
    assert not peers.gone(f"{POOL}/b")
    assert chosen(peers) == "a"
    assert (f"{POOL}/a" in peers, f"{POOL}/b" in peers) == (True, False)
    peers.gone(f"{POOL}/a")
    assert chosen(peers) is None
    assert peers.at(POOL) == []


def test_a_full_address_is_that_node_alone(peers):
    for name in "ab":
        peers.saw(peer(name))
    for name in "ab":
        assert peers.choose(f"{POOL}/{name}", "lift", {}).jid == f"{POOL}/{name}"
        assert peers.at(f"{POOL}/{name}") == [peer(name)]
    assert peers.choose(f"{POOL}/c", "lift", {}) is None
    assert len(peers.at(POOL)) == 2


def test_news_is_what_a_node_offers_and_not_its_load(peers):
    assert peers.saw(peer("a"))
    assert not peers.saw(peer("a", running=3, waiting=2))
    assert peers.get(f"{POOL}/a").load == 1.25
    assert peers.saw(peer("a", tasks=frozenset(["lift", "wave"])))
    assert chosen(peers, task="wave") == "a"
    assert peers.saw(peer("a", labels={"gpu": "a100"}))
    assert peers.saw(peer("a", slots=8))


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"running": "", "slots": "-1", "waiting": "many"},
        {"running": "٣", "slots": "1e3", "waiting": "9" * 400},
        {"labels": "", "tasks": ""},
        {"since": "5", "color": "green"},
    ],
)
def test_nonsense_in_a_presence_counts_as_left_out(attributes):
    before = Peer("b@x/y", frozenset(), 1, 2, 3, "v", {})
    assert Peer.read("b@x/y", attributes, before) == before


def test_what_is_left_out_is_as_before():
    before = Peer("b@x/y", frozenset(["lift"]), 1, 2, 3, "v", {"gpu": "a100"})
    now = Peer.read("b@x/y", {"running": "7"}, before)
    assert (now.running, now.waiting, now.tasks, now.labels) == (7, 2, {"lift"}, {"gpu": "a100"})
    odd = Peer.read("b@x/y", {"labels": "a=1 b c=%ZZ =4 a=5", "slots": "0"}, None)
    assert odd.labels["a"] == "5"
    assert odd.load == 0  # and no division by its slots


WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=20
).filter(lambda text: len(text.split()) == 1)
LABELS = st.dictionaries(
    st.text(min_size=1, max_size=64).filter(lambda t: t.isprintable()),
    st.text(min_size=1, max_size=64).filter(lambda t: t.isprintable()),
    max_size=32,
)
COUNTS = st.integers(0, 999_999_999)


@given(st.none() | st.frozensets(WORDS, max_size=50), COUNTS, COUNTS, COUNTS, WORDS, LABELS)
def test_attributes_and_back(tasks, running, waiting, slots, version, labels):
    told = Peer("b@x/y", tasks, running, waiting, slots, version, labels)
    assert Peer.read("b@x/y", told.attributes()) == told


def test_more_names_than_a_presence_holds_are_not_told():
    names = frozenset(f"task-{number}" for number in range(5000))
    assert Peer.read("b@x/y", Peer("b@x/y", names).attributes()).tasks is None


@pytest.mark.parametrize("labels", [{"": "x"}, {"x": ""}, {"x": "y" * 65}, {"x": 1}, {5: "x"}])
def test_labels_that_cannot_be(labels):
    with pytest.raises(ConfigError, match="label"):
        check_labels(labels)


def test_too_many_labels():
    with pytest.raises(ConfigError, match="at most 32"):
        check_labels({str(number): "x" for number in range(33)})


def test_a_queue_goes_before_the_workers_of_its_account(peers):
    peers.saw(peer("worker", labels={"gpu": "a100"}))
    assert chosen(peers, queue=True) is None
    peers.saw(peer("queue", queue=True, running=400))
    assert chosen(peers) == chosen(peers, where={"gpu": "a100"}) == "queue"  # it has no labels
    assert chosen(peers, queue=True) == "queue"
    assert chosen(peers, avoid={f"{POOL}/queue"}) is None
    peers.gone(f"{POOL}/queue")
    assert chosen(peers) == "worker"


def test_a_queue_says_so():
    attributes = peer("queue", queue=True).attributes()
    assert attributes["queue"] == "1"
    seen = Peer.read(f"{POOL}/queue", attributes)
    assert seen.queue
    assert Peer.read(f"{POOL}/queue", {"running": "5"}, seen).queue  # as before
    assert not Peer.read(f"{POOL}/worker", peer("worker").attributes()).queue
    assert not Peer.read(f"{POOL}/worker", {"queue": "yes"}).queue
