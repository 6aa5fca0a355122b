"""The nodes and the conversation that README and docs show, as they stand there.

What gives jobs to them is in `test_shown_callers.py` and `test_queue_commands.py`, what tests them
in `test_shown_tests.py`.
"""

import re
import shlex
from pathlib import Path

import click
import pytest

from chatting import node_program, signed_in
from jabot import Node
from jabot.cli import cli
from jabot.server.config import ServerConfig
from servers import Server

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WIDTH = 120  # characters of a line of prose
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]*)#?([^)#:]*)\)")
_INLINE = re.compile(r"`(jabot (?!down)[^`]+)`")  # "jabot down" is a presence
CONTEXT = click.Context(cli)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def blocks(document: Path, language: str) -> list[str]:
    found = _BLOCK.findall(document.read_text())
    return [text for kind, text in found if kind == language]


def is_node(text: str) -> bool:
    return not any(other in text for other in ("jabot.Client", "connect(", "jabot.testing"))


NODES = [
    pytest.param(text, id=f"{document.name}-{number}")
    for document in DOCUMENTS
    for number, text in enumerate(blocks(document, "python"))
    if is_node(text)
]
RUN_BY_NAME = {"README.md", "fleet.md", "programs.md", "queue.md", "testing.md", "topics.md"}
"""Where there are others, each of which a test takes by its place on the page."""


def test_no_program_of_the_documents_is_left_out() -> None:
    others = {each.name for each in DOCUMENTS if not all(map(is_node, blocks(each, "python")))}
    assert others == RUN_BY_NAME


@pytest.mark.parametrize("text", NODES)
def test_a_program_of_the_documents_defines_a_node(text: str) -> None:
    names: dict[str, object] = {"__name__": "shown"}
    exec(compile(text, "<shown>", "exec"), names)
    assert isinstance(names["node"], Node)


async def test_the_conversation_of_the_readme(xmpp: Server, tmp_path: Path) -> None:
    readme = ROOT / "README.md"
    program = blocks(readme, "python")[0]
    (transcript,) = blocks(readme, "")
    account = xmpp.fresh_user("bot")
    async with node_program(program, tmp_path, xmpp, account), signed_in(xmpp) as ann:
        for turn in re.split(r"^you> ", transcript, flags=re.MULTILINE)[1:]:
            said, *answers = turn.splitlines()
            ann.say(account.jid, said)
            for answer in "\n".join(answers).replace("\n     ", "\0").splitlines():
                await ann.hear(_as_pattern(answer.removeprefix("bot> ")))


def _as_pattern(answer: str) -> str:
    """The answer to the letter, but for the job's id; a NUL stands for a new line of it."""
    lines = re.escape(answer.replace("\0", "\n"))
    return f"^{re.sub('5c1e', '[0-9a-f]{4}', lines)}$"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for file, heading in _LINK.findall(document.read_text()):
        target = document.parent / file if file else document
        assert target.exists(), file
        if heading:
            headings = _HEADING.findall(target.read_text())
            assert heading in [_as_anchor(text) for text in headings], f"{file}#{heading}"


def test_files_that_are_named_are_there() -> None:
    folders = [ROOT / name for name in ("src", "tests", "bench", "examples")]
    there = [f"/{path.relative_to(ROOT)}" for each in folders for path in each.rglob("*.py")]
    named = [
        (document.name, name)
        for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]
        for name in re.findall(r"`([\w/]+\.py)`", _BLOCK.sub("", document.read_text()))
    ]
    assert named
    for document, name in named:
        assert any(path.endswith(f"/{name}") for path in there), f"{document}: {name}"


def test_the_tests_that_hold_promises_are_there() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    names = re.findall(r"`(test_\w+)`", page)
    paths = re.findall(r"`(tests/[\w/.]+)`", page)
    assert names and paths
    assert [name for name in names if f"def {name}(" not in tests] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []


# The page of the benchmark is made of the template, and gets longer lines by what is filled in.
WRITTEN = [each for each in DOCUMENTS if each.name != "benchmarks.md"]
WRITTEN += [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md")]
WRITTEN.append(ROOT / "bench" / "benchmarks.md.template")


@pytest.mark.parametrize("document", WRITTEN, ids=lambda path: path.name)
def test_prose_is_folded(document: Path) -> None:
    """Not so samples and tables: they are as wide as they have to be."""
    lines = _BLOCK.sub("", document.read_text()).splitlines()
    assert [line for line in lines if len(line) > WIDTH and not line.startswith("|")] == []


def _as_anchor(heading: str) -> str:
    """As GitHub makes the name that links use."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_code_stands_on_the_first_screen_of_the_readme() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert lines.index("```python") < 20


def test_the_limits_of_the_embedded_server_are_those_that_it_has() -> None:
    _, _, table = (ROOT / "docs" / "operation.md").read_text().partition("| at most | |\n")
    shown = re.findall(r"^\| ([\d,]+)( MiB)?", table.partition("\n\n")[0], re.MULTILINE)
    default = ServerConfig()
    assert [int(count.replace(",", "")) * (2**20 if mib else 1) for count, mib in shown] == [
        default.max_rooms,
        default.max_occupants,
        default.max_room_stanza,
        default.max_nodes,
        default.max_items,
        default.max_item,
        default.max_topic_bytes,
        default.max_subscribers,
        default.max_affiliations,
    ]


SHOWN_COMMANDS = sorted(
    {
        line.partition("#")[0].strip()
        for document in DOCUMENTS
        for text in (*blocks(document, "sh"), *_INLINE.findall(document.read_text()))
        for line in text.splitlines()
        if line.startswith("jabot ")
    }
)


@pytest.mark.parametrize("line", SHOWN_COMMANDS)
def test_a_command_that_is_shown_exists_with_its_options(line: str) -> None:
    """Not its arguments: they are of an example's world, or stand for others."""
    command: click.Command | None = cli
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group) and words and words[0] in command.list_commands(CONTEXT):
        command = command.get_command(CONTEXT, words.pop(0))
    assert command is not None
    known = {option for each in command.params for option in each.opts} | {"-h", "--help"}
    if isinstance(command, click.Group):
        assert not words or words[0] in known, f"there is no {words}"
    for word in words[: words.index("--") if "--" in words else None]:
        if word.startswith("-"):
            assert word.partition("=")[0] in known, word
