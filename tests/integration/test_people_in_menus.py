"""A person gives a bot a job from the menu of a chat program of others."""

from pathlib import Path

from people import Profanity
from people.bot import Bot
from servers import Server

HEAVY = Path(__file__).parents[2] / "examples" / "heavy.py"


def test_a_form_is_filled_in(xmpp: Server, tmp_path: Path) -> None:
    """Profanity lists commands where its server has some itself: ejabberd has."""
    with (
        Bot(HEAVY, xmpp, xmpp.fresh_user("bot"), tmp_path) as bot,
        Profanity(xmpp, xmpp.fresh_user("ann")) as ann,
    ):
        ann.enter("/disco items localhost")
        ann.wait_until(lambda: "pubsub.localhost" in ann.screen, "get to know its server")
        ann.enter(f"/cmd list {bot.full}")
        if xmpp.kind == "embedded":
            why = "Server does not support ad hoc commands"
            ann.wait_until(lambda: why in ann.screen, "be told why not")
            return
        ann.wait_until(lambda: "!   lift" in ann.screen, "see the commands")
        ann.enter(f"/cmd exec lift {bot.full}")
        ann.wait_until(lambda: "/form help" in ann.screen, "get the form")
        ann.enter("/field1 0.1")
        ann.wait_until(lambda: "seconds: 0.1" in ann.screen, "fill it in")
        ann.enter("/form submit")
        ann.wait_until(lambda: "lift completed" in ann.screen, "have it done")
        ann.wait_until(lambda: "Done lifting" in ann.screen, "read the result")
