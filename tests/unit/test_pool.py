"""A pool agrees on who answers."""

from hypothesis import given
from hypothesis import strategies as st

from jabot.jid import JID
from jabot.pool import Pool


def jid(number):
    return JID(f"bot@localhost/n{number}")


def pool_of(since):
    """Nodes that have all seen each other; `since` maps their numbers to their joining times."""
    pools = {}
    for me in since:
        pool = Pool()
        pool.join(jid(me), since[me])
        for other in since:
            if other != me:
                pool.saw(jid(other), since[other])
        pools[me] = pool
    return pools


@given(st.dictionaries(st.integers(0, 50), st.integers(1, 5), min_size=1, max_size=8))
def test_exactly_one_of_any_set_of_nodes_answers(since):
    assert sum(pool.answers for pool in pool_of(since).values()) == 1


@given(
    st.dictionaries(st.integers(0, 50), st.integers(1, 5), min_size=2, max_size=8),
    st.data(),
)
def test_when_nodes_leave_exactly_one_of_the_rest_answers(since, data):
    pools = pool_of(since)
    gone = data.draw(st.sets(st.sampled_from(sorted(since)), max_size=len(since) - 1))
    senior = next(n for n, p in pools.items() if p.answers)
    rest = {n: p for n, p in pools.items() if n not in gone}
    for pool in rest.values():
        for number in gone:
            pool.saw(jid(number), None)
    answering = [n for n, p in rest.items() if p.answers]
    assert len(answering) == 1
    if senior not in gone:
        assert answering == [senior]


@given(st.dictionaries(st.integers(0, 50), st.tuples(st.integers(1, 5), st.booleans()), min_size=1))
def test_a_queue_answers_before_its_workers(nodes):
    answering = []
    for me, (since, is_queue) in nodes.items():
        pool = Pool(is_queue=is_queue)
        pool.join(jid(me), since)
        for other, (their, queue) in nodes.items():
            if other != me:
                pool.saw(jid(other), their, is_queue=queue)
        if pool.answers:
            answering.append(is_queue)
    assert answering == [any(is_queue for _, is_queue in nodes.values())]


def test_a_queue_knows_that_a_worker_answered_before_it():
    queue, worker = Pool(is_queue=True), Pool()
    for pool in (queue, worker):
        pool.saw(jid("worker"), 5)
        assert not pool.has_place
        pool.join(jid("new"), 9)
        assert pool.has_place
    assert queue.took_over
    assert not worker.took_over
    queue.saw(jid("worker"), None)
    assert not queue.took_over


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=8), st.integers(0, 10**13))
def test_a_newcomer_is_never_the_senior_whatever_its_clock_says(others, now):
    pool = Pool()
    for number, since in enumerate(others):
        pool.saw(jid(number), since)
    announced = pool.join(jid("new"), now)
    assert not pool.answers
    assert announced > max(others)
    assert announced >= now


def test_alone_one_answers_only_after_joining_and_not_after_leaving():
    pool = Pool()
    assert not pool.answers
    assert pool.join(jid(1), 5) == 5
    assert pool.answers
    pool.leave()
    assert not pool.answers


def test_a_node_without_seniority_does_not_count():
    pool = Pool()
    pool.saw(jid(2), 1)
    pool.join(jid(1), 5)
    assert not pool.answers
    pool.saw(jid(2), None)
    assert pool.answers
    pool.saw(jid(3), None)  # never heard of
    assert pool.answers


def test_two_of_the_same_instant_are_told_apart_by_their_addresses():
    first, second = pool_of({1: 7, 2: 7}).values()
    assert (first.answers, second.answers) == (True, False)


def test_the_others_are_listed_by_seniority():
    pool = Pool()
    for number, since in ((1, 30), (2, 10), (3, 20)):
        pool.saw(jid(number), since)
    assert pool.others == [jid(2), jid(3), jid(1)]
    pool.leave()
    assert pool.others == []


@given(st.dictionaries(st.integers(0, 50), st.integers(1, 5), min_size=2, max_size=8), st.data())
def test_a_node_that_stops_lets_others_answer_as_long_as_there_are_any(since, data):
    pools = pool_of(since)
    stopping = data.draw(st.sets(st.sampled_from(sorted(since))))
    for number in stopping:
        told = pools[number].step_back()
        assert pools[number].step_back() == told
        for other, pool in pools.items():
            if other != number:
                pool.saw(jid(number), told)
    [answering] = [n for n, p in pools.items() if p.answers]
    assert answering not in stopping or stopping == set(since)


@given(st.integers(1, 10**13), st.integers(1, 10**13))
def test_a_newcomer_goes_before_a_node_that_stops(first, second):
    old, new = Pool(), Pool()
    old.join(jid(1), first)
    new.saw(jid(1), old.step_back())
    old.saw(jid(2), new.join(jid(2), second))
    assert (old.answers, new.answers) == (False, True)


def test_a_node_that_has_not_joined_steps_back_when_it_does():
    pool = Pool()
    assert pool.step_back() is None
    pool.saw(jid(2), 5)
    pool.join(jid(1), 1)
    pool.saw(jid(2), 10**13)
    assert not pool.answers
