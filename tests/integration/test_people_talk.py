"""People with chat programs of others talk to a bot that `jabot run` started, and to a queue."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from people import PROGRAMS, Person, Profanity
from people.bot import Bot
from servers import Server

HEAVY = Path(__file__).parents[2] / "examples" / "heavy.py"


@pytest.fixture
def bot(xmpp: Server, tmp_path: Path) -> Iterator[Bot]:
    with Bot(HEAVY, xmpp, xmpp.fresh_user("bot"), tmp_path) as bot:
        yield bot


@pytest.fixture(params=PROGRAMS)
def person(xmpp: Server, request: pytest.FixtureRequest) -> Iterator[Person]:
    with PROGRAMS[request.param](xmpp, xmpp.fresh_user("ann")) as person:
        yield person


def test_a_person_gives_a_bot_a_job(bot: Bot, person: Person) -> None:
    person.say(bot.jid, "lift")
    person.hear(bot.jid, "^Scheduled heavy job...$")
    person.hear(bot.jid, "^Done lifting$")


def test_a_person_is_told_what_the_bot_can_t_do(bot: Bot, person: Person) -> None:
    person.say(bot.jid, "dance")
    person.hear(bot.jid, "^Dunno how to dance$")


def test_a_person_is_answered_in_the_order_of_asking(bot: Bot, person: Person) -> None:
    for line in ("dance", "lift seconds=0.1", "sing"):
        person.say(bot.jid, line)
    person.hear(bot.jid, "^Done lifting$")
    person.hear(bot.jid, "^Dunno how to sing$")
    answers = ["Dunno how to dance", "Scheduled heavy job...", "Dunno how to sing"]
    assert [line for line in person.received(bot.jid) if line in answers] == answers


def test_a_person_gives_a_queue_a_job(xmpp: Server, tmp_path: Path) -> None:
    jobs, worker, account = (xmpp.fresh_user(name) for name in ("jobs", "bot", "ann"))
    rights = ("--allow", account.jid, "--work", worker.jid)
    with (
        Bot(None, xmpp, jobs, tmp_path, *rights) as queue,
        Bot(HEAVY, xmpp, worker, tmp_path, "--queue", jobs.jid),
        Profanity(xmpp, account) as person,
    ):
        queue.await_log(rf"{worker.jid}/\S+ works here")
        person.say(queue.jid, "dance")
        person.hear(queue.jid, "^Dunno how to dance$")
        person.say(queue.jid, "lift seconds=0.1")
        person.hear(queue.jid, "^Scheduled heavy job...$")
        person.hear(queue.jid, "^Done lifting$")
