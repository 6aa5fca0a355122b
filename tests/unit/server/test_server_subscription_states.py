"""The table of RFC 6121 appendix A, written out once more, the way the RFC does."""

import pytest

from jabot.server.subscription_states import KINDS, State, Step, inbound, outbound

S = State
ORDER = [S.NONE, S.NONE_ASK, S.NONE_REQUEST, S.NONE_ASK_REQUEST, S.TO, S.TO_REQUEST, S.FROM,
         S.FROM_ASK, S.BOTH]  # fmt: skip

# For each state, in the order above: the next state (None: no change) and whether it is passed on.
OUTBOUND = {
    "subscribe": [(S.NONE_ASK, 1), (None, 1), (S.NONE_ASK_REQUEST, 1), (None, 1), (None, 1),
                  (None, 1), (S.FROM_ASK, 1), (None, 1), (None, 1)],
    "unsubscribe": [(None, 1), (S.NONE, 1), (None, 1), (S.NONE_REQUEST, 1), (S.NONE, 1),
                    (S.NONE_REQUEST, 1), (None, 1), (S.FROM, 1), (S.FROM, 1)],
    "subscribed": [(None, 0), (None, 0), (S.FROM, 1), (S.FROM_ASK, 1), (None, 0), (S.BOTH, 1),
                   (None, 0), (None, 0), (None, 0)],
    "unsubscribed": [(None, 0), (None, 0), (S.NONE, 1), (S.NONE_ASK, 1), (None, 0), (S.TO, 1),
                     (S.NONE, 1), (S.NONE_ASK, 1), (S.TO, 1)],
}  # fmt: skip
INBOUND = {
    "subscribe": [(S.NONE_REQUEST, 1), (S.NONE_ASK_REQUEST, 1), (None, 0), (None, 0),
                  (S.TO_REQUEST, 1), (None, 0), (None, 0), (None, 0), (None, 0)],
    "unsubscribe": [(None, 0), (None, 0), (S.NONE, 1), (S.NONE_ASK, 1), (None, 0), (S.TO, 1),
                    (S.NONE, 1), (S.NONE_ASK, 1), (S.TO, 1)],
    "subscribed": [(None, 0), (S.TO, 1), (None, 0), (S.TO_REQUEST, 1), (None, 0), (None, 0),
                   (None, 0), (S.BOTH, 1), (None, 0)],
    "unsubscribed": [(None, 0), (S.NONE, 1), (None, 0), (S.NONE_REQUEST, 1), (S.NONE, 1),
                     (S.NONE_REQUEST, 1), (None, 0), (S.FROM, 1), (S.FROM, 1)],
}  # fmt: skip


def cases(table):
    return [
        (state, kind, Step(state if after is None else after, bool(passed)))
        for kind, row in table.items()
        for state, (after, passed) in zip(ORDER, row, strict=True)
    ]


@pytest.mark.parametrize(("state", "kind", "expected"), cases(OUTBOUND))
def test_outbound(state, kind, expected):
    assert outbound(state, kind) == expected


@pytest.mark.parametrize(("state", "kind", "expected"), cases(INBOUND))
def test_inbound(state, kind, expected):
    assert inbound(state, kind) == expected


def test_every_kind_is_in_both_tables():
    assert set(OUTBOUND) == set(INBOUND) == KINDS
