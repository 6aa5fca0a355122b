"""The door for programs, over a made-up session: from frames to the desk, and back."""

import asyncio
import json

import pytest
from msgspec import Raw

from jabot import Context
from jabot.access import Access
from jabot.errors import JobTimeout
from jabot.intake import Intake
from jabot.jid import JID
from jabot.protocol.frames import (
    Cancel,
    Cancelled,
    Describe,
    Description,
    Failed,
    Progress,
    Query,
    Rejected,
    State,
    Submit,
    Succeeded,
)
from jabot.protocol.limits import FRAME
from jabot.runner import Desk, Runner
from jabot.tasks import Registry, Task
from unit.clock import turns
from unit.linked import Wire

NODE = JID("bot@localhost/host-1")
BOSS, ANN, EVE = "boss@localhost/x", "ann@localhost/web-1", "eve@evil.example/x"


class Scene(Wire):
    """An intake with four tasks: Ann may run three of them, and Boss all."""

    def __init__(self, clock):
        super().__init__()
        self.clock, self.runner, tasks = clock, Runner(concurrency=1), Registry()
        self.gate, self.began = asyncio.Event(), []

        async def lift(reps: int = 30) -> str:
            """Lift something heavy."""
            return f"Lifted {reps}"

        async def hold(*, ctx: Context):
            self.began.append(ctx)
            ctx.progress(1, 2, "half")
            await self.gate.wait()
            return self.gate.result

        async def rest() -> None:
            await self.gate.wait()

        async def secret() -> None: ...

        for function in (lift, hold, rest, secret):
            tasks.add(Task(function))
        rules = {"ann@localhost": ["lift", "hold", "rest"], "boss@localhost": "*"}
        self.desk = Desk(lambda: NODE, tasks, self.runner, Access(rules))
        self.intake = Intake(self.desk, self.link, 3)

    async def hear(self, peer, *frames):
        """Say something to the node; what it says to that, the answers to its batches left out."""
        if frames:
            self.say(peer, *frames)
        await turns()
        heard = []
        for entry in self.take():
            if len(entry) == 3:
                assert entry[0] == peer
                heard += entry[1]
                self.answer(entry[0], entry[2])
            else:
                heard.append(entry[1])
        return heard


@pytest.fixture
async def scene(clock):
    scene = Scene(clock)
    yield scene
    await scene.runner.abandon(1)
    scene.intake.close()
    scene.link.close()


def submit(task, *args, job="j", **options):
    return Submit(job, task, Raw(json.dumps(args).encode()), **options)


async def test_a_job_and_its_outcome(scene):
    # The outcome goes before the answer: the job needed no waiting.
    told = await scene.hear(ANN, submit("lift", 3))
    assert told == [Succeeded("j", 1, Raw(b'"Lifted 3"')), ""]
    assert await scene.hear(ANN, submit("lift", 3)) == told  # the same one


async def test_a_job_is_told_who_asks_and_how_often(scene):
    await scene.hear(ANN, submit("hold", attempt=4))
    (ctx,) = scene.began
    assert (ctx.job_id, ctx.attempt, str(ctx.caller)) == ("j", 4, ANN)


async def test_progress_and_questions(scene):
    first = await scene.hear(ANN, submit("hold"))
    assert first == [Progress("j", 1, 1, 1, 2, "half"), ""]
    asked = await scene.hear(ANN, Query("j"))
    assert asked == [State("j", 1, "running"), Progress("j", 1, 1, 1, 2, "half"), ""]
    await scene.hear(ANN, submit("hold", job="k"))
    assert (await scene.hear(ANN, Query("k")))[0] == State("k", 1, "available")
    assert await scene.hear(BOSS, Query("j")) == [State("j", 0, "unknown"), ""]  # it is Ann's


async def test_a_job_that_says_nothing_runs_all_the_same(scene):
    await scene.hear(ANN, submit("rest"))
    assert await scene.hear(ANN, Query("j")) == [State("j", 1, "running"), ""]


@pytest.mark.parametrize(
    ("frame", "code", "text"),
    [
        (submit("lft"), "unknown_task", "there is no task lft here; did you mean lift?"),
        (submit("secre"), "unknown_task", "there is no task secre here"),  # not even its name
        (submit("lift", "many"), "bad_arguments", "reps: 'many' is not a whole number"),
        (submit("secret"), "not_allowed", "you may not run secret"),
    ],
)
async def test_what_is_refused(scene, frame, code, text):
    (rejected, answer) = await scene.hear(ANN, frame)
    assert isinstance(rejected, Rejected)
    assert (rejected.id, rejected.attempt, rejected.code, answer) == ("j", 1, code, "")
    assert rejected.message.startswith(text)
    assert ("did you mean" in rejected.message) == ("did you mean" in text)


async def test_an_account_has_only_so_many_jobs(scene):
    told = await scene.hear(ANN, *(submit("hold", job=f"j{n}") for n in range(4)))
    assert [(frame.id, frame.code) for frame in told if isinstance(frame, Rejected)] == [
        ("j3", "too_many_jobs")
    ]
    assert isinstance((await scene.hear(BOSS, submit("hold")))[0], str)


