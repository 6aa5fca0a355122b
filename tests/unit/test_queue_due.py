"""When something is to be looked at about a job."""

import pytest

from jabot.protocol.options import JobOptions, Lane
from jabot.queue.due import due, first_look

NOW = 1000.0


@pytest.mark.parametrize(
    ("options", "timeout", "moment"),
    [
        ({}, None, None),
        ({}, 5.0, 1005.0),
        ({"delay": 60.0}, None, 1060.0),
        ({"delay": 60.0}, 5.0, 1005.0),  # its caller's time is over before it may begin
        ({"delay": 3.0, "expires": 2.0}, 4.0, 1003.0),
        ({"at": 1010.0, "delay": 3.0}, None, 1010.0),
        ({"at": 10.0}, None, None),
        ({"expires": 2.0}, 5.0, 1002.0),
        ({"lane": Lane("api", slots=1)}, None, 1000.0),
    ],
)
def test_the_first_moment(options, timeout, moment):
    assert first_look(JobOptions(**options), NOW, timeout) == moment


def test_it_is_due_at_the_later_of_two_moments():
    assert due(JobOptions(delay=5.0, at=1003.0), NOW) == 1005.0
    assert due(JobOptions(delay=5.0, at=1010.0), NOW) == 1010.0
