"""`jabot publish` and `jabot follow`: topics, from a shell."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec
from rich.highlighter import JSONHighlighter
from rich.text import Text

from jabot.account import Account, parse_jid
from jabot.cli.account import account_option, run_as
from jabot.cli.exit_codes import exit_codes
from jabot.cli.interrupt import interruptible
from jabot.cli.job_options import LiteralWords
from jabot.cli.screen import as_json, output
from jabot.cli.values import BARE, Value
from jabot.client import Client, follow_with
from jabot.errors import BadArguments, JabotError
from jabot.topics import Event, Follower
from jabot.topics.names import Pattern, check_topic
from jabot.topics.publishing import MOST_KEPT

_EVERYBODY: Final = "*"
_LOOKS_LIKE_JSON: Final = ("{", "[", '"')


_TOPIC: Final = Value("topic", check_topic)
_PATTERN: Final = Value("topics", lambda text: Pattern(text).text)
_ACCOUNTS: Final = Value(
    "accounts", lambda text: text if text == _EVERYBODY else parse_jid(text).bare
)


def _payload(ctx: click.Context, _: click.Parameter, words: Sequence[str]) -> Any:
    with exit_codes():
        return read_payload(words, ctx.meta["literal"])


@click.command(cls=LiteralWords, short_help="Publish to a topic.")
@click.argument("topic", type=_TOPIC)
@click.argument(
    "payload",
    nargs=-1,
    metavar="JSON | TEXT | name=value...",
    type=click.UNPROCESSED,
    callback=_payload,
)
@click.option("--own", is_flag=True, help="A topic of the account's own, not one of the server's.")
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(1, MOST_KEPT),
    help="Have the topic keep the newest N events (10 where it is set up without this).",
)
@click.option(
    "--subscriber",
    "subscribers",
    multiple=True,
    metavar="JID|*",
    type=_ACCOUNTS,
    help="Let this account follow it, or everybody. May be given more than once.",
)
@click.option(
    "--publisher",
    "publishers",
    multiple=True,
    metavar="JID|*",
    type=_ACCOUNTS,
    help="Let this account publish to it, or everybody. May be given more than once.",
)
@account_option
def publish(
    topic: str,
    payload: Any,
    own: bool,
    keep: int | None,
    subscribers: Sequence[str],
    publishers: Sequence[str],
    account: str | None,
) -> None:
    """Publish something to TOPIC, and print the id of the event once the server has it.

    What is published is one JSON value, or a text, or name=value words: an object, whose values are
    read as JSON where they are JSON. After -- everything is a text.

    A topic that is missing is made, and is this account's alone. With --keep, --subscriber or
    --publisher it is set up anew: whom these do not name, besides its owner, may not use it.

    \b
        jabot publish sensors/hall celsius=20.5 --subscriber '*'
        jabot publish sensors/hall '{"celsius": 20.5}'

    \b
    Exit codes:
        0    it is published
        1    it is not, or perhaps (when the server did not answer)
        2    the command line is wrong
        4    the topic is another account's, which does not let this one publish
        130  stopped by Ctrl-C (143 by SIGTERM)
    """

    settings: dict[str, Any] = {} if keep is None else {"keep": keep}
    if settings or subscribers or publishers:
        settings |= {"subscribers": _who(subscribers), "publishers": _who(publishers)}

    async def work(signed: Account) -> str:
        app = Client(signed)
        if settings:
            app.topic(topic, own=own, **settings)
        async with app:
            try:
                return await app.publish(topic, payload, own=own)
            except TimeoutError:
                raise JabotError(
                    f"the server did not answer in time; {topic} may have got the event, or not"
                ) from None

    click.echo(run_as(account, work))


def _who(given: Sequence[str]) -> Any:
    return _EVERYBODY if _EVERYBODY in given else given


def read_payload(words: Sequence[str], literal: Sequence[str]) -> Any:
    """What words of a command line stand for. Raises `BadArguments`."""
    if literal:
        if words:
            raise BadArguments("what is published stands before the -- or after it, not both")
        return " ".join(literal)
    if not words:
        raise BadArguments('nothing to publish: write JSON, a text, or name=value; "" is empty')
    pairs = [word.partition("=") for word in words]
    if all(name.isidentifier() and equals for name, equals, _ in pairs):
        names = [name for name, _, _ in pairs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise BadArguments(f"{twice} is given twice")
        return {name: _value(text, f"{name}: ") for name, _, text in pairs}
    if len(words) > 1:
        raise BadArguments("write one JSON value or text in quotes, or only name=value words")
    return _value(words[0], "")


def _value(text: str, name: str) -> Any:
    """JSON, or else a text; but what begins as JSON does was meant as such."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        if text.startswith(_LOOKS_LIKE_JSON):
            raise BadArguments(f"{name}this is no JSON: {error}; a text goes after a --") from None
        return text


@click.command(short_help="Print what is published to topics.")
@click.argument("patterns", nargs=-1, required=True, metavar="TOPIC...", type=_PATTERN)
@click.option(
    "--of",
    metavar="JID",
    type=BARE,
    help="The account's own topics, not those of the server.",
)
@click.option(
    "--history",
    metavar="N",
    default=1,
    show_default=True,
    type=click.IntRange(0, MOST_KEPT),
    help="Begin with the newest N events of each topic, as far as it keeps them.",
)
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="End after N events.")
@account_option
def follow(
    patterns: Sequence[str], of: str | None, history: int, count: int | None, account: str | None
) -> None:
    """Print what is published to each TOPIC, a JSON object a line, until Ctrl-C.

    In a TOPIC, * stands for one word between slashes, and ** at the end for all that follow; put it
    into quotes. The newest event of each topic comes first, then each as it is published. What was
    published while the connection was away comes after it, as far as the topic keeps it: it has
    "retained", and "missed" where more came before it.

    A topic that this account may not follow, or that is not there yet, is waited for.

    Use an account that nobody writes to: what people write to it meanwhile may come here instead of
    to a chat program, and is lost. The log says who wrote.

    \b
        jabot follow 'sensors/*'
        jabot follow jabot/status --of bot@example.org

    \b
    Exit codes:
        0    --count events were printed
        1    it could not be followed (any more)
        2    the command line is wrong
        130  stopped by Ctrl-C (143 by SIGTERM)
    """
    follower = Follower(patterns, of=of, history=history)
    run_as(account, lambda own: _follow(own, follower, count))


async def _follow(account: Account, follower: Follower, count: int | None) -> None:
    with interruptible("follow", account) as (line, _):
        async with Client(account) as app:
            line.close()
            leave = follow_with(app, follower)
            printed = 0
            while printed != count:
                _show(await follower.next())
                printed += 1
            leave()


def _show(event: Event) -> None:
    text = as_json(_plain(event))
    if sys.stdout.isatty():
        shown = Text(text)
        JSONHighlighter().highlight(shown)
        output().print(shown, soft_wrap=True)
    else:
        click.echo(text)
        sys.stdout.flush()


def _plain(event: Event) -> dict[str, Any]:
    return {
        "topic": event.topic,
        "payload": event.payload,
        "publisher": None if event.publisher is None else str(event.publisher),
        "id": event.id,
        "at": None if event.at is None else event.at.timestamp(),
        "retained": event.retained,
        "missed": event.missed,
    }
