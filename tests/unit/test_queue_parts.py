"""The small parts of a queue that judge a submit, each alone."""

import pytest
from msgspec import Raw

from jabot.access import Access
from jabot.errors import NotAllowed
from jabot.jid import JID
from jabot.protocol.frames import Submit
from jabot.protocol.options import NO_OPTIONS, JobOptions, Lane, RetryOptions
from jabot.queue.arrivals import refusal
from jabot.queue.defaults import with_defaults
from jabot.queue.ready import Ready
from jabot.queue.rights import Rights
from jabot.queue.store.verbs import Add, Added

# -- options that the author of a task completes ---------------------------------------------------


def completed(options=NO_OPTIONS, defaults=None, args=b"[]", kwargs=b"{}"):
    return with_defaults(options, defaults, Submit("j1", "lift", Raw(args), Raw(kwargs)))


def test_what_is_left_out_is_as_the_author_says():
    author = JobOptions(priority=5, expires=9.0, retry=RetryOptions(3), key="k", delay=4.0)
    mine = completed(JobOptions(priority=0), author)
    assert (mine.priority, mine.expires, mine.retry) == (0, 9.0, RetryOptions(3))
    assert (mine.key, mine.delay) == (None, 0.0)  # those are the submitter's own
    assert completed() is NO_OPTIONS


def test_one_of_this_task_with_these_arguments():
    unique = JobOptions(unique="*")
    name = completed(unique).unique
    assert name.startswith("lift ")
    assert completed(unique).unique == name
    others = {completed(unique, args=b"[1]").unique, completed(unique, kwargs=b'{"a":1}').unique}
    assert len(others | {name}) == 3
    assert completed(JobOptions(unique="mine")).unique == "mine"
    assert completed(defaults=unique).unique == name


def test_a_lane_of_this_task():
    assert completed(JobOptions(lane=Lane("*", slots=2))).lane == Lane("lift", slots=2)
    assert completed(JobOptions(lane=Lane("crane", slots=2))).lane == Lane("crane", slots=2)


# -- kinds that are ready --------------------------------------------------------------------------


def test_a_newer_word_outlives_a_claim():
    looks = []
    ready = Ready(lambda: looks.append(1), lambda: None)
    ready.look_for()
    assert looks == []  # there is nothing to look for
    ready.look_for("a", "b")
    words = ready.words
    ready.look_for("b")
    ready.exhausted(["a", "b", "never said"], words)
    assert ready.kinds == ["b"]
    ready.exhausted(["b"], ready.words)
    assert ready.kinds == []
    assert len(looks) == 2


def test_kinds_that_the_store_has_no_more_are_forgotten_when_there_are_many():
    """Nobody claims what no worker does: else they would be known for ever."""
    asked = []
    ready = Ready(lambda: None, lambda: asked.append(ready.words), few=3)
    ready.look_for("a", "b", "c")
    assert asked == []
    ready.look_for("d")
    ready.look_for("e")  # after the question was put
    assert asked == [1]
    ready.are_all(["a", "f"], asked.pop())
    assert sorted(ready.kinds) == ["a", "d", "e", "f"]  # the job of "d" may have come after it, too
    for number in range(4):
        ready.look_for(f"more {number}")
    assert asked == []  # not before there are twice as many
    ready.look_for("one more")
    assert asked == [ready.words - 1]
    ready.look_for("again")  # while there is no answer
    assert len(asked) == 1


# -- words of refusal ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key": "k"}, "the key 'k': 10,000 submits are one job"),
        ({"unique": "u"}, "unique: 10,000"),
    ],
)
def test_a_submit_that_is_one_too_many_of_its_key_names_it(options, said):
    add = Add("j9", "a@x", "t", Raw(b"[]"), Raw(b"{}"), JobOptions(**options), {}, 0.0)
    text = refusal(add, Added("j1", refused="too_many_same", detail="10000"))
    assert text.startswith(said)
    assert "already, j1, " in text


# -- rights ----------------------------------------------------------------------------------------


def test_who_may_do_what_at_a_queue():
    access = Access({"app@x": ["lift"], "all@x": "*"})
    rights = Rights(lambda: JID("jobs@x/1"), access, Access(manage=["bot@x"]))
    rights.check("app@x/1", "lift")
    with pytest.raises(NotAllowed, match="you may not run dance: "):
        rights.check("app@x/1", "dance")
    assert rights.may_call("app@x/1")
    assert not rights.may_call("bot@x/1")
    assert [rights.may_work(who) for who in ("bot@x", "app@x", "jobs@x")] == [True, False, True]
    known = ("app@x/1", "bot@x/1", "eve@x/1", "jobs@x/2")
    assert [rights.knows(JID(who)) for who in known] == [True, True, False, True]
