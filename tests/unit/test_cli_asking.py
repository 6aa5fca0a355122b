"""How commands ask a queue."""

import pytest

from jabot import RemoteProtocolError, UnknownTask
from jabot.cli.asking import Queue
from unit.answering import Answering


def queue(answer):
    return Queue(Answering(answer), "jobs@example.org", "ann@example.org")


async def test_an_answer_is_an_object_of_its_kind():
    assert await queue(3).ask("purge", int) == 3


@pytest.mark.parametrize("answer", [{"deleted": 3}, "3", [], None, 2.5])
async def test_an_answer_of_another_kind_is_an_error_that_says_so(answer):
    with pytest.raises(RemoteProtocolError, match=r"jobs@example.org does not answer queue.purge"):
        await queue(answer).ask("purge", int)


async def test_whoever_does_not_know_the_question_is_no_queue():
    with pytest.raises(UnknownTask, match=r"jobs@example.org is no queue"):
        await queue(UnknownTask("queue.purge")).ask("purge", int)
