"""Piles, windows, parts."""

import os

import pytest

from jabot.errors import RemoteProtocolError, TooLarge
from jabot.protocol import limits
from jabot.protocol.codec import Damaged, decode_batch
from jabot.protocol.frames import Part, Progress, Query, Raw, Submit, Succeeded
from jabot.protocol.parts import Joiner, split
from jabot.protocol.window import Window
from jabot.protocol.windows import Windows

PEER = "w@x/1"


def frames_of(batch):
    return decode_batch(batch.text, deflated=batch.deflated)


def ids_of(batch):
    return [frame.id for frame in frames_of(batch)]


def window(count=0, size=limits.WINDOW):
    made = Window(PEER, size=size)
    for number in range(count):
        made.push(Query(f"{number}"))
    return made


def test_an_idle_window_sends_at_once_and_a_full_one_piles_up():
    made = window(size=2)
    sent = []
    for number in range(5):
        made.push(Query(f"{number}"))
        if (batch := made.take()) is not None:
            sent.append(batch)
    assert [ids_of(batch) for batch in sent] == [["0"], ["1"]]
    assert (made.waiting, made.unanswered) == (3, 2)
    assert made.answered(sent[0].id) == [Query("0")]
    assert ids_of(made.take()) == ["2", "3", "4"]
    assert made.take() is None


def test_a_batch_takes_no_more_than_the_caps():
    made = window(300)
    assert made.take().frames == limits.BATCH_FRAMES
    assert made.take().frames == 300 - limits.BATCH_FRAMES
    for number in range(20):
        made.push(large_frame(number))
    sizes = []
    while (batch := made.take()) is not None:
        sizes.append(batch.frames)
        assert len(batch.text) <= limits.BATCH_SENT
    assert sum(sizes) == 20
    assert len(sizes) > 1


def large_frame(number):
    return Succeeded(f"{number}", 1, Raw(b'"' + os.urandom(4000).hex().encode() + b'"'))


def test_what_failed_goes_to_the_front_in_the_old_order():
    made = window(3, size=3)
    made.push(Query("x"))
    first = made.take()
    made.push(Query("y"))
    second = made.take()
    made.push(Query("z"))
    assert made.failed(second.id) == [Query("y")]
    assert len(made.failed(first.id)) == 4
    assert ids_of(made.take()) == ["0", "1", "2", "x", "y", "z"]


def test_what_is_not_wanted_any_more_is_not_sent_again():
    made = window(3)
    batch = made.take()
    made.failed(batch.id, lambda frame: frame.id != "1")
    assert ids_of(made.take()) == ["0", "2"]


def test_a_late_or_second_answer_means_nothing():
    made = window(1)
    batch = made.take()
    made.failed(batch.id)
    assert made.answered(batch.id) == []
    assert made.failed(batch.id) == []
    assert made.waiting == 1


def test_all_comes_back_when_the_peer_goes():
    made = window(2, size=1)
    made.take()
    made.push(Query("x"))
    leftover = made.gone()
    assert leftover.unanswered == [Query("0"), Query("1")]
    assert leftover.unsent == [Query("x")]
    assert made.idle


def test_a_deep_pile_says_so():
    made = window(limits.PILE_FRAMES - 1)
    assert made.room > 0
    made.push(Query("x"))
    assert made.room == 0
    made.take()
    assert made.room > 0
    made.push(Succeeded("a", 1, Raw(b'"' + os.urandom(limits.MIB).hex().encode() + b'"')))
    assert made.room == 0
    assert not made.choked


def test_progress_of_one_job_does_not_fill_the_pile():
    made = window()
    for step in range(1, 1000):
        made.push(Progress("a", 1, step))
        made.push(Progress("b", 1, step)) if step < 5 else None
    assert made.waiting == limits.PILE_STEPS + 4
    steps = [f.seq for f in frames_of(made.take()) if f.id == "a"]
    assert steps == [*range(1, limits.PILE_STEPS), 999]
    assert made.idle is False
    made.push(Progress("a", 1, 1000))
    assert made.waiting == 1


def test_peers_are_served_in_turn():
    windows = Windows()
    for number in range(2000):
        windows.push("flooded", Query(f"{number}"))
    windows.push("quiet", Query("x"))
    assert [windows.take().peer for _ in range(4)] == ["flooded", "quiet", "flooded", "flooded"]


def test_windows_are_forgotten_when_nothing_is_left():
    windows = Windows()
    windows.push("a", Query("1"))
    batch = windows.take()
    assert len(windows) == 1
    assert windows.answered("a", batch.id) == [Query("1")]
    assert len(windows) == 0
    assert windows.answered("a", batch.id) == []


