"""Who may do what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jabot.access import Access
from jabot.errors import ConfigError
from jabot.jid import JID

OWN = JID("bot@localhost/host-1")
RULES = {
    "alice@example.org": "*",
    "*@example.org": ["lift"],
    "partner.net": ["quote", "lift"],
    "straße@müller.example": ["über"],
}


@pytest.mark.parametrize(
    ("caller", "task", "allowed"),
    [
        ("alice@example.org", "anything", True),
        ("alice@example.org/phone", "anything", True),
        ("Alice@EXAMPLE.org", "anything", True),
        ("bob@example.org", "lift", True),
        ("bob@example.org", "quote", False),
        ("example.org", "lift", True),
        ("bob@partner.net", "quote", True),
        ("partner.net", "quote", True),
        ("bob@partner.net", "Quote", False),
        ("bob@sub.partner.net", "quote", False),
        ("bob@notpartner.net", "quote", False),
        ("partner.net@evil.example", "quote", False),
        ("alice@example.org.evil.example", "lift", False),
        ("alice@evil.example/alice@example.org", "lift", False),
        ("STRASSE@MÜLLER.example", "über", True),
        ("bot@localhost", "anything", True),
        ("bot@localhost/other", "anything", True),
        ("bot@example.net", "lift", False),
        ("carol@localhost", "lift", False),
    ],
)
def test_the_rules(caller, task, allowed):
    assert bool(Access(RULES).may_run(OWN, JID(caller), task)) is allowed


def test_without_rules_only_the_own_account_is_obeyed():
    access = Access()
    assert access.may_run(OWN, JID("bot@localhost/x"), "lift")
    assert access.may_manage(OWN, JID("bot@localhost/x"))
    for caller in ("alice@localhost", "localhost", "bot@elsewhere", "bot.localhost"):
        assert not access.may_run(OWN, JID(caller), "lift")
        assert not access.may_manage(OWN, JID(caller))
        assert not access.knows(OWN, JID(caller))


def test_nobody_is_the_own_account_of_nobody():
    assert not Access().may_run(JID(""), JID(""), "lift")


def test_a_star_is_everybody():
    access = Access({"*": ["lift"]})
    assert access.may_run(OWN, JID("x@y.example/z"), "lift")
    assert not access.may_run(OWN, JID("x@y.example/z"), "exit")


def test_a_caller_has_the_sum_of_the_rules_that_fit():
    access = Access({"*": ["one"], "*@a.example": ["two"], "x@a.example": ["three"]})
    caller = JID("x@a.example")
    assert [bool(access.may_run(OWN, caller, t)) for t in ("one", "two", "three", "four")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_decision_says_why():
    access = Access(RULES)
    may = access.may_run
    assert may(OWN, JID("bob@example.org"), "lift").reason == "the rule for *@example.org allows it"
    assert (
        may(OWN, JID("bob@partner.net"), "x").reason == "the rule for partner.net does not name x"
    )
    assert may(OWN, JID("eve@evil.example/r"), "x").reason == "no rule names eve@evil.example"
    assert "own account" in may(OWN, OWN, "x").reason


def test_to_manage_is_a_right_of_its_own():
    access = Access({"alice@example.org": "*"}, manage=["boss@example.org", "*@ops.example"])
    assert not access.may_manage(OWN, JID("alice@example.org"))
    assert access.may_manage(OWN, JID("boss@example.org/desk"))
    assert access.may_manage(OWN, JID("anybody@ops.example"))
    assert not access.may_run(OWN, JID("boss@example.org"), "lift")


@pytest.mark.parametrize(
    ("caller", "known"),
    [("alice@example.org", True), ("boss@example.org", True), ("eve@example.org", False)],
)
def test_who_has_any_right_is_known(caller, known):
    access = Access({"alice@example.org": ["lift"]}, manage=["boss@example.org"])
    assert access.knows(OWN, JID(caller)) is known


def test_the_tasks_that_rules_name():
    assert set(Access(RULES).named_tasks) == {"lift", "quote", "über"}
    assert Access({"*": "*"}).named_tasks == {}
    assert Access({"a.example": ["lfit"]}).named_tasks == {"lfit": "a.example"}  # whose rule it is


@pytest.mark.parametrize(
    "who",
    [
        "",
        " ",
        "*@",
        "@example.org",
        "alice@",
        " alice@example.org",
        "a b@example.org",
        "al*ce@example.org",
        "alice@*",
        "*@*",
        "**",
        "*.example.org",
        "*@alice@example.org",
        "alice@example.org/phone",
        "*@example.org/phone",
        "example..org",
        "a" * 1100 + "@example.org",
        None,
        5,
        b"alice@example.org",
        ("alice@example.org",),
    ],
)
def test_a_who_that_cannot_be_read_is_refused(who):
    with pytest.raises(ConfigError, match="access rule for"):
        Access({who: "*"})
    with pytest.raises(ConfigError, match="access rule for"):
        Access(manage=[who])


@pytest.mark.parametrize(
    "what", ["lift", "", None, 5, True, ["*"], ["li*"], [""], [None], [["lift"]], {"lift": False}]
)
def test_a_what_that_cannot_be_read_is_refused(what):
    with pytest.raises(ConfigError, match=r"access rule for 'a@b\.c'"):
        Access({"a@b.c": what})


@pytest.mark.parametrize("allow", [["a@b.c"], "a@b.c", ["ab"], 5, [("a@b.c", "*")]])
def test_rules_that_are_no_mapping_are_refused(allow):
    with pytest.raises(ConfigError, match="allow="):
        Access(allow)


@pytest.mark.parametrize("manage", ["a@b.c", "*", None, 5])
def test_managers_that_are_no_list_are_refused(manage):
    with pytest.raises(ConfigError, match="manage="):
        Access(manage=manage)


names = st.sampled_from(["alice", "bob", "ünal"])
domains = st.sampled_from(["a.example", "b.example", "sub.a.example"])
whos = st.one_of(
    st.just("*"),
    domains,
    domains.map("*@{}".format),
    st.builds("{}@{}".format, names, domains),
)
whats = st.one_of(st.just("*"), st.lists(st.sampled_from(["lift", "quote"]), max_size=2))


@given(st.dictionaries(whos, whats), whos, whats, names, domains)
def test_a_rule_more_never_takes_a_right_away(rules, who, what, name, domain):
    before, after = Access(rules), Access({who: what} | rules)
    caller = JID(f"{name}@{domain}")
    for task in ("lift", "quote"):
        assert not before.may_run(OWN, caller, task) or after.may_run(OWN, caller, task)


@given(st.dictionaries(whos, whats), names, domains, st.text("abc", min_size=1, max_size=5))
def test_a_resource_and_letter_case_change_no_right(rules, name, domain, resource):
    access, plain = Access(rules), JID(f"{name}@{domain}")
    other = JID(f"{name.upper()}@{domain.upper()}/{resource}")
    for task in ("lift", "quote"):
        assert access.may_run(OWN, plain, task) == access.may_run(OWN, other, task)
    assert access.knows(OWN, plain) == access.knows(OWN, other)


@given(st.dictionaries(whos, whats), names, domains)
def test_who_may_run_something_is_known(rules, name, domain):
    access, caller = Access(rules), JID(f"{name}@{domain}")
    if access.may_run(OWN, caller, "lift"):
        assert access.knows(OWN, caller)


def test_a_queue_may_have_all_run_and_manages_nothing():
    access = Access({"ann@x": ["lift"]})
    queue, own = JID("jobs@x/one"), JID("bot@x/1")
    assert not access.may_run(own, queue, "lift")
    assert not access.knows(own, queue)
    access.work_for("jobs@x")
    assert access.may_run(own, queue, "secret").reason == "the node works for the queue jobs@x"
    assert access.knows(own, queue)
    assert not access.may_manage(own, queue)
    assert not access.may_run(own, JID("jobs@y/one"), "lift")


def test_a_task_for_all_is_for_whoever_has_any_right():
    access = Access({"alice@example.org": ["lift"], "poor@example.org": []}, ["boss@example.org"])
    access.may_run(OWN, JID("alice@example.org"), "queue.stats")  # what was decided before
    access.offer_to_all(["queue.stats"])
    for caller, allowed in [
        ("alice@example.org", True),
        ("boss@example.org", True),
        ("bot@localhost", True),
        ("poor@example.org", False),
        ("eve@example.org", False),
    ]:
        assert bool(access.may_run(OWN, JID(caller), "queue.stats")) == allowed, caller
    assert not access.may_run(OWN, JID("alice@example.org"), "queue.other")
    assert set(access.named_tasks) == {"lift"}
