"""What the line below the prompt of a chat says."""

from jabot.account import Account
from jabot.cli.terminal import Conversation
from jabot.jid import JID
from jabot.xmpp import IncomingPresence


def shown(status):
    ann, bot = JID("ann@localhost"), JID("bot@localhost/1")
    return IncomingPresence(bot, ann, "available", "", status, None)


def test_what_is_told_of_a_job_goes_with_its_end():
    chat = Conversation(Account(JID("ann@localhost"), "x"), JID("bot@localhost"))
    ear = chat._ear()
    ear.presence(shown("0 of 8 running"))
    assert chat.state == "bot is online: 0 of 8 running"
    ear.typing(True)
    ear.said("Scheduled lift, job 5c1e.")
    assert chat.state == "bot is typing..."
    ear.progress("lift 5c1e: 9 of 9 (100%)")
    ear.presence(shown("1 of 8 running"))
    assert chat.state == "lift 5c1e: 9 of 9 (100%)"
    ear.typing(False)
    ear.said("lift 5c1e is done")
    ear.presence(shown("0 of 8 running"))
    assert chat.state == "bot is online: 0 of 8 running"


def test_a_progress_that_no_typing_state_ends_goes_with_what_is_said_next():
    chat = Conversation(Account(JID("ann@localhost"), "x"), JID("bot@localhost"))
    ear = chat._ear()
    ear.connected(True)
    ear.progress("lift 5c1e: 9 of 9 (100%)")
    ear.said("lift 5c1e is done")
    assert chat.state == "bot is offline"
