"""Tasks, their registry, and what a running one can say."""

import logging
import math
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot.errors import ConfigError
from jabot.jid import JID
from jabot.protocol.options import JobOptions, Lane, RetryOptions
from jabot.tasks import Context, Kind, Registry, Retry, Step, Task
from jabot.tasks.context import Cancellation
from jabot.tasks.registry import close_match
from jabot.tasks.result import encode_result


def lift(reps: int = 30):
    """Lift something heavy.

    Many times.
    """
    return reps * 2


def test_calling_a_task_calls_the_function():
    task = Task(lift)
    assert task() == 60
    assert task(reps=1) == 2
    assert task.function is lift


async def test_calling_an_asynchronous_task_gives_its_coroutine():
    async def rest(n: int) -> int:
        return n

    assert await Task(rest)(3) == 3


def test_a_task_describes_itself():
    task = Task(lift)
    assert (task.name, task.summary, task.usage) == (
        "lift",
        "Lift something heavy.",
        "lift [reps=30]",
    )
    assert task.__doc__ == "Lift something heavy.\n\nMany times."
    assert Task(lambda: 1, name="x").summary == ""
    assert repr(task) == "<Task lift [reps=30]>"


def test_a_usage_line_shows_every_kind_of_parameter():
    def f(a: int, b: str = "é", /, *c: int, d: bool, e: float = 0.5, ctx: Context, **g: str): ...

    assert Task(f).usage == "f a [b='é'] [c...] d=D [e=0.5] [name=value...]"


async def coroutine(): ...


async def async_generator():
    yield 1


def generator():
    yield 1


@pytest.mark.parametrize(
    ("function", "options", "kind"),
    [
        (lift, {}, Kind.THREAD),
        (lift, {"process": True}, Kind.PROCESS),
        (generator, {}, Kind.GENERATOR),
        (coroutine, {}, Kind.COROUTINE),
        (async_generator, {}, Kind.ASYNC_GENERATOR),
    ],
)
def test_where_a_function_runs(function, options, kind):
    assert Task(function, **options).kind is kind


@pytest.mark.parametrize("function", [coroutine, async_generator, generator])
def test_a_process_takes_a_plain_function(function):
    with pytest.raises(ConfigError, match="plain function"):
        Task(function, process=True)


@pytest.mark.parametrize("name", ["two words", "tab\there", "\u3000", " "])
def test_a_name_is_one_word(name):
    with pytest.raises(ConfigError, match="one word"):
        Task(lift, name=name)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("scheduled", "{result}"),
        ("scheduled", "{"),
        ("scheduled", "{} x"),
        ("done", "{who}"),
        ("done", "{0}"),
        ("done", "{task.name}"),
        ("done", "{result[a]}"),
        ("done", "{result:d}"),
    ],
)
def test_a_bad_sentence_is_refused_at_the_definition(option, text):
    with pytest.raises(ConfigError, match=f"task lift: {option}="):
        Task(lift, **{option: text})


def test_good_sentences():
    task = Task(lift, scheduled="{task} {job}…", done="{{{task}}} {job} {result}")
    assert task.scheduled.format(task="a", job="b") == "a b…"


# --- the registry -------------------------------------------------------------------------------


def named(name):
    return Task(lambda: None, name=name)


def registry(*names, reserved=()):
    made = Registry(reserved)
    for name in names:
        made.add(named(name))
    return made


def test_two_tasks_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two tasks named lift"):
        registry("lift", "lift")


@pytest.mark.parametrize("name", ["help", "Help", "HELP"])
def test_a_reserved_word_is_refused_in_any_letter_case(name):
    """People's `Help` is the command: such a task could never be reached."""
    with pytest.raises(ConfigError, match="jabot's own"):
        registry(name, reserved=["help"])


def test_letter_case_is_forgiven_when_that_is_clear():
    tasks = registry("lift", "Dance", "dance", "ÄRGER")
    assert tasks.find("LIFT").name == "lift"
    assert tasks.find("Lift").name == "lift"
    assert tasks.find("ärger").name == "ÄRGER"
    assert tasks.find("dance").name == "dance"
    assert tasks.find("Dance").name == "Dance"
    assert tasks.find("DANCE") is None
    assert tasks.find("jump") is None


def test_an_accent_may_be_a_character_of_its_own():
    """Some keyboards write é as e with a combining accent; Python's names never do."""
    tasks = registry("é")
    assert tasks.find("e\u0301").name == "é"
    assert tasks.find("E\u0301").name == "é"


def test_tasks_are_listed_in_the_order_of_definition():
    tasks = registry("b", "a", "c")
    assert [t.name for t in tasks] == ["b", "a", "c"]
    assert len(tasks) == 3


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("lfit", "lift"),
        ("Lift", "lift"),
        ("lifft", "lift"),
        ("statsu", "status"),
        ("cancle", "cancel"),
        ("dance", None),
        ("x", None),
        ("", None),
    ],
)
def test_a_misspelt_word_has_a_close_match(word, match):
    assert close_match(word, ["help", "cancel", "status", "lift"]) == match


# --- progress -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Step(3, 10), "3 of 10 (30%)"),
        (Step(3), "3"),
        (Step(0, 10), "0 of 10 (0%)"),
        (Step(3, 0), "3"),
        (Step(0.5, 2, "half"), "0.5 of 2 (25%), half"),
        (Step(text="soon"), "soon"),
        (Step(), ""),
    ],
)
def test_a_step_reads_well(step, text):
    assert str(step) == text


numbers = st.none() | st.integers() | st.floats()


@given(numbers, numbers, st.none() | st.text())
def test_every_step_has_a_text(done, total, text):
    try:
        str(Step(done, total, text))
    except OverflowError:  # an integer past every float is nobody's progress
        assert max(abs(done or 0), abs(total or 0)) > 10**300


