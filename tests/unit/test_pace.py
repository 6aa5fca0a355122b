"""How fast one person may talk."""

from hypothesis import given
from hypothesis import strategies as st

from jabot.pace import Pace


def test_a_thousand_lines_in_a_second():
    pace = Pace(burst=50, rate=10)
    taken = [n for n in range(1000) if pace.take("alice", 100 + n / 1000)]
    assert taken[:50] == list(range(50))
    assert len(taken) == 59  # and what came back within the second
    assert pace.dropped("alice") == 941


def test_one_persons_flood_does_not_slow_another():
    pace = Pace(burst=1, rate=1)
    assert pace.take("alice", 0)
    assert not pace.take("alice", 0)
    assert pace.take("bob", 0)


def test_tokens_come_back_to_the_burst_and_no_further():
    pace = Pace(burst=3, rate=1)
    assert [pace.take("a", 0) for _ in range(4)] == [True, True, True, False]
    assert [pace.take("a", 2) for _ in range(3)] == [True, True, False]
    assert [pace.take("a", 1000) for _ in range(4)] == [True, True, True, False]


def test_dropped_lines_are_forgiven():
    pace = Pace(burst=1, rate=1)
    for _ in range(4):
        pace.take("a", 0)
    assert (pace.dropped("a"), pace.forgive("a")) == (3, 3)
    assert (pace.dropped("a"), pace.forgive("a"), pace.forgive("nobody")) == (0, 0, 0)


def test_the_longest_silent_names_are_forgotten():
    pace = Pace(burst=1, rate=0.001, names=2)
    pace.take("a", 0)
    pace.take("b", 1)
    assert not pace.take("a", 2)
    pace.take("c", 3)  # forgets b
    assert not pace.take("a", 4)
    assert pace.take("b", 5)


@given(st.lists(st.floats(0, 10), max_size=200), st.integers(1, 20), st.integers(1, 20))
def test_never_more_than_the_burst_and_the_rate(pauses, burst, rate):
    pace, now, taken = Pace(burst, rate), 0.0, 0
    for pause in pauses:
        now += pause
        taken += pace.take("a", now)
        assert taken <= burst + rate * now + 1e-6
    assert taken + pace.dropped("a") == len(pauses)
