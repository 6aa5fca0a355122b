"""Programs as tasks."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatting import all_ended
from jabot import Node
from jabot.chat import words
from jabot.errors import BadArguments, ConfigError, JobCancelled, JobTimeout, TaskFailed
from jabot.protocol.states import JobState
from jabot.runner import Runner
from jabot.tasks import Command, Kind, Retry, Task
from processor import Busy
from unit.clock import turns
from unit.running import submit


def python(code, *arguments, **options):
    """A task that runs a line of Python."""
    literal = code.replace("{", "{{").replace("}", "}}")
    return Task(Command(sys.executable, ["-c", literal, *arguments], **options), name="python")


# --- the arguments ------------------------------------------------------------------------------


def test_placeholders_are_parameters_those_with_a_default_last():
    task = Task(Command("/usr/bin/ffmpeg", ["-i", "{src}", "-q:v", "{q=23}", "{dst}.mkv", "{src}"]))
    assert (task.name, task.kind) == ("ffmpeg", Kind.COMMAND)
    assert task.usage == "ffmpeg src dst [q='23']"
    assert task.summary == "Run ffmpeg."  # and not with what: an argument may be a secret
    assert task(src="a b", dst="c") == [
        *("/usr/bin/ffmpeg", "-i", "a b", "-q:v", "23", "c.mkv", "a b"),
    ]
    assert task("a", "b", "5") == ["/usr/bin/ffmpeg", "-i", "a", "-q:v", "5", "b.mkv", "a"]


def test_braces_are_written_twice_and_a_default_may_hold_nearly_everything():
    command = Command("awk", ["{{print $1}}", "--scale={size=1280:720 !}", "{{{x}}}", "{e=}"])
    assert command(x="1") == ["awk", "{print $1}", "--scale=1280:720 !", "{1}", ""]


@pytest.mark.parametrize(
    "argument",
    ["{", "}", "{}", "{0}", "{a b}", "{a", "a}", "{a.b}", "{a!r}", "{a:3}", "{=x}", "\0"],
)
def test_an_argument_that_cannot_be_read(argument):
    with pytest.raises(ConfigError, match=r"^tool: "):
        Command("tool", [argument])


def test_more_mistakes_of_the_author():
    with pytest.raises(ConfigError, match="two defaults"):
        Command("tool", ["{a=1}", "{a=2}"])
    with pytest.raises(ConfigError, match="use a text"):
        Command("tool", [3])
    for program in ("{tool}", "/opt/{x}/tool", "", "/"):
        with pytest.raises(ConfigError, match="is no program"):
            Command(program, [])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_whatever_is_in_a_value_it_stays_one_argument(values):
    names = [f"v{n}" for n in range(len(values))]
    command = Command("tool", [f"--x={{{name}}}" for name in names])
    assert command(*values) == ["tool", *(f"--x={value}" for value in values)]
    assert command(**dict(zip(names, values, strict=True))) == command(*values)


@pytest.mark.parametrize("value", ["-rf", "-", "--help"])
@pytest.mark.parametrize("argument", ["{path}", "{path}.txt", "{other=}{path}"])
def test_a_value_that_could_be_an_option_is_refused_before_anything_runs(argument, value):
    signature = Task(Command("rm", [argument])).signature
    with pytest.raises(BadArguments, match="begins with a dash, which rm could take for an option"):
        signature.bind([value], {})
    with pytest.raises(BadArguments):  # what people type is no other
        words.bind(signature, [value] if value == "-" else ["--", value])
    assert signature.bind(["a-b"], {}) == (("a-b",), {})


def test_an_empty_value_does_not_let_the_authors_own_dash_become_an_option():
    signature = Command("rm", ["{date}-{name}"]).signature
    assert signature.bind(["2024", "rf"], {})
    with pytest.raises(BadArguments, match=r"^date: '-rf' begins with a dash"):
        signature.bind(["", "rf"], {})


def test_dashes_may_be_allowed_and_the_authors_own_always_are():
    command = Command("rm", ["--", "{path}"], dashes=True)
    assert command("-rf") == ["rm", "--", "-rf"]
    assert Command("tar", ["-{flags}", "{a}"])("x", "y") == ["tar", "-x", "y"]


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_what_no_argument_can_hold_is_refused(value):
    with pytest.raises(BadArguments, match="cannot be an argument of a program"):
        Command("tool", ["{a}"]).signature.bind([value], {})


@pytest.mark.parametrize(
    ("args", "kwargs"), [([], {}), ([3], {}), (["a", "b"], {}), ([], {"b": ""})]
)
def test_arguments_are_texts_and_none_is_missing_or_left_over(args, kwargs):
    with pytest.raises(BadArguments):
        Command("tool", ["{a}"]).signature.bind(args, kwargs)


def test_a_node_offers_it():
    node = Node()
    task = node.command(
        *("echo", "{x}"), name="say", summary="Say it.", ok=(0, 1), concurrency=2, retries=1
    )
    assert list(node.tasks) == [task]
    assert (task.name, task.summary, task.concurrency) == ("say", "Say it.", 2)
    assert task.retry == Retry(attempts=2)
    assert task("hi") == ["echo", "hi"]


# --- running ------------------------------------------------------------------------------------


async def test_what_it_writes_is_progress_and_its_exit_code_the_result():
    task = python("import sys; print(sys.argv[1:]); print('wrong', file=sys.stderr)", "{a}", "{b=}")
    job, lines = submit(Runner(), task, "$(id) ; `x` * \n'\""), []
    job.on_progress(lambda step: lines.extend(step.text.split("\n")))
    assert await job == 0
    assert sorted(lines) == [repr(["$(id) ; `x` * \n'\"", ""]), "wrong"]


@pytest.mark.parametrize(("code", "fine"), [(0, True), (1, True), (3, False)])
async def test_which_exit_codes_are_fine(code, fine):
    task = python(f"import sys; print('a'); print('b'); sys.exit({code})", ok=(0, 1))
    job = submit(Runner(), task)
    if fine:
        assert await job == code
        return
    with pytest.raises(TaskFailed) as failure:
        await job
    error = failure.value
    assert error.type == "CommandFailed"
    assert error.message == f"{Path(sys.executable).name} ended with exit code 3:\na\nb"
    assert error.traceback.startswith("a\nb\nCommandFailed: ")
    assert job.state is JobState.FAILED


async def test_it_reads_nothing_and_has_the_folder_and_environment_that_it_is_given(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("JABOT_PASSWORD", "secret")
    monkeypatch.setenv("KEPT", "kept")
    code = "import os, sys; print(sys.stdin.read(), os.getcwd(), {k: os.environ.get(k) for k in K})"
    code = f"K = ['JABOT_PASSWORD', 'KEPT', 'ADDED']; {code}"
    job = submit(Runner(), python(code, cwd=tmp_path, env={"ADDED": "x"}))
    assert await job == 0
    values = {"JABOT_PASSWORD": None, "KEPT": "kept", "ADDED": "x"}
    assert job.step.text == f" {tmp_path} {values}"


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (Task(Command("no-such-program", [])), "^cannot run no-such-program: No such file"),
        (Task(Command(__file__, []), name="x"), "^cannot run test_command.py: Permission denied"),
        (Task(Command("true", [], cwd="/no/such/folder")), "^FileNotFoundError: .*/no/such/folder"),
        (python("import os; os.kill(os.getpid(), 9)"), " ended with signal SIGKILL$"),
    ],
)
async def test_what_cannot_run_or_is_killed_fails_its_job_and_nothing_else(task, text):
    runner = Runner(concurrency=1)
    with pytest.raises(TaskFailed, match=text):
        await submit(runner, task)
    assert await submit(runner, python("")) == 0
    await turns()
    assert runner.running == 0


STUBBORN = """
import signal, subprocess, sys, time
if sys.argv[1] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"])
try:
    print(child.pid, flush=True)
    time.sleep(600)
