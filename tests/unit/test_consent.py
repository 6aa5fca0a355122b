"""From whom the sight of a node is taken when it starts, and from whom never."""

import asyncio
from xml.etree import ElementTree as ET

import pytest

from jabot.consent import Consent
from jabot.errors import ConnectionFailed
from jabot.jid import JID

ROSTER = """<query xmlns='jabber:iq:roster'>
<item jid='old@localhost' subscription='from'/>
<item jid='ann@localhost' subscription='from'/>
<item jid='bob@localhost' subscription='both'/>
<item jid='named@localhost' subscription='from' name='Named'/>
<item jid='shared@localhost' subscription='from'><group>gym</group></item>
<item jid='wanted@localhost' subscription='from' ask='subscribe'/>
<item jid='none@localhost' subscription='none'/>
</query>"""


class Session:
    """Gives a contact list, or raises; notes what is sent."""

    def __init__(self, *answers):
        self.answers, self.sent, self.requests = list(answers), [], self

    async def ask(self, kind, to, payload):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return ET.fromstring(answer)

    def send(self, stanza):
        self.sent.append((stanza.get("to"), stanza.get("type")))


async def starting(session, *, is_ours=True, connections=1):
    known = {JID("ann@localhost")}
    consent = Consent(session, lambda jid: jid in known, lambda: is_ours)
    for _ in range(connections):
        consent.joined()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        consent.offline()
    return session.sent


async def test_only_those_whom_a_node_let_in_and_would_not_now():
    assert await starting(Session(ROSTER)) == [("old@localhost", "unsubscribed")]


async def test_once_is_enough():
    assert len(await starting(Session(ROSTER), connections=3)) == 1


async def test_nobody_where_people_know_another_program_of_the_account():
    assert await starting(Session(), is_ours=False) == []


@pytest.mark.parametrize("problem", [ConnectionFailed("gone"), TimeoutError()])
async def test_a_list_that_cannot_be_had_is_asked_for_again(problem, caplog):
    told = await starting(Session(problem, ROSTER), connections=2)
    assert told == [("old@localhost", "unsubscribed")]
    assert "does not tell who sees this node" in caplog.text
