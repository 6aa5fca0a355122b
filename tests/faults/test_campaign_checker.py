"""The judge of the fault campaign finds what must not be, planted into a good history."""

import dataclasses

from campaign.checker import Crash, History, Lost, Outcome, Run, Stored, judge
from campaign.plan import KINDS, plan


def run(job, attempt=1, worker="w1", began=1.0, *, number=1, **more):
    """One that returned something of its own, unless told otherwise."""
    if not more:
        more = {"result": f"{job} {attempt} {worker}", "ended": began + 0.5}
    return Run(job, number, attempt, worker, began, **more)


def stored(job, attempt=1, worker="w1", number=1, **more):
    more = {"state": "succeeded", "result": f"{job} {attempt} {worker}", **more}
    return Stored(job, number=number, attempt=attempt, **more)


GOOD = History(
    submitted=[1, 2],
    acknowledged=[(1, "a"), (2, "b")],
    runs=[run("a"), run("b", number=2)],
    outcomes=[Outcome("a", "a 1 w1"), Outcome("b", "b 1 w1")],
    stored={"a": stored("a"), "b": stored("b", number=2)},
)


def judged(**changes):
    return judge(dataclasses.replace(GOOD, **changes))


def only(verdict, **figures):
    """The figures that must be 0, as they are: those that are named, and 0 for the others."""
    names = ("lost", "unexpected", "double_committed", "unexplained")
    assert {name: getattr(verdict, name) for name in names} == dict.fromkeys(names, 0) | figures
    assert verdict.holds == (not any(figures.values()))
    assert len(verdict.problems) == sum(figures.values())


def test_a_history_without_a_fault_holds():
    verdict = judge(GOOD)
    only(verdict)
    assert str(verdict) == (
        "jobs=2 executed=2 lost=0 unexpected=0 double_committed=0 duplicates=0 unexplained=0"
    )


def test_a_submit_that_nobody_answered_may_have_come_to_anything():
    only(judged(submitted=[1, 2, 3]))
    kept = {**GOOD.stored, "c": stored("c", number=3, state="available", result=None)}
    only(judged(submitted=[1, 2, 3], stored=kept))


# -- lost ------------------------------------------------------------------------------------------


def test_a_job_that_is_not_in_the_store_is_lost():
    only(judged(stored={"a": GOOD.stored["a"]}, runs=[run("a")]), lost=1)


def test_a_job_that_never_ended_is_lost():
    waiting = stored("b", number=2, state="available", result=None)
    only(judged(stored={**GOOD.stored, "b": waiting}, outcomes=GOOD.outcomes[:1]), lost=1)


def test_a_job_that_succeeded_and_was_not_executed_is_lost():
    only(judged(runs=[run("a")]), lost=1)
    begun = Run("b", 2, 1, "w1", 1.0)
    verdict = judged(runs=[run("a"), begun])
    assert verdict.lost == 1


def test_a_job_whose_caller_was_not_told_is_lost():
    only(judged(outcomes=GOOD.outcomes[:1]), lost=1)
    only(judged(unknown=["b"]), lost=1)


def test_a_failure_needs_a_cause():
    def failed(error, code):
        kept = stored("b", number=2, state="failed", result=None, error=error, code=code)
        return {
            "stored": {**GOOD.stored, "b": kept},
            "outcomes": [GOOD.outcomes[0], Outcome("b", error=error)],
        }

    raised = run("b", number=2, raised=True)
    only(judged(**failed("Oops", "task"), runs=[run("a"), raised]))
    only(judged(**failed("Oops", "task"), runs=[run("a")]), lost=1)
    only(judged(**failed("WorkerLost", "lost"), runs=[run("a")]), lost=1)
    only(judged(**failed("WorkerLost", "lost"), runs=[run("a")], lost=[Lost("b", 1)]))
    only(judged(**failed("ParentFailed", "parent"), runs=[run("a")]))
    only(judged(**failed("NotAllowed", "refused"), runs=[run("a")]), lost=1)


