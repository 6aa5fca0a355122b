"""The room of the tests of chat: Alice may do all there, and Bob lift."""

import pytest

from unit.fakes import Room, lift


@pytest.fixture
def room(clock):
    made = Room()
    made.task(lift)
    return made
