"""What is known of the tasks of workers."""

from msgspec import Raw

from jabot.protocol.options import NO_OPTIONS, JobOptions, Lane, RetryOptions
from jabot.queue.store.records import TaskWord
from jabot.queue.store.verbs import Learn, Tasks

DAY = 86_400.0
LIFT = TaskWord(
    "lift",
    JobOptions(retry=RetryOptions(3), priority=5, lane=Lane("*", slots=2)),
    "v1",
    Raw('{"doc":"Hebt \\u0000 山","args":{"n":1.10},"result":{}}'.encode()),
)


async def known(queue):
    return {word.name: word for word in await queue.do(Tasks())}


async def learn(queue, *words, now=0.0, **more):
    return await queue.do(Learn(list(words), now, **more))


async def test_a_word_is_kept_as_it_was_said(queue):
    assert await known(queue) == {}
    assert await learn(queue, LIFT, TaskWord("carry", NO_OPTIONS), now=7.0) == []
    carry, lift = await queue.do(Tasks())
    assert carry == TaskWord("carry", NO_OPTIONS, learned=7.0)
    assert (lift.options, lift.version, lift.learned) == (LIFT.options, "v1", 7.0)
    assert bytes(lift.description) == bytes(LIFT.description)
    assert await queue.store.read(Tasks()) == [carry, lift]


async def test_the_newest_word_holds(queue):
    newer = TaskWord("lift", NO_OPTIONS, "v2", Raw(b'{"doc":"new"}'))
    await learn(queue, LIFT)
    await queue.do(Learn([newer], 1.0), Learn([LIFT], 2.0), Learn([newer], 3.0))
    word = (await known(queue))["lift"]
    assert (word.options, word.version, word.learned) == (NO_OPTIONS, "v2", 3.0)
    assert bytes(word.description) == b'{"doc":"new"}'


async def test_what_is_not_described_keeps_its_description(queue):
    await learn(queue, LIFT)
    await learn(queue, TaskWord("lift", JobOptions(priority=9), "v2"), now=1.0)
    word = (await known(queue))["lift"]
    assert (word.options.priority, word.version, word.learned) == (9, "v1", 1.0)
    assert bytes(word.description) == bytes(LIFT.description)


async def test_what_nobody_speaks_of_is_forgotten(queue):
    await learn(queue, LIFT, TaskWord("carry", NO_OPTIONS))
    assert await learn(queue, LIFT, now=29 * DAY) == []
    assert await learn(queue, LIFT, now=31 * DAY) == ["carry"]
    assert list(await known(queue)) == ["lift"]


async def test_there_is_an_end_to_how_many_are_kept(queue):
    first = [TaskWord(name, NO_OPTIONS) for name in "abc"]
    assert await learn(queue, *first, most=3) == []
    assert await learn(queue, TaskWord("b", NO_OPTIONS), now=1.0, most=3) == []
    gone = await learn(queue, TaskWord("d", NO_OPTIONS), TaskWord("e", NO_OPTIONS), now=2.0, most=3)
    assert sorted(gone) == ["a", "c"]
    assert list(await known(queue)) == ["b", "d", "e"]


async def test_a_thousand_tasks_are_kept(queue):
    words = [TaskWord(f"t{number:04}", NO_OPTIONS) for number in range(1001)]
    assert await learn(queue, *words[:1000]) == []
    assert await learn(queue, words[1000], now=1.0) == ["t0999"]


async def test_other_things_are_done_beside_it(queue):
    await queue.do(Learn([LIFT], 0.0), Tasks(), Learn([], 0.0))
    assert list(await known(queue)) == ["lift"]
