"""What a program writes, cut into progress."""

from hypothesis import given, settings
from hypothesis import strategies as st

from jabot.runner.output import Output


def collect():
    steps = []
    return Output(lambda step: steps.append(step.text)), steps


async def test_lines_that_come_together_are_one_step(clock):
    output, steps = collect()
    output.feed("één\ntwee\ndr".encode())
    await clock.advance(0)
    assert steps == ["één\ntwee"]
    output.feed(b"ie\n")
    output.feed(b"vier\n")
    await clock.advance(0.09)
    assert steps[1:] == []
    await clock.advance(0.02)
    assert steps[1:] == ["drie\nvier"]
    output.feed(b"no end")
    output.close()
    assert steps[2:] == ["no end"]
    assert output.last(2) == "vier\nno end"
    await clock.advance(1)
    assert len(steps) == 3


async def test_a_bar_of_progress_is_lines_and_colours_are_taken_out(clock):
    output, steps = collect()
    output.feed(b"10%\r20%\r\x1b[1;31m30%\x1b[0m\x07\r")
    output.feed(b"\nfine\r\n\tindented")
    output.close()
    assert "\n".join(steps).split("\n") == ["10%", "20%", "30%", "fine", "\tindented"]


async def test_a_character_may_come_in_two_pieces_and_what_is_none_is_replaced(clock):
    output, steps = collect()
    piece = "ß\n".encode()
    output.feed(piece[:1])
    output.feed(piece[1:] + b"\xff\n\xc3")
    output.close()
    assert steps == ["ß\n\ufffd\n\ufffd"]


async def test_a_long_line_is_cut(clock):
    output, steps = collect()
    for _ in range(100):
        output.feed(b"x" * 60_000)
    assert len(output._rest) < 100_000
    output.feed(b"\nafter\n")
    output.close()
    line, after = steps[0].split("\n")
    assert (len(line), line[-1], after) == (1000, "…", "after")


async def test_of_a_flood_the_newest_lines_are_told_and_how_many_are_not(clock):
    output, steps = collect()
    for start in range(0, 100_000, 10_000):
        output.feed("".join(f"{n}\n" for n in range(start, start + 10_000)).encode())
    output.close()
    [step] = steps
    first, *lines = step.split("\n")
    assert lines == [str(n) for n in range(100_000 - len(lines), 100_000)]
    assert len(lines) >= 500
    assert first == f"... {100_000 - len(lines)} lines left out ..."
    assert len(step) <= 4096  # as the wire takes it
    assert output.last().count("\n") == 19


async def test_of_long_lines_there_are_told_4000_characters(clock):
    output, steps = collect()
    lines = [f"{n:099}" for n in range(100)]
    output.feed("\n".join([*lines, ""]).encode())
    output.close()
    assert steps == ["\n".join(["... 60 lines left out ...", *lines[60:]])]


async def test_a_flood_of_short_lines_does_not_hold_up_the_loop(monkeypatch):
    """Of most lines it finds out no more than that they are there."""
    looked_at, add = [], Output._add
    monkeypatch.setattr(Output, "_add", lambda *given: (looked_at.append(1), add(*given)))
    output, _ = collect()
    output.feed(b"y\n" * 32_768)
    output.close()
    assert len(looked_at) == 500


async def test_an_empty_output_is_no_progress(clock):
    output, steps = collect()
    output.close()
    output, steps = collect()
    output.feed(b"\n")
    output.close()
    assert steps == []


@settings(max_examples=50)
@given(st.lists(st.binary()))
def test_whatever_a_program_writes_can_be_told(pieces):
    import asyncio

    async def main():
        output, steps = collect()
        for piece in pieces:
            output.feed(piece)
        output.close()
        for step in steps:
            assert step.encode()
            assert len(step) <= 4096
            assert not set(step) & {"\x00", "\x1b", "\x08", "\r"}

    asyncio.run(main())
