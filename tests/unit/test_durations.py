"""Durations as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot.durations import brief, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-70, "0 s"),
        (0, "0 s"),
        (8.9, "8 s"),
        (60, "1 min"),
        (185, "3 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (356400, "4 d 3 h"),
    ],
)
def test_in_a_sentence(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-70, "0 ms"),
        (0, "0 ms"),
        (0.0004, "<1 ms"),
        (0.0026, "3 ms"),
        (0.9996, "1.0 s"),
        (2.54, "2.5 s"),
        (87, "87 s"),
        (750, "12 min"),
        (9000, "2 h"),
        (356400, "4 d"),
    ],
)
def test_in_a_table(seconds, text):
    assert brief(seconds) == text


@given(st.floats(0, 9999 * 86_400))
def test_a_table_has_room_for_each(seconds):
    assert len(brief(seconds)) <= 6
