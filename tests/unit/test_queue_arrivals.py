"""When something is to be looked at about a job that comes in."""

import pytest

from jabot.protocol.frames import Submit
from jabot.protocol.options import JobOptions, Lane
from jabot.queue.arrivals import Arrivals
from jabot.queue.ready import Ready

NOW = 1000.0


def moments(options, timeout=None):
    """When a job is due, and the moments at which something is to be looked at."""
    looks = []
    ready = Ready(lambda: None, lambda: None)
    arrivals = Arrivals(ready, {}, looks.append, 9, wall=lambda: NOW)
    job = arrivals.job(Submit("j1", "lift", timeout=timeout), JobOptions(**options), "app@x")
    arrivals.expect(job)
    return job.due, looks


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
    _, looks = moments(options, timeout)
    assert looks == ([] if moment is None else [moment])


def test_it_is_due_at_the_later_of_two_moments():
    assert moments({"delay": 5.0, "at": 1003.0})[0] == 1005.0
    assert moments({"delay": 5.0, "at": 1010.0})[0] == 1010.0