def test_only_a_job_that_was_to_expire_may():
    kept = stored("b", number=2, state="failed", result=None, error="Expired", code="expired")
    told = [GOOD.outcomes[0], Outcome("b", error="Expired")]
    expired = {"stored": {**GOOD.stored, "b": kept}, "outcomes": told, "runs": [run("a")]}
    only(judged(**expired), lost=1)
    expired["stored"]["b"] = dataclasses.replace(kept, expires=True)
    only(judged(**expired))


def test_a_cancelled_job_need_not_be_executed():
    kept = stored("b", number=2, state="cancelled", result=None, error="JobCancelled")
    told = [GOOD.outcomes[0], Outcome("b", error="JobCancelled")]
    only(judged(stored={**GOOD.stored, "b": kept}, outcomes=told, runs=[run("a")]))


# -- unexpected ------------------------------------------------------------------------------------


def test_what_nobody_submitted_is_unexpected():
    stray = run("c", number=3)
    only(judged(runs=[*GOOD.runs, stray], stored={**GOOD.stored, "c": stored("c")}), unexpected=1)
    only(judged(stored={**GOOD.stored, "c": stored("c", number=3)}), unexpected=1)


def test_a_job_that_runs_as_another_is_unexpected():
    only(judged(runs=[run("a"), run("b", number=1)]), unexpected=1)


def test_a_job_that_runs_and_is_not_kept_is_unexpected():
    only(judged(runs=[*GOOD.runs, run("c", number=1)]), unexpected=1)


# -- committed twice -------------------------------------------------------------------------------


def test_two_outcomes_that_callers_were_told_are_one_too_many():
    only(judged(outcomes=[*GOOD.outcomes, Outcome("b", "another")]), double_committed=1)
    only(judged(outcomes=[*GOOD.outcomes, Outcome("b", error="Oops")]), double_committed=1)


def test_an_outcome_that_is_told_twice_is_one():
    only(judged(outcomes=[*GOOD.outcomes, *GOOD.outcomes]))


def test_an_outcome_that_is_not_the_stores_is_one_too_many():
    verdict = judged(stored={**GOOD.stored, "b": stored("b", attempt=2, number=2)})
    assert verdict.double_committed == 1


def test_the_result_of_an_attempt_that_was_given_to_another_is_not_to_be_kept():
    """A zombie's: attempt 2 began elsewhere, and attempt 1's result was kept."""
    runs = [run("a"), run("b", number=2), run("b", 2, "w2", 3.0, number=2)]
    kept = {**GOOD.stored, "b": stored("b", attempt=2, number=2, result="b 1 w1")}
    only(judged(runs=runs, stored=kept, lost=[Lost("b", 1)]), double_committed=1)
    kept["b"] = stored("b", 2, "w2", 2)
    told = [GOOD.outcomes[0], Outcome("b", "b 2 w2")]
    only(judged(runs=runs, stored=kept, outcomes=told, lost=[Lost("b", 1)]))


def test_a_worker_may_go_on_with_an_attempt_under_its_next_number():
    kept = {**GOOD.stored, "b": stored("b", attempt=2, number=2, result="b 1 w1")}
    only(judged(stored=kept))


def test_what_a_second_id_of_a_job_tells_counts_as_the_jobs():
    more = {"acknowledged": [*GOOD.acknowledged, (2, "bb")], "aliases": {"bb": "b"}}
    only(judged(**more, outcomes=[*GOOD.outcomes, Outcome("bb", "b 1 w1")]))
    only(judged(**more, outcomes=[*GOOD.outcomes, Outcome("bb", "x")]), double_committed=1)


# -- duplicates ------------------------------------------------------------------------------------