finally:
    time.sleep(0.3)  # so long the launcher has to stay, too
    open(sys.argv[2], "w").write("tidy")
    print("bye", flush=True)
"""


@pytest.mark.parametrize("how", ["polite", "stubborn"])
async def test_cancelling_is_sigterm_to_all_of_it_and_then_sigkill(tmp_path, how):
    code = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))\n{STUBBORN}"
    runner = Runner(cancel_grace=30 if how == "polite" else 0.2)
    job = submit(runner, python(code, "{how}", "{path}"), how, str(tmp_path / "tidy"))
    [pid] = await first_step(job)
    assert psutil.pid_exists(int(pid))
    runner.cancel(job)
    with pytest.raises(JobCancelled):
        await job
    assert (tmp_path / "tidy").exists() == (how == "polite")
    assert runner.running == 0
    assert await gone(int(pid))


async def test_a_command_that_takes_too_long_is_stopped():
    job = submit(Runner(), Task(Command("sleep", ["600"]), timeout=0.3))
    with pytest.raises(JobTimeout):
        await job


async def test_one_that_is_cancelled_at_once_leaves_nothing():
    runner = Runner()
    before = psutil.Process().children()  # servers of other tests
    job = submit(runner, Task(Command("sleep", ["600"])))
    while not job.runs:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    runner.cancel(job)
    with pytest.raises(JobCancelled):
        await job
    assert set(psutil.Process().children()) <= set(before)


async def test_what_it_leaves_running_ends_with_it():
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
    job = submit(Runner(), python(code))
    assert await job == 0
    assert await gone(int(job.step.text))


async def test_a_flood_of_output_leaves_room_for_others():
    runner = Runner()
    job = submit(runner, Task(Command("yes", [])))
    steps = []
    job.on_progress(steps.append)
    while len(steps) < 3:
        await asyncio.sleep(0.01)
    computed = stood_still = 0.0
    for _ in range(50):
        begun, before, busy = time.monotonic(), time.thread_time(), Busy()
        await asyncio.sleep(0.001)
        computed = max(computed, time.thread_time() - before)
        stood_still = max(stood_still, time.monotonic() - begun - busy.waited)
    runner.cancel(job)
    with pytest.raises(JobCancelled):
        await job
    assert computed < 0.03  # 1 ms where this was written
    assert stood_still < 0.5


async def test_a_launcher_that_is_killed_fails_its_job():
    runner = Runner()
    job = submit(runner, Task(Command("sh", ["-c", "echo $PPID $$; sleep 600"])))
    [line] = await first_step(job)
    launcher, program = map(int, line.split())
    os.kill(launcher, signal.SIGKILL)
    with pytest.raises(TaskFailed, match="its launcher died"):
        await job
    assert await gone(program)


NODE = """
import asyncio, sys
from jabot import JID
from jabot.runner import Job, Runner
from jabot.tasks import Command, Task
async def main():
    task = Task(Command("sh", ["-c", "sleep 600 & echo $! $$; wait"]), name="x")
    job = Job(task, (), {}, JID("a@localhost"))
    Runner().submit(job)
    job.on_progress(lambda step: print(step.text, flush=True))
    await job
asyncio.run(main())
"""


async def test_it_ends_when_its_node_is_killed():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    node = subprocess.Popen(
        [sys.executable, "-c", NODE], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        pids = [int(pid) for pid in (await asyncio.to_thread(node.stdout.readline)).split()]
        assert len(pids) == 2
        assert all(psutil.pid_exists(pid) for pid in pids)
        node.send_signal(signal.SIGKILL)
        assert all([await gone(pid) for pid in pids])
    finally:
        node.kill()
        node.wait()
        node.stdout.close()


async def first_step(job):
    reported = asyncio.Event()
    job.on_progress(lambda _: reported.set())
    await reported.wait()
    return job.step.text.split("\n")


async def gone(pid):
    """Whether a process has ended, or does so within the time."""
    try:
        return await all_ended([psutil.Process(pid)])
    except psutil.NoSuchProcess:
        return True


def test_the_launcher_imports_nothing_of_jabot():
    import jabot.runner.launch as launch

    text = Path(launch.__file__).read_text(encoding="utf-8")
    assert "import jabot" not in text
    assert "from jabot" not in text
