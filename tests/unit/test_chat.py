"""One line in, and what follows from it."""

import asyncio
import itertools
import logging
import threading

import pytest

from jabot import JID, Context, Message
from jabot.chat import direct, texts
from jabot.errors import BadArguments
from jabot.hooks import text_handler
from jabot.pace import Pace
from jabot.queue import clerk as queue_clerk
from jabot.runner import Runner
from jabot.xmpp.stanzas import CHAT_STATES, CORRECT
from unit.clock import turns
from unit.fakes import ALICE, BOB, BOSS, EVE, MODERN, OWN, Room

STRANGER = "I do not take commands from you. Those who run bot@localhost can allow it."


async def lift(reps: int = 3, *, ctx: Context) -> str:
    """Lift something heavy."""
    for n in range(reps):
        await asyncio.sleep(1)
        ctx.progress(n + 1, reps)
    return f"Lifted {reps}"


@pytest.fixture
def room(clock):
    made = Room()
    made.task(lift)
    return made


async def finish(room):
    for job in room.runner.jobs:
        await asyncio.wait([asyncio.ensure_future(_quietly(job))])
    await turns()


async def _quietly(job):
    try:
        return await job
    except Exception:
        return None


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


# --- the built-in commands ----------------------------------------------------------------------


async def test_help_shows_what_one_may_ask_for(room):
    room.task(lambda: 1, name="größe")
    assert room.ask("help") == (
        "You can ask me for:\n"
        "  lift [reps=3] - Lift something heavy.\n"
        "  größe\n"
        "and: help TASK, jobs, cancel ID, status, can JID TASK"
    )
    assert "größe" not in room.ask("help", BOB)
    assert room.ask("help", BOSS) == (
        "There is no task that you may run.\n"
        "and: help TASK, jobs, cancel ID, status, can JID TASK, exit"
    )


async def test_help_for_a_task(room):
    room.task(lambda: 1, name="secret")
    expected = "lift [reps=3]\nLift something heavy.\n  reps: int, 3 if left out"
    assert room.ask("help lift") == expected
    assert room.ask("help LIFT") == expected
    assert room.ask("help lfit") == "Dunno how to lfit. Did you mean lift?"
    assert room.ask("help secret", BOB) == "Dunno how to secret"


async def test_no_task_may_have_the_name_of_a_command(room):
    parts = dict.fromkeys(["rights", "is_draining", "crew_load", "stop"])
    of_queue = queue_clerk.QueueClerk(room.clerk, *[None] * 5, **parts)
    for clerk, names in ((room.clerk, direct.NAMES), (of_queue, queue_clerk.NAMES)):
        assert set(names) == {"help", "can", *clerk.commands}


async def test_help_for_a_command(room):
    assert room.ask("help cancel").startswith("cancel ID: stop a job; ")
    assert room.ask("help HELP") == "help TASK: about one; help alone: what you may ask for."


async def test_status(room):
    assert room.ask("status").startswith("0 of 2 running. Up for 0 s, jabot ")
    for _ in range(3):
        room.hear("lift")
    assert room.ask("status").startswith("2 of 2 running, 1 waiting. Up for")
    assert room.ask("status now") == "status stands alone."
    await finish(room)


async def test_jobs_shows_ones_own_and_everybodys_to_those_who_manage(room):
    assert room.ask("jobs") == "No jobs."
    room.hear("lift")
    room.hear("lift", BOB)
    alices, bobs = room.runner.jobs
    assert room.ask("jobs") == f"lift {alices.short_id}: running for 0 s"
    assert room.ask("jobs", JID("alice@localhost/other")).startswith(f"lift {alices.short_id}")
    assert room.ask("jobs", BOSS) == (
        f"lift {alices.short_id}: running for 0 s, for alice@localhost\n"
        f"lift {bobs.short_id}: running for 0 s, for bob@localhost"
    )
    assert room.ask("jobs mine") == "jobs stands alone."
    await finish(room)


@pytest.mark.parametrize("part", [lambda job: job.short_id, lambda job: job.id, lambda _: "Lift"])
async def test_a_job_is_cancelled_by_the_end_of_its_id_or_its_tasks_name(room, part):
    room.hear("lift")
    [job] = room.runner.jobs
    await turns()
    assert room.ask(f"cancel {part(job)}") == f"Cancelling lift {job.short_id}."
    assert room.ask("jobs").startswith(f"lift {job.short_id}: stopping")
    await finish(room)
    assert room.mouth.said() == [f"lift {job.short_id} was cancelled."]


