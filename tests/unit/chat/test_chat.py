"""One line in, and what follows from it: a task runs, or the line is refused."""

import asyncio

import pytest

from jabot import JID
from jabot.chat import texts
from jabot.pace import Pace
from jabot.runner import Runner
from unit.fakes import ALICE, BOB, BOSS, EVE, OWN, Room, finish, lift

STRANGER = "I do not take commands from you. Those who run bot@localhost can allow it."


# --- tasks --------------------------------------------------------------------------------------


async def test_a_task_is_answered_at_once_and_again_at_its_end(room):
    answer = room.ask("lift 2")
    [job] = room.runner.jobs
    assert answer == f"Scheduled lift, job {job.short_id}."
    await finish(room)
    assert room.mouth.said() == [f"lift {job.short_id} is done: Lifted 2"]
    assert job.caller == ALICE


async def test_the_conversation_of_2008(clock):
    room = Room()

    async def lift():
        await asyncio.sleep(3)

    room.task(lift, scheduled="Scheduled heavy job...", done="Done lifting")
    for line in ("lift", "lift", "dance"):
        room.hear(line)
    await finish(room)
    assert room.mouth.said() == [
        "Scheduled heavy job...",
        "Scheduled heavy job...",
        "Dunno how to dance",
        "Done lifting",
        "Done lifting",
    ]


async def test_letter_case_and_spaces_are_forgiven(room):
    assert room.ask("  Lift\u30002 ").startswith("Scheduled lift")
    assert room.runner.jobs[0].args == (2,)
    assert room.ask("STATUS").startswith("1 of 2 running")
    await finish(room)


async def test_jobs_that_wait_say_how_many_are_before_them(room):
    answers = [room.ask("lift 1") for _ in range(4)]
    assert [a.partition(" (")[2] for a in answers] == ["", "", "1 before it).", "2 before it)."]
    await finish(room)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("lift ten", "reps: 'ten' is not a whole number."),
        ("lift 1 2", "too many arguments: '2' has no place."),
        ("lift --speed 5", "there is no parameter named speed."),
        ("lift reps=1 reps=2", "reps: given twice."),
        ("lift 'x", "a quote is not closed; put a \\ before one that is meant."),
        ("lift größe", "reps: 'größe' is not a whole number."),
    ],
)
async def test_a_wrong_argument_gets_the_reason_and_the_usage(room, line, reason):
    assert room.ask(line) == f"{reason}\nUsage: lift [reps=3]"
    assert room.runner.jobs == []


async def test_what_is_nested_too_deep_is_refused(clock):
    room = Room()

    async def deep(numbers: list[int]): ...

    room.task(deep)
    assert room.ask("deep " + "[" * 100_000).startswith("numbers: ")
    assert room.runner.jobs == []


async def test_two_that_answer_each_other_come_to_an_end(room):
    """Another bot may take "Dunno" for something to answer."""
    answers = 0
    for _ in range(1000):
        answers += bool(room.ask("Dunno how to Dunno"))
        await asyncio.sleep(1)
    assert answers < 250


async def test_an_unknown_word_gets_a_close_match(room):
    assert room.ask("lfit 30") == "Dunno how to lfit. Did you mean lift?"
    assert room.ask("dance") == "Dunno how to dance"
    assert room.ask("танцуй") == "Dunno how to танцуй"
    assert len(room.ask("x" * 100_000)) < 200


async def test_what_one_may_not_run_is_no_close_match(clock):
    room = Room(allow={"alice@localhost": ["other"]})
    room.task(lift)
    assert room.ask("lfit") == "Dunno how to lfit"
    assert "exit" not in room.ask("exti")
    assert room.ask("exti", BOSS) == "Dunno how to exti. Did you mean exit?"


@pytest.mark.parametrize("line", ["lift", "lift ten", "lift 'open", "lift --x 1"])
async def test_a_task_that_is_not_allowed_says_only_that(clock, line):
    room = Room(allow={"alice@localhost": ["other"]})
    room.task(lift)
    expected = "You may not run lift: the rule for alice@localhost does not name lift."
    assert room.ask(line) == expected
    assert room.runner.jobs == []


async def test_too_many_jobs(clock):
    room = Room(runner=Runner(max_per_caller=1))
    room.task(lift)
    room.ask("lift")
    assert room.ask("lift") == "1 of your jobs are unfinished; wait for some of them."
    assert room.ask("lift", BOB).startswith("Scheduled")
    await finish(room)


async def test_a_node_that_stops_takes_no_job_and_says_so(room):
    room.runner.draining = True
    assert room.ask("lift") == "I am stopping and take no new jobs."
    assert "stopping" in room.ask("status")


async def test_an_error_is_told_without_a_traceback(room, caplog):
    async def fail():
        try:
            raise KeyError("inner secret")
        except KeyError:
            raise ValueError("größer") from None

    room.task(fail)
    room.hear("fail")
    [job] = room.runner.jobs
    await finish(room)
    assert room.mouth.said()[-1] == f"fail {job.short_id} failed: ValueError: größer"
    assert not any("Traceback" in t.body or ".py" in t.body for t in room.mouth.texts)
    assert "Traceback" in caplog.text


async def test_a_mistake_of_our_own_is_said_without_a_traceback_and_logged(
    room, monkeypatch, caplog
):
    monkeypatch.setattr(texts, "load", lambda *_: 1 / 0)
    assert room.ask("status") == texts.WENT_WRONG
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.setattr(texts, "succeeded", lambda *_: 1 / 0)
    room.hear("lift 1")
    await finish(room)
    assert room.mouth.said()[-1].endswith(texts.WENT_WRONG)


