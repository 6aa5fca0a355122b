"""Texts as people write them: in every script, and with what XML can't carry."""

import pytest
from slixmpp import JID

from chatting import Person, serving, signed_in
from jabot import Node
from servers import Server

SCRIPTS = {
    "german": "Gewichte heben: Straße, Ärger, Öl",
    "greek": "σηκώνω βάρη, πάλι και πάλι",
    "chinese": "舉重，三十次",
    "arabic": "ارفع الأثقال",  # from right to left
    "hebrew with marks": "הָרֵם מִשְׁקוֹלוֹת",
    "mixed directions": "lift \u202bארבע\u202c 4 times",
    "emoji": "🏋️‍♀️ 👩🏽‍🚒 💪🏿 🇫🇷",
    "combining": "e\u0301 n\u0303 a\u0308\u0323 Z͑ͫa̴l̵g̶o̷",
    "astral": "𝔉𝔯𝔞𝔨𝔱𝔲𝔯 𠜎 \U0010fffd",
    "markup": "<b>&amp; ]]> <!-- \" ' -->",
    "separators": "a\u2028b\u00a0c\u200bd\ufeffe",
}


@pytest.fixture
def echo() -> Node:
    node = Node(allow={"*": "*"})

    @node.task(scheduled="Écho prévu ⏳", done="回声：{result}")
    async def écho(text: str = "nothing") -> str:
        """Répéter ✨ ce qu'on dit."""
        return text

    @node.task
    async def spell(code: int) -> str:
        return f"before {chr(code)} after"

    return node


@pytest.mark.also_prosody
async def test_every_script_comes_back_as_it_went(xmpp: Server, ann: Person, echo: Node) -> None:
    async with serving(echo, xmpp) as bot:
        for name, text in SCRIPTS.items():
            quoted = text.replace("\\", "\\\\").replace('"', '\\"')
            ann.say(bot.jid, f'écho "{quoted}"')
            await ann.hear("^Écho prévu ⏳$")
            assert (await ann.hear("^回声：")).body == f"回声：{text}", name


async def test_names_and_help_are_in_the_author_s_script(
    xmpp: Server, ann: Person, echo: Node
) -> None:
    async with serving(echo, xmpp) as bot:
        await ann.ask(bot.jid, "help", r"\n  écho \[.*\] - Répéter ✨ ce qu'on dit\.\n")
        await ann.ask(bot.jid, "ecoh", "^Dunno how to ecoh")
        await ann.ask(bot.jid, "踊る", "^Dunno how to 踊る$")
        await ann.ask(bot.jid, "ÉCHO x", "^回声：x$")  # case does not matter, in French neither
        # The same word, typed on a machine that writes the accent as a character of its own.
        await ann.ask(bot.jid, "e\u0301cho y", "^回声：y$")


async def test_addresses_are_in_every_script_as_well(xmpp: Server, echo: Node) -> None:
    name = "jürgen-щ-重-" + xmpp.fresh_user().jid.partition("@")[0]
    account = xmpp.fresh_user()._replace(jid=xmpp.add_user(name, "пароль"), password="пароль")
    node_account = xmpp.fresh_user()._replace(
        jid=xmpp.add_user(f"роб-{name}", "contraseña"), password="contraseña"
    )
    node = Node(allow={account.jid: "*"}, farewell="Tschüß 👋")

    @node.task
    async def who() -> str:
        return "you"

    async with signed_in(xmpp, account, resource="téléphone") as person:
        async with serving(node, xmpp, node_account) as bot:
            await person.greet(bot.jid)
            await person.ask(bot.jid, "who", "is done: you$")
            await person.ask(
                bot.jid, f"can {account.jid} who", f"^Yes: the rule for {JID(account.jid).bare}"
            )
        await person.see(bot.full, type="unavailable", status="Tschüß 👋")


@pytest.mark.parametrize("code", [0x0, 0x1B, 0x7, 0xB, 0xFFFE, 0xFFFF, 0xD800, 0xDFFF])
async def test_what_xml_can_t_carry_is_replaced(
    xmpp: Server, ann: Person, echo: Node, code: int
) -> None:
    async with serving(echo, xmpp) as bot:
        await ann.ask(bot.jid, f"spell {code}", "is done: before \ufffd after$")
        await ann.ask(bot.jid, "status", "running")  # the stream is whole
        assert {text.sender for text in ann.texts} == {bot.full}


async def test_line_ends_are_newlines(xmpp: Server, ann: Person) -> None:
    node = Node(allow={"*": "*"})

    @node.task(done="{result}")
    async def lines() -> str:
        return "one\r\ntwo\rthree\nfour\tend"

    async with serving(node, xmpp) as bot:
        ann.say(bot.jid, "lines")
        assert (await ann.hear("one")).body == "one\ntwo\nthree\nfour\tend"


async def test_a_status_and_an_error_are_cleaned_as_well(xmpp: Server, ann: Person) -> None:
    node = Node(allow={"*": "*"})

    @node.task
    async def fail() -> None:
        raise ValueError("no \x00 such \x1b[31m weight")

    @node.on_start
    async def bell() -> None:
        node.status("xa", "ding \x07 dong")

    async with serving(node, xmpp) as bot:
        await ann.greet(bot.jid)
        await ann.see(bot.full, show="xa", status="ding \ufffd dong")
        await ann.ask(bot.jid, "fail", "failed: ValueError: no \ufffd such \ufffd\\[31m weight$")