async def test_a_job_may_be_cancelled_in_the_same_breath(room):
    room.hear("lift")
    [job] = room.runner.jobs
    room.hear("cancel lift")
    await turns()
    assert room.mouth.said()[-1] == f"lift {job.short_id} was cancelled."
    assert room.runner.running == 0


async def test_an_unclear_cancel_asks_which(room):
    room.hear("lift")
    room.hear("lift")
    first, second = room.runner.jobs
    answer = room.ask("cancel lift")
    assert answer.splitlines()[0] == "Which one?"
    assert first.short_id in answer
    assert second.short_id in answer
    assert not first.cancellation()
    assert not second.cancellation()
    await finish(room)


async def test_anothers_job_is_not_there(room):
    room.hear("lift", BOB)
    [job] = room.runner.jobs
    assert room.ask(f"cancel {job.short_id}") == f"There is no job {job.short_id}."
    assert room.ask("cancel lift") == "There is no job lift."
    assert not job.cancellation()
    await finish(room)


async def test_those_who_manage_cancel_anybodys_job_and_its_caller_hears_by_whom(room):
    room.hear("lift", BOB)
    [job] = room.runner.jobs
    room.hear(f"cancel {job.short_id}", BOSS)
    await finish(room)
    assert room.mouth.said(BOB)[-1] == f"lift {job.short_id} was cancelled: by boss@localhost."


@pytest.mark.parametrize("line", ["cancel", "cancel a b", 'cancel ""'])
async def test_a_cancel_without_a_job_cancels_nothing(room, line):
    room.hear("lift")
    assert room.ask(line) == "say: cancel ID (jobs shows the ids)."
    assert not room.runner.jobs[0].cancellation()
    await finish(room)


@pytest.mark.parametrize(
    ("sender", "line", "answer"),
    [
        (ALICE, "can alice@localhost lift", "Yes: the rule for alice@localhost allows it."),
        (ALICE, "can Alice@LOCALHOST/x lift", "Yes: the rule for alice@localhost allows it."),
        (ALICE, "can alice@localhost exit", "No: alice@localhost is not among those who manage"),
        (ALICE, "can bob@localhost lift", "Only those who manage me may ask that about others."),
        (BOB, "can bob@localhost fly", "Dunno how to fly"),
        (ALICE, "can alice@localhost LIFT", "Yes: the rule for alice@localhost allows it."),
        (BOSS, "can eve@evil.example lift", "No: no rule names eve@evil.example."),
        (BOSS, "can boss@localhost exit", "Yes: manage names boss@localhost."),
        (BOSS, "can bot@localhost exit", "Yes: bot@localhost is the node's own account."),
        (BOSS, "can a@b@@c lift", "a@b@@c is not an address."),
        (BOSS, "can lift", "say: can JID TASK."),
    ],
)
async def test_can(room, sender, line, answer):
    assert room.ask(line, sender).startswith(answer)


async def test_exit_is_for_those_who_manage(room):
    assert room.ask("exit").startswith("You may not stop me: alice@localhost is not among")
    assert room.stopped == 0
    assert room.ask("exit now", BOSS) == "exit stands alone."
    assert room.stopped == 0
    assert room.ask("exit", BOSS) == "Leaving."
    assert room.stopped == 1


async def test_exit_says_what_it_waits_for(room):
    room.hear("lift")
    assert room.ask("Exit", BOSS) == "Leaving when the last job is done."
    room.hear("lift")
    assert room.ask("EXIT", BOSS) == "Leaving when 2 jobs are done."
    await finish(room)


# --- free text ----------------------------------------------------------------------------------


def talkative(function):
    room = Room(on_message=text_handler(function))
    room.task(lift)
    return room


async def test_free_text_goes_to_the_nodes_own_function(clock):
    heard = []

    async def on_message(message):
        heard.append(message)
        return f"You said: {message.text}"

    room = talkative(on_message)
    room.hear("it's a “fine” día — no?")
    room.hear("lfit")
    await turns()
    assert heard == [Message(ALICE, "it's a “fine” día — no?"), Message(ALICE, "lfit")]
    assert room.mouth.said() == ["You said: it's a “fine” día — no?", "You said: lfit"]