# --- who is heard -------------------------------------------------------------------------------


async def test_a_stranger_is_told_once_and_learns_nothing(room):
    lines = ["help", "lift", "status", "jobs", "exit", "can eve@evil.example lift", "lfit", "'"]
    for line in lines:
        room.hear(line, EVE)
    assert room.mouth.said() == [STRANGER]
    assert (room.runner.jobs, room.stopped) == ([], 0)
    await asyncio.sleep(61)
    room.hear("help", EVE)
    room.hear("help", JID("mallory@evil.example/x"))
    assert room.mouth.said() == [STRANGER, STRANGER]
    assert STRANGER.count("lift") == 0


async def test_a_strangers_other_programs_are_the_same_stranger(room):
    for n in range(5):
        room.hear("help", JID(f"eve@evil.example/{n}"))
    assert room.mouth.said() == [STRANGER]


async def test_the_own_account_may_everything(room):
    me = JID("bot@localhost/my-phone")
    assert room.ask("lift", me).startswith("Scheduled")
    assert room.ask("exit", me).startswith("Leaving")
    await finish(room)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "error"},
        {"type": "groupchat"},
        {"type": "headline"},
        {"type": "unheard-of"},
        {"automatic": True},
        {"body": "   \n "},
        {"body": ""},
    ],
)
@pytest.mark.parametrize("sender", [ALICE, EVE, OWN])
async def test_what_is_not_said_by_a_person_is_not_answered(room, fields, sender):
    line = fields.get("body", "lift")
    room.hear(line, sender, **{k: v for k, v in fields.items() if k != "body"})
    assert (room.mouth.said(), room.runner.jobs) == ([], [])


async def test_every_answer_is_marked_so_that_two_bots_do_not_talk_for_ever(room):
    for line, sender in (("lift", ALICE), ("help", ALICE), ("x", EVE), ("lift x", ALICE)):
        room.hear(line, sender)
    await finish(room)
    assert len(room.mouth.texts) == 5
    assert all(text.automatic for text in room.mouth.texts)


async def test_answers_go_to_the_program_that_asked(room):
    other = JID("alice@localhost/laptop")
    room.hear("lift 1", other)
    await finish(room)
    assert {text.to for text in room.mouth.texts} == {other}


@pytest.mark.parametrize("to", ["bot@localhost", "bot@localhost/host-2"])
async def test_a_line_to_the_pool_is_answered_by_the_senior_alone(clock, to):
    room = Room(joined=False)
    room.task(lift)
    room.pool.saw(JID("bot@localhost/other"), 5)
    room.pool.join(OWN, 7)
    room.pool.take_part()
    assert room.ask("lift", to=JID(to)) == ""
    assert room.ask("help", EVE, to=JID(to)) == ""
    assert room.ask("lift").startswith("Scheduled")  # said to this node itself
    room.pool.saw(JID("bot@localhost/other"), None)
    assert room.ask("lift", to=JID(to)).startswith("Scheduled")
    await finish(room)


@pytest.mark.parametrize("senior", [True, False])
async def test_a_line_to_the_pool_waits_until_the_node_knows_its_place(clock, senior):
    room = Room(joined=False)
    room.task(lift)
    assert room.ask("lift", to=JID("bot@localhost")) == ""
    room.pool.join(OWN, 7)
    if not senior:
        room.pool.saw(JID("bot@localhost/other"), 5)
    assert room.ask("lift", to=JID("bot@localhost")) == ""
    room.pool.take_part()
    room.chat.joined()
    assert len(room.mouth.said()) == (2 if senior else 0)
    room.chat.joined()
    assert room.mouth.said() == []  # once
    await finish(room)


async def test_lines_that_waited_are_never_run_and_are_answered_once(room):
    for line in ("lift", "exit", "lift 2", "lift 3", "x" * 100):
        room.hear(line, delayed=True)
    room.hear("exit", BOSS, delayed=True)
    assert room.mouth.said() == []  # more may follow
    await asyncio.sleep(1)
    assert room.mouth.said(ALICE) == [
        'I was away when you said "lift", "exit", "lift 2" and 2 more. '
        "Say it again if it still holds."
    ]
    assert room.mouth.said(BOSS) == [
        'I was away when you said "exit". Say it again if it still holds.'
    ]
    assert (room.runner.jobs, room.stopped) == ([], 0)
    room.hear("lift", delayed=True)
    await asyncio.sleep(1)
    assert len(room.mouth.said()) == 1


async def test_a_strangers_waiting_lines_are_told_nothing_more_than_any(room):
    room.hear("lift", EVE, delayed=True)
    await asyncio.sleep(1)
    assert room.mouth.said() == [STRANGER]


async def test_a_thousand_lines_in_a_second(room):
    for n in range(1000):
        room.hear("lift" if n == 0 else "status")
    said = room.mouth.said()
    assert len(said) == 51
    assert said[-1] == (
        "Too fast: I take 50 lines at once and 10 a second after that. What comes now is dropped."
    )
    await asyncio.sleep(1)
    answer = room.ask("status")
    assert answer.startswith("I dropped 950 of your lines before this one.\n---\n")
    assert room.ask("status", BOB)
    await finish(room)


async def test_a_flood_of_one_leaves_the_others_alone(clock):
    room = Room(pace=Pace(burst=1, rate=1))
    room.hear("status")
    room.hear("status")
    assert room.ask("status", BOB).startswith("0 of 2")
