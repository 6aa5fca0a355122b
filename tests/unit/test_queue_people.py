"""A queue tells people of their jobs: at least once, and what the server has no second time."""

import pytest
from msgspec import Raw

from jabot.jid import JID
from jabot.protocol.frames import Failed, Progress, Submit, Succeeded
from jabot.protocol.options import NO_OPTIONS
from jabot.queue.store.store import News
from jabot.queue.store.verbs import Add, Claim, Finish, Look, Told
from jabot.xmpp.stanzas import CHAT_STATES, CORRECT, IncomingText
from unit.clock import turns
from unit.queue_house import BOT, QUEUE, House

ANN = "ann@localhost/phone"
OTHER_NODE = "jobs@localhost/q-2"


class Hall(House):
    """A queue that Ann talks to."""

    def __init__(self, monkeypatch, clock, **options):
        allow = {"app@localhost": "*", "ann@localhost": ["lift", "dance"]}
        super().__init__(monkeypatch, clock, allow=allow, **options)
        self.people = self.serving.people

    async def __aenter__(self):
        await super().__aenter__()
        self.people.start()
        self.session.can = frozenset({CHAT_STATES, CORRECT})
        await self.work()
        return self

    async def __aexit__(self, *given):
        self.people.close()
        self.serving.chat.close()
        await super().__aexit__(*given)

    async def hear(self, line):
        """Ann says something; what is answered."""
        own = self.session.jid
        self.serving.chat.received(
            IncomingText(JID(ANN), own, line, "x", "chat", False, None, None, False)
        )
        await turns()
        return self.said()

    def said(self):
        """The texts since the last call; the server has them."""
        told, self.session.texts = self.session.texts, []
        for _, arrived in told:
            if arrived is not None:
                arrived(True)
        return [text.body for text, _ in told]

    def typed(self):
        """The typing states and corrections since the last call."""
        elements, self.session.elements = self.session.elements, []
        bodies = [element.findtext("{jabber:client}body") for element in elements]
        tags = [[c.tag.rpartition("}")[2] for c in element] for element in elements]
        return [body or "composing" for body, tag in zip(bodies, tags, strict=True) if tag]

    async def record(self, job_id):
        return (await self.shelf.apply([Look(job_id)]))[0]

    async def ended_before(self, count, teller="jobs@localhost/of-before"):
        """Jobs that an earlier run of the queue had ended, and told nobody of."""
        ids = [f"j{number:03}" for number in range(count)]
        empty = (Raw(b"[]"), Raw(b"{}"), NO_OPTIONS, {}, 0.0)
        adds = [Add(i, "ann@localhost", "old", *empty, person=ANN, teller=teller) for i in ids]
        await self.shelf.apply([*adds, Claim("n", "w", ["old"], count, 0.0)])
        ends = [Finish(i, 1, "succeed", float(n), result=Raw(b"1")) for n, i in enumerate(ids)]
        await self.shelf.apply(ends)
        return ids


@pytest.fixture
async def hall(monkeypatch, clock):
    async with Hall(monkeypatch, clock) as hall:
        yield hall


async def given(hall):
    """The job that the worker has been given."""
    (submit,) = hall.heard(BOT, Submit)
    return submit


async def test_a_line_is_a_job_of_its_person(hall):
    (said,) = await hall.hear("lift 3 how=fast")
    submit = await given(hall)
    assert said == f"Scheduled lift, job {submit.id[-4:]}."
    assert (bytes(submit.args), bytes(submit.kwargs)) == (b'["3"]', b'{"how":"fast"}')
    assert submit.caller == ANN
    record = await hall.record(submit.id)
    assert (record.owner, record.person, record.teller) == ("ann@localhost", ANN, QUEUE)


async def test_it_is_told_until_the_server_has_it(hall, clock):
    await hall.hear("lift")
    submit = await given(hall)
    await hall.tell(BOT, Succeeded(submit.id, 1, Raw(b'"Lifted"')))
    ((text, arrived),) = hall.session.texts
    assert text.body == f"lift {submit.id[-4:]} is done: Lifted"
    assert str(text.to) == ANN
    assert (await hall.record(submit.id)).teller == QUEUE
    hall.serving._heard(News("ended", submit.id))
    hall.serving.callers.tell_of([submit.id])
    await clock.advance(100)
    assert len(hall.session.texts) == 1  # it waits for the line, and is not said again
    arrived(False)  # given up
    await clock.advance(31)
    assert len(hall.session.texts) == 2
    assert hall.said()[1] == text.body
    await turns()
    record = await hall.record(submit.id)
    assert (record.teller, record.delivered) == ("", True)
    await clock.advance(100)
    assert hall.said() == []