async def test_a_plain_function_runs_in_a_thread(clock):
    threads = []

    def on_message(message):
        threads.append(threading.current_thread())
        return 42

    room = talkative(on_message)
    room.hear("hello")
    while not room.mouth.texts:
        await asyncio.sleep(0)
    assert room.mouth.said() == ["42"]
    assert threads != [threading.main_thread()]


@pytest.mark.parametrize("answer", [None, ""])
async def test_a_function_may_say_nothing(clock, answer):
    async def on_message(message):
        return answer

    room = talkative(on_message)
    room.hear("hello")
    await turns()
    assert room.mouth.said() == []


@pytest.mark.parametrize("error", [ValueError("secret"), BadArguments("secret")])
async def test_a_function_that_raises_is_logged_and_said(clock, caplog, error):
    async def on_message(message):
        raise error

    room = talkative(on_message)
    with caplog.at_level(logging.ERROR, "jabot.chat"):
        room.hear("hello")
        await turns()
    assert room.mouth.said() == [texts.WENT_WRONG]
    assert "secret" in caplog.text


async def test_calls_of_the_function_are_bounded(clock):
    free, calls = asyncio.Event(), []

    async def on_message(message):
        calls.append(message)
        await free.wait()

    room = talkative(on_message)
    for n in range(20):
        room.hear(f"hello {n}")
    await turns()
    assert len(calls) == 8
    assert "still busy" in room.mouth.said()[-1]
    free.set()
    await turns()
    room.hear("hello again")
    await turns()
    assert len(calls) == 9


async def test_closing_gives_up_what_the_function_still_does(clock):
    gave_up = []

    async def on_message(message):
        try:
            await asyncio.Event().wait()
        finally:
            gave_up.append(message.text)

    room = talkative(on_message)
    room.hear("hello")
    await turns()
    room.obeying.close()
    await turns()
    assert (gave_up, room.mouth.said()) == (["hello"], [])


async def test_commands_tasks_and_strangers_do_not_reach_the_function(clock):
    heard = []

    async def on_message(message):
        heard.append(message.text)

    room = talkative(on_message)
    for line, sender in (("status", ALICE), ("lift", ALICE), ("hello", EVE), ("lift x", ALICE)):
        room.hear(line, sender)
    room.hear("hello", delayed=True)
    room.hear("hello", automatic=True)
    await finish(room)
    assert heard == []


# --- typing and progress ------------------------------------------------------------------------


async def test_progress_is_one_message_that_is_corrected(room):
    room.mouth.can[ALICE] = MODERN
    room.hear("lift 3")
    [job] = room.runner.jobs
    await finish(room)
    await asyncio.sleep(2)
    scheduled, typing, first, *corrections, end, last = room.mouth.everything
    assert scheduled.body.startswith("Scheduled")
    assert next(child.tag for child in typing).endswith("composing")
    name = f"lift {job.short_id}"
    assert first.body == f"{name}: 1 of 3 (33%)"
    assert first.replaces is None
    assert [c.body for c in corrections] == [f"{name}: 2 of 3 (67%)"]
    assert all(c.replaces == first.id and c.id != first.id for c in corrections)
    assert (last.body, last.replaces) == (f"{name}: 3 of 3 (100%)", first.id)
    assert last.chat_state is None  # it does not type any more
    assert end.body == f"{name} is done: Lifted 3"
    assert (end.replaces, end.chat_state) == (None, "active")
    assert all(m.automatic for m in (first, *corrections, end))


async def test_corrections_come_at_most_once_a_second_with_the_last_step(room, clock):
    room.mouth.can[ALICE] = MODERN
    times = []

    async def fast(*, ctx: Context):
        for n in range(1000):
            await asyncio.sleep(0.01)
            ctx.progress(n)

    send = room.mouth.send

    def timed(element):
        if element.find("{jabber:client}body") is not None:
            times.append((clock.now, element.findtext("{jabber:client}body")))
        return send(element)

    room.mouth.send = timed
    room.task(fast)
    room.hear("fast")
    await finish(room)
    assert 9 <= len(times) <= 11
    pauses = [b[0] - a[0] for a, b in itertools.pairwise(times)]
    assert min(pauses) >= 0.999
    shown = [int(text.rpartition(" ")[2]) for _, text in times]
    started = times[0][0] - 0.3
    for (when, _), step in zip(times, shown, strict=True):
        assert abs((when - started) * 100 - step) <= 2  # the newest of that moment


