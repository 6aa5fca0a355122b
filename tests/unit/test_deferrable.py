"""`Deferrable`: EventMachine's rules, and where it is stricter."""

import asyncio
import functools
import logging
import threading

import pytest

from jabot import Deferrable
from unit.clock import turns


def test_callbacks_run_in_order_once_and_at_the_moment_of_success():
    d, heard = Deferrable(), []
    d.callback(lambda v: heard.append(("first", v))).callback(lambda v: heard.append(("then", v)))
    assert (d.status, heard) == ("unknown", [])
    assert d.succeed(42) is True
    assert heard == [("first", 42), ("then", 42)]
    assert d.status == "succeeded"


def test_errbacks_get_the_error():
    d, heard, error = Deferrable(), [], ValueError("no")
    d.errback(heard.append)
    assert d.fail(error) is True
    assert (d.status, heard) == ("failed", [error])


def test_one_for_the_other_outcome_never_runs():
    won, lost, heard = Deferrable(), Deferrable(), []
    won.errback(heard.append)
    lost.callback(heard.append)
    won.succeed(1)
    lost.fail(ValueError())
    won.errback(heard.append)
    lost.callback(heard.append)
    assert heard == []


def test_completion_runs_in_both_cases_with_the_deferrable_itself():
    won, lost, heard = Deferrable(), Deferrable(), []
    won.completion(heard.append)
    lost.completion(heard.append)
    won.succeed(1)
    lost.fail(ValueError())
    won.completion(heard.append)
    assert heard == [won, lost, won]


def test_callbacks_and_completions_share_one_order():
    d, heard = Deferrable(), []
    d.completion(lambda _: heard.append(1))
    d.callback(lambda _: heard.append(2))
    d.completion(lambda _: heard.append(3))
    d.succeed(None)
    assert heard == [1, 2, 3]


def test_one_added_later_runs_at_once():
    d, heard = Deferrable(), []
    d.succeed("x")
    d.callback(heard.append)
    assert heard == ["x"]


def test_the_first_status_is_final():
    d, heard = Deferrable(), []
    d.callback(heard.append).errback(heard.append)
    assert d.succeed(1)
    assert not d.succeed(2)
    assert not d.fail(ValueError())
    assert (d.status, heard) == ("succeeded", [1])


def test_settling_again_from_a_callback_changes_nothing():
    d, heard = Deferrable(), []
    d.callback(lambda _: heard.append(d.fail(ValueError())))
    d.callback(heard.append)
    d.succeed("ok")
    assert heard == [False, "ok"]


@pytest.mark.parametrize("raised", [ValueError("oops"), asyncio.CancelledError()])
def test_a_callback_that_raises_is_logged_and_the_next_one_runs(caplog, raised):
    d, heard = Deferrable(), []

    def bad(_):
        raise raised

    d.callback(bad).callback(heard.append)
    with caplog.at_level(logging.ERROR, "jabot.deferrable"):
        d.succeed(1)
    assert heard == [1]
    assert d.status == "succeeded"
    [record] = caplog.records
    assert record.exc_info[1] is raised
    assert "bad" in record.getMessage()


def test_a_callback_that_is_added_within_a_callback_runs_at_once():
    d, heard = Deferrable(), []

    def outer(_):
        d.callback(lambda _: heard.append("inner"))
        heard.append("outer")

    d.callback(outer).callback(lambda _: heard.append("last"))
    d.succeed(None)
    assert heard == ["inner", "outer", "last"]


def test_a_cancelled_callback_does_not_run():
    d, heard = Deferrable(), []
    d.callback(heard.append)
    assert d.cancel_callback(heard.append) is True
    assert d.cancel_callback(heard.append) is False
    d.succeed(1)
    assert heard == []


def test_a_callback_may_cancel_one_that_has_not_run_yet():
    d, heard = Deferrable(), []
    d.callback(lambda _: d.cancel_callback(heard.append)).callback(heard.append)
    d.succeed(1)
    assert heard == []


def test_an_error_must_be_an_exception():
    d = Deferrable()
    with pytest.raises(TypeError, match="'no'"):
        d.fail("no")
    assert d.status == "unknown"