async def test_what_goes_wrong_in_handling_one_job_is_not_the_others(scene, monkeypatch, caplog):
    start = Desk.start

    def broken(desk, task, *rest):
        if task.name == "hold":
            raise RuntimeError("a defect")
        return start(desk, task, *rest)

    monkeypatch.setattr(Desk, "start", broken)
    told = await scene.hear(ANN, submit("hold", job="a"), submit("lift", 1, job="b"))
    assert (told[0].id, told[0].code) == ("a", "bad_arguments")
    assert Succeeded("b", 1, Raw(b'"Lifted 1"')) in told
    assert "a defect" in caplog.text


async def test_a_result_that_is_no_json(scene):
    await scene.hear(ANN, submit("hold"))
    scene.gate.result = {"rows": [1.0, float("nan")]}
    scene.gate.set()
    (failed,) = await scene.hear(ANN)
    assert (failed.type, failed.code) == ("ValueError", "task")
    assert "JSON has no nan (at `$.rows[1]` of the result)" in failed.message


async def test_what_a_task_raises_is_told_as_it_is(scene, monkeypatch):
    async def fails(error):
        async def run(*_):
            raise error

        monkeypatch.setattr("jabot.runner.runner.execute", run)
        told = await scene.hear(ANN, submit("lift", job=type(error).__name__))
        (failed,) = [frame for frame in told if isinstance(frame, Failed)]
        return failed

    failed = await fails(KeyError("x"))
    assert (failed.type, failed.message, failed.code) == ("KeyError", "'x'", "task")
    assert failed.traceback.endswith("KeyError: 'x'\n")
    failed = await fails(JobTimeout("too slow"))
    assert (failed.type, failed.message, failed.code) == (
        "JobTimeout",
        "too slow",
        "task",
    )  # its own


async def test_a_job_whose_callers_time_is_over(scene, clock):
    await scene.hear(ANN, submit("hold", timeout=5.0))
    await clock.advance(5.1)
    (failed,) = await scene.hear(ANN)
    assert (failed.type, failed.code) == ("JobTimeout", "timeout")


async def test_a_job_that_is_called_off(scene):
    await scene.hear(ANN, submit("hold"))
    await scene.hear(BOSS, Cancel("j", 0))  # another account's job of that id
    assert len(scene.runner.jobs) == 1
    told = await scene.hear(ANN, Cancel("j", 1, "enough"))
    assert Cancelled("j", 1, "enough") in told
    assert scene.runner.jobs == []


async def test_a_node_that_stops_hands_back_what_has_not_begun(scene):
    await scene.hear(ANN, submit("hold", job="runs"), submit("hold", job="waits"))
    scene.intake.drain()
    (rejected,) = await scene.hear(ANN)
    assert (rejected.id, rejected.code) == ("waits", "draining")
    told = await scene.hear(ANN, submit("lift", job="new"))
    assert (told[0].id, told[0].code) == ("new", "draining")
    scene.gate.result = 7
    scene.gate.set()
    assert await scene.hear(ANN) == [Succeeded("runs", 1, Raw(b"7"))]


async def test_descriptions_are_of_what_the_asker_may_run(scene):
    async def asked(peer, task=None):
        (description, _) = await scene.hear(peer, Describe(task))
        assert isinstance(description, Description)
        assert (description.task, description.version) == (task, scene.intake.version)
        return json.loads(bytes(description.tasks))

    assert list(await asked(ANN)) == ["lift", "hold", "rest"]
    assert list(await asked(BOSS)) == ["lift", "hold", "rest", "secret"]
    assert (await asked(ANN, "lift"))["lift"]["doc"] == "Lift something heavy."
    assert await asked(ANN, "secret") is None


async def test_a_description_that_is_too_large_harms_no_other_frame(scene, caplog):
    scene.intake._descriptions["lift"] = Raw(b'"' + b"x" * FRAME + b'"')
    told = await scene.hear(ANN, Describe(), submit("lift"))
    assert Succeeded("j", 1, Raw(b'"Lifted 30"')) in told
    assert "could not be answered" in caplog.text


async def test_strangers_are_not_heard(scene):
    assert await scene.hear(EVE, submit("lift")) == ["forbidden"]


async def test_who_was_away_gets_what_it_missed(scene):
    await scene.hear(ANN, submit("hold"))
    scene.see(ANN, "unavailable")
    scene.gate.result = 7
    scene.gate.set()
    assert await scene.hear(ANN) == []
    scene.see(ANN)
    assert await scene.hear(ANN) == [Succeeded("j", 1, Raw(b"7"))]


async def test_outcomes_are_forgotten_in_time(scene, clock):
    await scene.hear(ANN, submit("lift"))
    await clock.advance(899)
    assert (await scene.hear(ANN, Query("j")))[0] == Succeeded("j", 1, Raw(b'"Lifted 30"'))
    await clock.advance(902)
    assert await scene.hear(ANN, Query("j")) == [State("j", 0, "unknown"), ""]