def context(**options):
    defaults = {
        "job_id": "j-1",
        "caller": JID("alice@localhost/x"),
        "attempt": 1,
        "report": lambda step: None,
        "is_cancelled": lambda: False,
    }
    return Context(**defaults | options)


def test_a_context_reports_progress():
    steps = []
    ctx = context(report=steps.append)
    ctx.progress(1, 2)
    ctx.progress(text="nearly")
    assert steps == [Step(1, 2), Step(text="nearly")]


@pytest.mark.parametrize("wrong", [("half way",), (1, "2"), ([],)])
def test_progress_in_words_is_a_mistake_that_the_task_learns_of(wrong):
    with pytest.raises(TypeError, match="text="):
        context().progress(*wrong)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400, 2**63 + 1, 1e19])
def test_progress_that_nobody_could_read_is_a_mistake_that_the_task_learns_of(number):
    steps = []
    for wrong in ((number,), (1, number), (-number, 1)):
        with pytest.raises(ValueError, match="progress is from"):
            context(report=steps.append).progress(*wrong)
    context(report=steps.append).progress(2**63, 1e18)
    assert steps == [Step(2**63, 1e18)]


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (math.nan, "nan (at `$`"),
        ([None, 1.0, math.inf], "inf (at `$[2]`"),
        ({"rows": [{"x": None}, {"x": -math.inf}]}, "-inf (at `$.rows[1].x`"),
    ],
)
def test_a_result_that_json_cannot_tell_is_an_error_that_says_where(value, where):
    with pytest.raises(ValueError, match=re.escape(where)):
        encode_result(value)


@pytest.mark.parametrize("value", [None, [None, 1.5], {"null": None}, "null", {"a": [None, {}]}])
def test_a_result_with_nothing_in_it_is_none(value):
    assert msgspec.json.decode(encode_result(value)) == value


def test_a_context_tells_of_cancellation():
    cancellation = Cancellation()
    ctx = context(is_cancelled=cancellation)
    assert not ctx.cancelled
    cancellation.set("by boss")
    assert ctx.cancelled
    assert cancellation.reason == "by boss"


def test_log_lines_begin_with_the_jobs_id(caplog):
    with caplog.at_level(logging.INFO, "jabot.task"):
        context().log.info("lifted %d", 3)
    assert caplog.messages == ["[j-1] lifted 3"]


# -- what a queue is told of a task ------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, JobOptions()),
        ({"priority": -3, "expires": "5m"}, JobOptions(priority=-3, expires=300.0)),
        ({"unique": True}, JobOptions(unique="*")),
        ({"unique": "nightly"}, JobOptions(unique="nightly")),
        ({"unique": False}, JobOptions()),
        ({"unique": ""}, JobOptions()),
        ({"rate": "30/m"}, JobOptions(lane=Lane("*", rate=0.5))),
        ({"rate": 2, "pool_concurrency": 3}, JobOptions(lane=Lane("*", 3, 2.0))),
        ({"retries": 2}, JobOptions(retry=RetryOptions(3, 1.0, 2.0, 60.0, 0.1))),
        ({"retries": Retry(1)}, JobOptions(retry=RetryOptions(1, 1.0, 2.0, 60.0, 0.1))),
        (
            {"retries": Retry(2, on=(OSError, "a.Oops"))},
            JobOptions(retry=RetryOptions(2, 1.0, 2.0, 60.0, 0.1, ["OSError", "a.Oops"])),
        ),
        ({"retries": Retry(on=callable)}, JobOptions()),  # a node that works for a queue refuses it
    ],
)
def test_what_a_queue_is_told(options, told):
    assert Task(lift, **options).defaults == told
    assert msgspec.json.decode(msgspec.json.encode(told), type=JobOptions) == told


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"priority": 101}, "priority=101: Expected `int` <= 100"),
        ({"priority": "high"}, "priority='high': Expected `int | null`, got `str`"),
        ({"expires": "soon"}, "expires: 'soon' is not a duration"),
        ({"expires": 0}, "expires: a duration is more than zero"),
        ({"expires": 1e12}, "expires=1000000000000.0: Expected"),
        ({"unique": 5}, "unique=5: Expected `str | null`, got `int`"),
        ({"rate": "10/x"}, "rate: '10/x'; write 5/s, 10/m, 100/h or 1000/d"),
        ({"rate": "0/m"}, "rate=0.0: Expected `float` > 0.0"),
        ({"pool_concurrency": 0}, "pool_concurrency=0: Expected `int` >= 1"),
        ({"pool_concurrency": "x"}, "pool_concurrency='x': Expected `int | null`, got `str`"),
        ({"retries": Retry(most=1e12)}, "retries: most=1000000000000.0: Expected"),
        ({"retries": Retry(on=[""])}, "retries: on=['']: Expected `str` of length >= 1"),
        ({"retries": -1}, "retries is a number from 0 on"),
        ({"timeout": "soon"}, "timeout: 'soon' is not a duration"),
        ({"colour": "red", "pace": 1}, "colour, pace: there is no such option"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options, text):
    with pytest.raises(ConfigError, match=f"task lift: {re.escape(text)}"):
        Task(lift, **options)


def test_a_job_knows_its_parents_results_and_reads_them_when_they_are_asked_for():
    def context(parents):
        return Context(
            job_id="j",
            caller=JID("a@b/c"),
            attempt=1,
            report=lambda step: None,
            is_cancelled=lambda: False,
            parents=parents,
        )

    ctx = context(b'[1,{"a":null},"x"]')
    assert ctx.parents == [1, {"a": None}, "x"]
    assert ctx.parents is ctx.parents
    assert context(b"null").parents == []
    context(b"[not read")