def test_a_coroutine_function_is_refused():
    async def later(_): ...

    d = Deferrable()
    for add in (d.callback, d.errback, d.completion):
        for function in (later, functools.partial(later, 1)):
            with pytest.raises(TypeError, match="await the deferrable"):
                add(function)


def test_a_subclass_needs_no_init_and_shares_nothing():
    class Worker(Deferrable):
        def __init__(self, name):
            self.name = name

    one, other, heard = Worker("one"), Worker("other"), []
    one.callback(lambda v: heard.append(("one", v)))
    other.callback(lambda v: heard.append(("other", v)))
    one.succeed(1)
    assert (one.status, other.status, heard) == ("succeeded", "unknown", [("one", 1)])


async def test_the_original_program_of_2008_works(clock):
    """`class Worker; include EM::Deferrable; def heavy_lifting; 30.times { ... }; succeed`."""

    class Worker(Deferrable):
        async def heavy_lifting(self):
            await asyncio.sleep(0.1 * 30)
            self.succeed(None)

    said, running = [], []
    for _ in range(2):  # `lift` came twice
        worker = Worker()
        worker.callback(lambda _: said.append("Done lifting"))
        running.append(asyncio.ensure_future(worker.heavy_lifting()))
        said.append("Scheduled heavy job...")
    await asyncio.gather(*running)
    assert said == ["Scheduled heavy job..."] * 2 + ["Done lifting"] * 2


async def test_many_may_await_the_value():
    d = Deferrable()
    waiting = [asyncio.ensure_future(_wait(d)) for _ in range(5)]
    await turns()
    d.succeed("all")
    assert await asyncio.gather(*waiting) == ["all"] * 5
    assert await d == "all"


async def test_awaiting_raises_the_error_before_and_after():
    d = Deferrable()
    waiting = asyncio.ensure_future(_wait(d))
    await turns()
    d.fail(KeyError("gone"))
    with pytest.raises(KeyError, match="gone"):
        await waiting
    with pytest.raises(KeyError, match="gone"):
        await d


async def test_an_awaiter_that_gives_up_harms_nobody():
    d, heard = Deferrable(), []
    d.callback(heard.append)
    quitter, patient = (asyncio.ensure_future(_wait(d)) for _ in range(2))
    await turns()
    quitter.cancel()
    await turns()
    assert d.status == "unknown"
    assert len(d._listeners) == 2  # and leaves nothing behind
    d.succeed(7)
    assert (await patient, heard) == (7, [7])
    assert quitter.cancelled()


async def test_an_awaiter_cancelled_in_the_very_moment_of_success_is_cancelled(caplog):
    d = Deferrable()
    waiting = asyncio.ensure_future(_wait(d))
    await turns()
    waiting.cancel()
    d.succeed(1)
    await turns()
    assert waiting.cancelled()
    assert caplog.records == []


async def test_a_timeout_fails_it(clock):
    d = Deferrable().timeout(5)
    with pytest.raises(TimeoutError, match="within 5 s"):
        await d
    assert clock.now == pytest.approx(1005)


async def test_a_timeout_fails_it_with_ones_own_error(clock):
    d = Deferrable().timeout(1, LookupError("nobody"))
    with pytest.raises(LookupError, match="nobody"):
        await d


async def test_a_timeout_after_success_does_nothing(clock):
    d = Deferrable().timeout(5)
    d.succeed(1)
    assert all(handle.cancelled() for handle in asyncio.get_running_loop()._scheduled)
    await clock.advance(10)
    assert d.status == "succeeded"
    d.timeout(5)
    await clock.advance(10)
    assert await d == 1


async def test_a_second_timeout_replaces_the_first(clock):
    d = Deferrable().timeout(1).timeout(5)
    await clock.advance(4)
    assert d.status == "unknown"
    await clock.advance(2)
    assert d.status == "failed"


async def test_a_thread_settles_it_through_the_loop():
    d, loop = Deferrable(), asyncio.get_running_loop()
    threading.Thread(target=lambda: loop.call_soon_threadsafe(d.succeed, "from afar")).start()
    assert await d == "from afar"


async def _wait(d):
    return await d