@pytest.mark.parametrize("features", [set(), {"urn:example:other"}])
async def test_a_program_that_shows_neither_gets_neither(room, features):
    room.mouth.can[ALICE] = features
    room.hear("lift 5")
    await finish(room)
    assert room.mouth.lossy == []
    assert [t.chat_state for t in room.mouth.texts] == [None, None]
    assert all(t.replaces is None for t in room.mouth.texts)


async def test_typing_only_and_corrections_only(room):
    room.mouth.can = {ALICE: {CHAT_STATES}, BOB: {CORRECT}}
    room.hear("lift 3", ALICE)
    await finish(room)
    assert len(room.mouth.lossy) == 1
    assert room.mouth.lossy[0].find("{jabber:client}body") is None
    assert room.mouth.texts[-1].chat_state == "active"
    room.mouth.lossy.clear()
    room.hear("lift 3", BOB)
    await finish(room)
    await asyncio.sleep(2)
    assert len(room.mouth.lossy) == 3
    states = "{http://jabber.org/protocol/chatstates}composing"
    assert all(m.find(states) is None for m in room.mouth.lossy)
    assert room.mouth.texts[-1].chat_state is None


async def test_a_prompt_job_is_not_accompanied(room):
    room.mouth.can[ALICE] = MODERN

    async def prompt(*, ctx: Context):
        ctx.progress(1, 2)
        await asyncio.sleep(0.2)

    room.task(prompt)
    room.hear("prompt")
    await finish(room)
    await asyncio.sleep(10)
    assert (room.mouth.lossy, room.mouth.asked) == ([], [])


async def test_progress_from_before_anybody_looked_is_shown(room):
    room.mouth.can[ALICE] = MODERN

    async def early(*, ctx: Context):
        ctx.progress(text="begun")
        await asyncio.sleep(100)

    room.task(early)
    room.hear("early")
    await finish(room)
    [_, progress] = room.mouth.lossy
    assert progress.findtext("{jabber:client}body").endswith(": begun")


async def test_typing_lasts_until_the_last_of_a_persons_jobs_is_done(room):
    room.mouth.can[ALICE] = MODERN
    room.hear("lift 2")
    room.hear("lift 5")
    await finish(room)
    ends = [text for text in room.mouth.texts if "is done" in text.body]
    assert [text.chat_state for text in ends] == ["composing", "active"]


async def test_when_a_text_comes_back_its_person_gets_no_more_progress(room):
    room.mouth.can[ALICE] = MODERN
    room.hear("lift 9")
    await asyncio.sleep(2.5)
    before = len(room.mouth.lossy)
    assert before > 1
    room.hear("lift 9", type="error")
    await finish(room)
    assert len(room.mouth.lossy) == before
    assert "is done" in room.mouth.texts[-1].body


async def test_after_the_end_only_the_last_step_is_shown(room):
    room.mouth.can[ALICE] = MODERN

    async def ends_just_after_a_step(*, ctx: Context):
        await asyncio.sleep(1)
        ctx.progress(1, 3)
        await asyncio.sleep(0.1)
        ctx.progress(2, 3)  # waits for its second
        raise ValueError("no")

    room.task(ends_just_after_a_step, name="task")
    room.hear("task")
    await finish(room)
    before = list(room.mouth.everything)
    assert "failed" in before[-1].body
    await asyncio.sleep(10)
    (last,) = room.mouth.everything[len(before) :]
    assert last.body.endswith("2 of 3 (67%)")
    assert last.replaces is not None


async def test_a_progress_that_was_not_sent_is_not_corrected(room):
    room.mouth.can[ALICE] = MODERN
    room.mouth.connected = False
    room.hear("lift 5")
    await asyncio.sleep(2.5)
    room.mouth.connected = True
    await finish(room)
    first, *later = [m for m in room.mouth.lossy if m.find("{jabber:client}body") is not None]
    replace = "{urn:xmpp:message-correct:0}replace"
    assert first.find(replace) is None
    assert later
    assert all(m.find(replace).get("id") == first.get("id") for m in later)


async def test_who_has_no_resource_cannot_be_asked_what_they_show(room):
    room.hear("lift 2", JID("alice@localhost"))
    await finish(room)
    assert (room.mouth.asked, room.mouth.lossy) == ([], [])
    assert len(room.mouth.texts) == 2
