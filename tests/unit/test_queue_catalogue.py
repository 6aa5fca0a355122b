"""What a queue learns of its workers' tasks."""

import asyncio
import logging

import msgspec
import pytest

from jabot.errors import StoreUnavailable, WorkerLost
from jabot.protocol.options import NO_OPTIONS, JobOptions
from jabot.queue.catalogue import Catalogue
from jabot.queue.store.verbs import MOST_TASKS, Learn
from jabot.tasks import Description, Task
from jabot.tasks.description import describe
from unit.clock import turns

A, B = "bot@x/1", "bot@x/2"
FIRST = JobOptions(priority=5)
NUMBER = {"type": "object", "properties": {"reps": {"type": "integer"}}, "required": ["reps"]}
DAY = 86_400.0


def described(doc="Lift.", **more):
    return Description(doc, {**NUMBER, "additionalProperties": False}, {}, **more)


class Around:
    """A catalogue, a store that keeps what it is told, and workers that describe."""

    def __init__(self):
        self.kept = {}
        self.verbs = []
        self.forgets = []
        self.down = False
        self.answers = {A: {"lift": described()}, B: {"lift": described()}}
        self.asked = []
        self.changes = 0
        self.now = 0.0
        self.catalogue = Catalogue(self, self.ask, self.changed, wall=lambda: self.now)

    def do(self, verb, done, failed=lambda _: None):
        self.verbs.append(verb)
        if self.down:
            failed(StoreUnavailable("full"))
            return
        if isinstance(verb, Learn):
            for word in verb.words:
                old = self.kept.get(word.name)
                if word.description is None and old is not None:
                    word = msgspec.structs.replace(
                        word, version=old.version, description=old.description
                    )
                self.kept[word.name] = word
            forgotten, self.forgets = self.forgets, []
            for name in forgotten:
                del self.kept[name]
            done(forgotten)
        else:
            done(sorted(self.kept.values(), key=lambda word: word.name))

    async def ask(self, peer):
        self.asked.append(peer)
        await asyncio.sleep(0)
        answer = self.answers[peer]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def changed(self):
        self.changes += 1

    async def spoke(self, peer=A, version="v1", **tasks):
        before = len(self.verbs)
        self.catalogue.spoke(peer, version, tasks or {"lift": FIRST})
        await turns()
        return len(self.verbs) - before

    def again(self):
        """Another process on the same store."""
        other = Around()
        other.kept = self.kept
        other.catalogue.load(sorted(self.kept.values(), key=lambda word: word.name))
        return other


@pytest.fixture
def around():
    return Around()


async def test_what_a_worker_says_holds_at_once_and_is_kept(around):
    around.catalogue.spoke(A, "v1", {"lift": FIRST})
    assert around.catalogue.defaults == {"lift": FIRST}
    await turns()
    assert around.asked == [A]
    assert around.catalogue.offer("lift").usage == "lift reps"
    other = around.again()
    assert other.catalogue.defaults == {"lift": FIRST}
    assert other.catalogue.offer("lift").usage == "lift reps"
    assert other.catalogue.version == around.catalogue.version
    assert await other.spoke() == 0  # it knows that version
    assert other.asked == []


async def test_the_same_word_again_is_no_news(around):
    assert await around.spoke() == 2  # the options, then the description
    assert await around.spoke() == 0
    assert await around.spoke(B) == 0
    assert around.asked == [A]
    around.now = DAY
    assert await around.spoke() == 1  # it is still there
    assert around.kept["lift"].learned == DAY
    assert around.kept["lift"].description is not None


async def test_the_newest_word_of_any_worker_holds(around):
    await around.spoke()
    around.answers[B] = {"lift": described("Hoist.", done="{result}!")}
    assert await around.spoke(B, "v2", lift=NO_OPTIONS) == 2
    assert around.catalogue.defaults == {"lift": NO_OPTIONS}
    assert around.catalogue.offer("lift").done == "{result}!"
    assert await around.spoke() == 0  # an old one repeats itself
    assert around.catalogue.offer("lift").summary == "Hoist."
    around.catalogue.gone(A)
    await around.spoke()  # the old version was brought back
    assert around.catalogue.offer("lift").summary == "Lift."
    assert around.catalogue.defaults == {"lift": FIRST}


async def test_tasks_that_several_kinds_of_workers_share_are_learned_once(around):
    await around.spoke()
    await around.spoke(B, "v2", lift=FIRST)
    assert around.asked == [A, B]
    learned = len(around.verbs)
    around.catalogue.gone(A)
    around.catalogue.gone(B)
    await around.spoke()
    await around.spoke(B, "v2", lift=FIRST)
    assert (around.asked, len(around.verbs)) == ([A, B], learned)


