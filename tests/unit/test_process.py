"""Tasks in processes of their own."""

import asyncio
import contextlib
import datetime as dt
import os
import signal
import subprocess
import sys

import pytest

from jabot import JID
from jabot.errors import JobCancelled, TaskFailed
from jabot.protocol.states import JobState
from jabot.runner import Job, Options, Runner
from unit import process_tasks

ALICE = JID("älice@localhost/phone")


def submit(runner, task, *args, **kwargs):
    job = Job(task, *task.signature.bind(args, kwargs), ALICE)
    runner.submit(job)
    return job


async def test_typed_arguments_progress_and_result_cross_the_border():
    job = submit(Runner(), process_tasks.where, "2024-05-06", {"x": 1, "y": 2}, {"7": "sieben"})
    steps = []
    job.on_progress(lambda step: steps.append(str(step)))
    assert job.args[0] == dt.date(2024, 5, 6)
    assert await job == {str(os.getpid()): f"{job.id} 3 sieben"}
    assert steps == ["1 of 2 (50%), 06.05. für älice@localhost/phone"]


async def test_what_a_queue_says_of_a_job_crosses_the_border():
    options = Options(via=JID("jobs@localhost"), parents=b'["one","two"]')
    job = Job(process_tasks.family, (), {}, ALICE, options)
    Runner().submit(job)
    assert await job == [str(ALICE), "jobs@localhost", "one", "two"]
    assert await submit(Runner(), process_tasks.family) == [str(ALICE), "None"]


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (process_tasks.raises, "^ValueError: größer$"),
        (process_tasks.leaves, r"died \(exit code 3\)"),
        (process_tasks.dies, r"died \(signal SIGSEGV\)"),
        (process_tasks.breaks_its_promise, "Expected `int`, got `str`"),
        (process_tasks.gives_no_number, r"JSON has no nan \(at `\$\[1\]` of the result\)"),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
async def test_what_goes_wrong_there_fails_the_job_here(task, text):
    job = submit(Runner(), task)
    with pytest.raises(TaskFailed, match=text):
        await job
    assert job.state is JobState.FAILED


async def test_a_failure_there_says_where_it_was_raised(caplog, capfd):
    job = submit(Runner(), process_tasks.raises)
    with pytest.raises(TaskFailed) as failure:
        await job
    error = failure.value
    assert (error.type, error.message) == ("ValueError", "größer")
    assert 'process_tasks.py", line' in error.traceback.splitlines()[1]
    assert error.traceback.endswith("ValueError: größer\n")
    assert "in raises" in caplog.text  # the log of the node has it, with the id of the job
    assert job.id in caplog.text
    assert capfd.readouterr().err == ""
    job = submit(Runner(), process_tasks.leaves)
    with pytest.raises(TaskFailed) as failure:
        await job
    assert failure.value.type == "ProcessDied"
    assert failure.value.traceback == f"ProcessDied: {failure.value}"


async def test_it_leaves_nothing_on_standard_error_of_its_own(capfd):
    await submit(Runner(), process_tasks.quiet)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def exits_slowly(monkeypatch):
    """On a busy machine its exit may take longer than a second."""
    monkeypatch.setattr("jabot.runner.process._OWN_EXIT", 600)


@pytest.mark.usefixtures("exits_slowly")
async def test_what_it_does_at_its_exit_is_not_cut_short(tmp_path, capfd):
    await submit(Runner(), process_tasks.says_goodbye, str(tmp_path / "goodbye"))
    assert (tmp_path / "goodbye").exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("exits_slowly")
async def test_what_its_exit_starts_can_be_ended(tmp_path):
    await submit(Runner(), process_tasks.starts_one_at_its_exit, str(tmp_path / "said"))
    assert (tmp_path / "said").read_text() == str(signal.SIG_DFL)


async def test_a_thread_that_it_leaves_does_not_hold_its_result(capfd):
    assert await submit(Runner(cancel_grace=240), process_tasks.leaves_a_thread, 240.0) == 8
    assert capfd.readouterr() == ("", "")


async def test_cancelling_lets_it_tidy_up(tmp_path):
    runner = Runner(cancel_grace=30)
    job = submit(runner, process_tasks.tidies_up, str(tmp_path / "tidy"))
    await _first_step(job)
    runner.cancel(job)
    with pytest.raises(JobCancelled):
        await job
    assert (tmp_path / "tidy").read_text() == "tidy"


async def test_one_that_does_not_listen_is_killed():
    runner = Runner(cancel_grace=0.05)
    job = submit(runner, process_tasks.stubborn)
    await _first_step(job)
    runner.cancel(job)
    with pytest.raises(JobCancelled):
        await job
    assert runner.running == 0


@pytest.mark.parametrize("stays", [True, False])
async def test_what_it_started_ends_with_it(tmp_path, stays):
    """Also what does not listen, while the task itself ends at once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    runner, told = Runner(cancel_grace=0.5), asyncio.get_running_loop().create_future()
    job = submit(runner, process_tasks.starts_a_stubborn_one, str(pipe), stays)
    job.on_progress(told.set_result)
    with await asyncio.to_thread(pipe.open, "rb", buffering=0) as held:
        started = int((await told).text)
        try:
            if stays:
                runner.cancel(job)
                with pytest.raises(JobCancelled):
                    await job
            else:
                assert await job is None
            # The pipe ends when the last process that holds it is gone.
            assert await asyncio.wait_for(asyncio.to_thread(held.read, 1), 10) == b""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(started, signal.SIGKILL)


async def test_what_it_started_and_nobody_collects_does_not_hold_its_result(tmp_path):
    """As in a container whose first process collects no orphans."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    try:
        await submit(Runner(cancel_grace=240), process_tasks.leaves_a_zombie, str(pipe))
    finally:
        os.close(held)  # which ends who neglects it


async def test_a_task_that_cannot_be_found_again_fails():
    from jabot.tasks import Task

    def local(): ...

    with pytest.raises(TaskFailed, match="AttributeError"):
        await submit(Runner(), Task(local, process=True))


NODE = """
import asyncio, sys
from jabot import JID
from jabot.runner import Job, Runner
from unit import process_tasks
async def main():
    task = process_tasks.holds_open
    job = Job(task, (sys.argv[1],), {}, JID("a@localhost"))
    Runner().submit(job)
    await job
asyncio.run(main())
"""


async def test_it_ends_when_its_node_is_killed(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    node = subprocess.Popen([sys.executable, "-c", NODE, str(pipe)], env=environment)
    try:
        with await asyncio.to_thread(pipe.open, "rb", buffering=0) as held:
            assert await asyncio.to_thread(held.read, 1) == b"x"
            node.kill()
            # The pipe ends when the last process that holds it is gone.
            assert await asyncio.to_thread(held.read, 1) == b""
    finally:
        node.kill()
        node.wait()


async def _first_step(job):
    reported = asyncio.Event()
    job.on_progress(lambda _: reported.set())
    await reported.wait()