TWICE = {
    "runs": [run("a"), run("b", number=2), run("b", 2, "w2", 3.0, number=2)],
    "stored": {**GOOD.stored, "b": stored("b", 2, "w2", 2)},
    "outcomes": [GOOD.outcomes[0], Outcome("b", "b 2 w2")],
}


def test_a_second_execution_without_a_reason_is_unexplained():
    verdict = judged(**TWICE)
    only(verdict, unexplained=1)
    assert verdict.duplicates == 1


def test_a_logged_loss_explains_it():
    verdict = judged(**TWICE, lost=[Lost("b", 1)])
    only(verdict)
    assert verdict.duplicates == 1
    only(judged(**TWICE, lost=[Lost("b", 2)]), unexplained=1)
    only(judged(**TWICE, lost=[Lost("a", 1)]), unexplained=1)


def test_a_crash_of_its_worker_explains_it():
    only(judged(**TWICE, crashes=[Crash("w1", 2.0)]))
    only(judged(**TWICE, crashes=[Crash("w2", 2.0)]), unexplained=1)
    only(judged(**TWICE, crashes=[Crash("w1", 0.5)]), unexplained=1)
    only(judged(**TWICE, crashes=[Crash("w1", 3.5)]), unexplained=1)


def test_one_attempt_that_runs_twice_is_never_explained():
    runs = [run("a"), run("b", number=2), run("b", 1, "w2", 3.0, number=2)]
    verdict = judged(runs=runs, lost=[Lost("b", 1)], crashes=[Crash("w1", 2.0)])
    only(verdict, unexplained=1)


def test_an_attempt_that_comes_late_to_its_worker_is_explained_by_its_own_loss():
    runs = [run("a"), run("b", 2, "w2", 1.0, number=2), run("b", number=2, began=3.0)]
    only(judged(**TWICE | {"runs": runs}, lost=[Lost("b", 1)]))
    only(judged(**TWICE | {"runs": runs}, lost=[Lost("b", 2)]), unexplained=1)


def test_a_run_after_an_error_is_no_duplicate_of_a_job_with_retries():
    runs = [run("a"), run("b", number=2, raised=True), run("b", 2, "w2", 3.0, number=2)]
    kept = {"a": stored("a"), "b": stored("b", 2, "w2", number=2, retries=True)}
    verdict = judged(**TWICE | {"runs": runs, "stored": kept})
    only(verdict)
    assert verdict.duplicates == 0
    only(judged(**TWICE | {"runs": runs}), unexplained=1)


# -- the plan --------------------------------------------------------------------------------------

TARGETS = {
    "worker": ["worker1", "worker2"],
    "queue": ["queue1"],
    "caller": ["caller1"],
    "server": ["server"],
    "store": ["store"],
    "disk": ["disk"],
}


def test_a_plan_follows_from_its_seed():
    assert plan(7, 600, 3.0, TARGETS) == plan(7, 600, 3.0, TARGETS)
    assert plan(7, 600, 3.0, TARGETS) != plan(8, 600, 3.0, TARGETS)


def test_a_long_plan_has_each_fault_in_each_role():
    faults = plan(7, 1200, 3.0, TARGETS)
    roles = {name: role for role, names in TARGETS.items() for name in names}
    had = {(fault.kind, roles[fault.target]) for fault in faults}
    assert had == {(kind, role) for kind, roles in KINDS.items() for role in roles}
    assert {fault.detail for fault in faults if fault.kind == "cut"} == {"both", "from", "to"}


def test_no_two_faults_work_on_the_same_thing_at_a_time():
    faults = plan(7, 600, 3.0, TARGETS)
    for i, fault in enumerate(faults):
        for other in faults[i + 1 :]:
            if other.claims == fault.claims:
                assert other.at >= fault.at + fault.lasts


def test_a_short_plan_has_most_kinds_and_ends_in_time():
    faults = plan(7, 15, 2.0, TARGETS)
    assert len({fault.kind for fault in faults}) >= 4
    assert max(fault.at + fault.lasts for fault in faults) <= 17
