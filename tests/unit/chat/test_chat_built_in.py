"""The commands that every node has: help, status, jobs, cancel, can, exit."""

import pytest

from jabot import JID
from jabot.chat import direct
from jabot.queue import commands as queue_commands
from unit.clock import turns
from unit.fakes import ALICE, BOB, BOSS, finish


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


async def test_all_commands_are_among_the_words_that_no_task_may_have(room):
    of_queue = queue_commands.Commands(room.clerk, *[None] * 5, crew_load=None, wall=None)
    for found, names in (
        (room.clerk.commands, direct.NAMES),
        (of_queue.by_word, queue_commands.NAMES),
    ):
        assert set(names) == {"help", "can", *found}


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