async def test_failures_and_what_was_called_off_are_told_in_words(hall):
    await hall.hear("lift")
    submit = await given(hall)
    await hall.tell(BOT, Failed(submit.id, 1, "ValueError", "größer", "Traceback"))
    assert hall.said() == [f"lift {submit.id[-4:]} failed: ValueError: größer"]
    await hall.hear("dance")
    assert await hall.hear("help dance") == ["Dunno how to dance"]
    await hall.work(slots=0)
    (said,) = await hall.hear("lift")
    job = said[-5:-1]
    assert await hall.hear(f"cancel {job}") == [
        f"lift {job} was cancelled.",
        f"Cancelling lift {job}.",
    ]


async def test_what_an_earlier_run_left_is_told_a_hundred_at_a_time(hall, clock):
    ids = await hall.ended_before(250)
    hall.people.start()
    told = []
    for _ in range(3):
        await clock.advance(31)
        assert len(hall.session.texts) <= 100
        told += hall.said()
        await turns()
    assert sorted(told) == sorted(f"old {i[-4:]} is done: 1" for i in ids)
    assert {(await hall.record(i)).teller for i in ids} == {""}


async def test_ends_that_come_faster_than_the_line_takes_them_wait_in_the_store(hall, clock):
    ids = await hall.ended_before(150, QUEUE)
    for _ in range(2):  # each comes twice: from here, and as news
        hall.serving.callers.tell_of(ids)
        await turns()
    assert len(hall.session.texts) == 100
    told = hall.said()
    await clock.advance(1)  # there is room again: it does not wait for the next look
    told += hall.said()
    assert sorted(told) == sorted(f"old {i[-4:]} is done: 1" for i in ids)


async def test_what_could_not_be_noted_is_noted_later_and_not_said_again(hall, clock):
    (job,) = await hall.ended_before(1)
    hall.people.start()
    await clock.advance(1)
    hall.shelf.away = True
    assert hall.said() == ["old j000 is done: 1"]
    await clock.advance(40)
    hall.shelf.away = False
    await clock.advance(40)
    assert hall.said() == []
    assert (await hall.record(job)).teller == ""
    assert len(hall.shelf.said(Told)) >= 1


async def test_it_types_while_it_runs_and_not_before(hall, clock):
    await hall.work(slots=0)
    await hall.hear("lift")
    await clock.advance(60)
    assert hall.typed() == []
    await hall.work(slots=1)
    await clock.advance(1)
    assert hall.typed() == ["composing"]
    submit = await given(hall)
    await hall.tell(BOT, Progress(submit.id, 1, 1, 5, 10))
    await clock.advance(2)
    assert hall.typed() == [f"lift {submit.id[-4:]}: 5 of 10 (50%)"]
    assert (await hall.hear("jobs"))[0].endswith("5 of 10 (50%)")


async def test_what_happens_at_another_node_is_shown_and_told_here(hall, clock):
    await hall.work(slots=0)
    (said,) = await hall.hear("lift")
    (found,) = hall.shelf.said(Add)[-1:]
    await hall.shelf.apply([Claim(OTHER_NODE, "w", ["lift"], 1, 0.0)])
    step = '{"reply_to":"","step":["progress","%s",1,%d,%s,10,null]}'
    for number, done in ((0, "null"), (1, "5")):
        hall.serving._heard(News("progress", found.id, step % (found.id, number, done)))
        await clock.advance(2)
    assert hall.typed() == ["composing", f"lift {found.id[-4:]}: 5 of 10 (50%)"]
    await hall.shelf.apply([Finish(found.id, 1, "succeed", 0.0, result=Raw(b"null"))])
    hall.serving._heard(News("ended", found.id))
    await turns()
    assert hall.said() == [f"lift {found.id[-4:]} is done."]
    assert said.startswith("Scheduled")


async def test_another_node_that_is_to_tell_does(hall):
    record = await hall.record((await hall.ended_before(1, OTHER_NODE))[0])
    hall.people._alone = False
    hall.people.ended(record)
    await turns()
    assert hall.said() == []


async def test_who_asks_for_too_much_or_too_late_is_told(monkeypatch, clock):
    async with Hall(monkeypatch, clock, jobs_per_caller=1) as hall:
        await hall.hear("lift")
        (said,) = await hall.hear("lift")
        assert said.startswith("1 of your jobs in this queue are unfinished, and 1 are allowed")
        hall.serving.runner.draining = True
        assert await hall.hear("lift") == ["I am stopping and take no new jobs."]
        hall.serving.runner.draining = False
        hall.shelf.away = True
        (said,) = await hall.hear("lift")
        assert said == "The store is away."


async def test_lines_of_one_person_are_answered_in_their_order(hall):
    own = hall.session.jid
    for line in ("lift 1", "jobs", "lift 2", "jobs"):
        hall.serving.chat.received(
            IncomingText(JID(ANN), own, line, "x", "chat", False, None, None, False)
        )
    await turns(200)
    one, listed, two, both = hall.said()
    assert (one[:9], two[:9]) == ("Scheduled", "Scheduled")
    assert len(listed.splitlines()) == 1
    assert len(both.splitlines()) == 2