def test_a_window_that_was_given_up_does_not_stop_the_next_one():
    windows = Windows()
    windows.push("a", Query("1"))
    assert windows.gone("a").unsent == [Query("1")]
    windows.push("a", Query("2"))
    assert ids_of(windows.take()) == ["2"]
    assert windows.all_gone()["a"].unanswered == [Query("2")]


LARGE = Succeeded("big", 1, Raw(b'"' + os.urandom(100_000).hex().encode() + b'"'))


def test_a_large_frame_travels_in_parts_and_counts_as_one():
    windows, joiner = Windows(), Joiner()
    windows.push("a", Query("before"))
    windows.push("a", LARGE)
    windows.push("a", Query("after"))
    batches, got, done = [], [], []
    while (batch := windows.take()) is not None:
        batches.append(batch)
        got += joiner.join("me", frames_of(batch), 0.0)
    assert len(batches) > 2
    for batch in batches:
        done += windows.answered("a", batch.id)
    assert got == done == [Query("before"), LARGE, Query("after")]
    assert joiner.size == 0


def test_a_large_frame_comes_back_whole():
    made = window(size=1)
    made.push(LARGE)
    made.take()
    assert made.gone().unanswered == [LARGE]
    made.push(LARGE)
    batch = made.take()
    assert made.refused(batch.id) == [LARGE]
    assert made.idle  # its other parts went with it
    made.push(LARGE)
    made.failed(made.take().id, lambda frame: False)
    assert made.idle


def test_sixteen_mib_are_carried_and_no_more():
    made = window()
    fits = Succeeded("a", 1, Raw(b'"' + b"x" * (limits.PAYLOAD - 2) + b'"'))
    made.push(fits)
    with pytest.raises(TooLarge, match=r"17\.0 MiB as JSON; 16 MiB are carried"):
        made.push(Succeeded("a", 1, Raw(b'"' + b"x" * (17 * limits.MIB) + b'"')))


def parts_of(key=1):
    from jabot.protocol.codec import encode_frame

    return split(LARGE, encode_frame(LARGE), key)


def test_parts_come_in_any_order_and_twice():
    joiner = Joiner()
    parts = parts_of()
    assert joiner.join("a", [*parts[1:], *parts[1:]], 0.0) == []
    assert joiner.join("b", [parts[0]], 0.0) == []
    assert joiner.join("a", [parts[0]], 0.0) == [LARGE]
    joiner.forget("b")
    assert joiner.size == 0


def test_incomplete_frames_are_bounded_in_every_way():
    joiner = Joiner(most=100_000, most_of_all=150_000)
    piece = "x" * 40_000
    got = [joiner.join("a", [Part(1, n, 9, "job", piece)], 0.0) for n in range(3)]
    assert got[:2] == [[], []]
    assert isinstance(got[2][0], Damaged)
    assert got[2][0].id == "job"
    assert joiner.size == 0
    for peer in "abc":
        joiner.join(peer, [Part(1, 0, 9, "", piece)], 0.0)
    (bad,) = joiner.join("d", [Part(1, 0, 9, "", piece)], 0.0)
    assert isinstance(bad, Damaged)
    assert joiner.size == 120_000
    joiner.tick(limits.JOIN_WITHIN)
    assert joiner.size == 0
    for key in range(1000):
        joiner.join("a", [Part(key, 0, 9, "", "x")], 0.0)
    assert joiner.size == limits.JOINS


@pytest.mark.parametrize(
    "parts",
    [
        [Part(1, 3, 2, "a", "x")],
        [Part(1, 0, 2, "a", "x"), Part(1, 1, 3, "a", "x")],
        [Part(1, 0, 1, "a", "no base64")],
    ],
)
def test_parts_that_contradict_each_other_are_damaged(parts):
    joiner = Joiner()
    (bad,) = joiner.join("a", parts, 0.0)
    assert (bad.kind, bad.id) == ("part", "a")
    assert joiner.size == 0


def test_a_bomb_in_parts_does_not_go_off():
    from jabot.protocol.codec import deflated

    text = deflated(b" " * 40_000_000)
    (bad,) = Joiner().join("a", [Part(1, 0, 1, "a", text)], 0.0)
    assert "more than" in bad.reason


def test_a_submit_with_a_large_argument_is_the_same_after_the_way():
    submit = Submit("a", "t", Raw(b"[" + b"1," * 60_000 + b"1]"))
    windows, joiner = Windows(), Joiner()
    windows.push("a", submit)
    got = []
    while (batch := windows.take()) is not None:
        got += joiner.join("me", frames_of(batch), 0.0)
    assert got == [submit]


def test_remote_errors_are_what_decoding_raises():
    with pytest.raises(RemoteProtocolError):
        decode_batch("x", deflated=True)