async def test_one_of_many_is_asked(around):
    for number in range(20):
        around.catalogue.spoke(f"bot@x/{number}", "v1", {"lift": FIRST})
        around.answers[f"bot@x/{number}"] = {"lift": described()}
    await turns()
    assert len(around.asked) == 1


async def test_one_that_does_not_answer_is_asked_again(around):
    around.answers[A] = WorkerLost("gone")
    await around.spoke()
    around.answers[A] = {"lift": described()}
    await around.spoke()
    assert around.asked == [A, A]
    assert around.catalogue.offer("lift").summary == "Lift."


async def test_what_could_not_be_kept_is_said_again(around):
    around.down = True
    await around.spoke()
    assert around.catalogue.defaults == {"lift": FIRST}
    around.down = False
    await around.spoke(lift=FIRST)
    around.catalogue.reload()
    assert around.catalogue.defaults == {"lift": FIRST}


async def test_what_another_process_learned_is_known_after_a_reload(around):
    other = around.again()
    await other.spoke(B, lift=FIRST, carry=NO_OPTIONS)
    changes, version = around.changes, around.catalogue.version
    around.catalogue.reload()
    assert around.catalogue.names == ["carry", "lift"]
    assert around.changes > changes
    assert around.catalogue.version != version
    del around.kept["carry"]
    around.catalogue.reload()
    assert around.catalogue.names == list(around.catalogue.defaults) == ["lift"]


async def test_what_the_store_has_forgotten_is_known_no_more(around, caplog):
    await around.spoke()
    around.forgets = ["lift"]
    await around.spoke(B, carry=NO_OPTIONS)
    assert around.catalogue.names == list(around.catalogue.defaults) == ["carry"]
    assert around.catalogue.find("lift") is None
    assert "no longer known: the tasks lift;" in caplog.text


async def test_a_large_description_is_kept_without_its_types(around, caplog):
    room = 16 * 1024 - len(msgspec.json.encode(described("", done="ok")))
    around.answers[A] = {"lift": described("y" * room, done="ok")}
    await around.spoke()
    assert len(around.kept["lift"].description) == 16 * 1024
    assert around.catalogue.offer("lift").usage == "lift reps"
    around.answers[A] = {"lift": described("y" * (room + 1), done="ok")}
    with caplog.at_level(logging.WARNING):
        await around.spoke(version="v2")
    assert "the description of lift takes 16385 bytes" in caplog.text
    assert len(around.kept["lift"].description) < 1200
    assert around.catalogue.offer("lift").signature.bind([1, "a"], {"b": 2}) == ((1, "a"), {"b": 2})


async def test_a_worker_describes_no_tasks_but_those_that_it_offers(around):
    around.answers[A] = {"lift": described(), "carry": described("Not mine.")}
    await around.spoke()
    assert around.catalogue.names == list(around.kept) == ["lift"]


async def test_parameters_keep_their_places(around):
    def thumb(path: str, count: int = 3) -> None: ...

    around.answers[A] = describe([Task(thumb)])
    await around.spoke(thumb=NO_OPTIONS)
    for one in (around, around.again()):
        offer = one.catalogue.offer("thumb")
        assert offer.usage == "thumb path [count=3]"
        assert offer.signature.bind(["a.png", 2], {}) == (("a.png", 2), {})


@pytest.mark.parametrize("done", ["{0}", "{result:>999999999}", "{result.__class__}", "{"])
async def test_sentences_that_cannot_be_used_are_left_out(around, done):
    around.answers[A] = {"lift": described(done=done)}
    await around.spoke()
    assert around.catalogue.offer("lift").done is None
    assert around.catalogue.offer("lift").usage == "lift reps"


async def test_there_is_an_end_to_what_one_worker_may_teach(around):
    tasks = {f"t{number}": NO_OPTIONS for number in range(MOST_TASKS + 10)}
    around.answers[A] = {}
    refused = dict.fromkeys(["", "x" * 257, "two words", "nul\0"], NO_OPTIONS)
    await around.spoke(**refused, **tasks)
    assert len(around.kept) == MOST_TASKS - 4


async def test_a_word_is_found_as_a_person_writes_it(around):
    await around.spoke()
    assert around.catalogue.find("LIFT").name == "lift"
    assert around.catalogue.find("hoist") is None
    assert around.catalogue.offer("hoist").usage == "hoist [args...] [name=value...]"
