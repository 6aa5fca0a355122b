"""Imports point downward only, and the public face is what it says."""

import ast
import graphlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jabot

SOURCE = Path(jabot.__file__).parent

# From the bottom to the top. A part may import those on the lines below its own, and what its own
# line says after the colon.
LAYERS = [
    {"errors", "jid", "moments", "durations", "pace"},
    {"deferrable", "access", "account", "schedule", "peers", "pool", "protocol"},
    {"alarm", "mainloop", "middleware"},
    {"tasks", "tracing", "metrics"},
    {"runner"},
    {"xmpp"},
    {"intake"},
    {
        "chat",
        "person",
        "contacts",
        "calls",
        "topics",
        "neighbours",
        "status",
        "node_jobs",
        "consent",
    },
    {"queue"},
    {"employment", "status_topic"},
    {"definition"},
    {"hooks"},
    {"serving", "authoring"},
    {"node", "client"},
    {"queue_serving"},
    {"queue_node"},
    {"", "cli", "demo", "sync", "testing", "__main__"},
]
# Parts that may import less than their layer would let them.
ONLY = {
    "jid": set(),
    "errors": set(),
    "deferrable": set(),
    "access": {"errors", "jid"},
    "middleware": {"jid"},
    "tracing": {"errors", "middleware"},
    "metrics": {"errors", "middleware"},
    "account": {"errors", "jid"},
    "schedule": {"errors"},
    "peers": {"errors", "protocol"},
    "pool": {"jid"},
    "alarm": set(),
    "moments": set(),
    "durations": set(),
    "pace": set(),
    "protocol": {"errors", "moments"},
    "mainloop": set(),
    "tasks": {"errors", "jid", "protocol", "schedule"},
    "runner": {
        *("errors", "jid", "deferrable", "access", "alarm", "middleware", "moments"),
        *("protocol", "tasks"),
    },
    "xmpp": {"errors", "jid", "account", "alarm", "pace", "peers", "pool", "protocol"},
    "person": {"errors", "jid", "account", "xmpp"},
    "contacts": {"errors", "jid", "account", "xmpp"},
    "topics": {"errors", "jid", "account", "alarm", "runner", "tasks", "xmpp"},
    "server": {"errors", "jid"},
}
FACES = {"cli", "demo", "sync", "testing"}


def modules():
    """Every module of jabot: its dotted name and its file."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


NAMES = {name for name, _ in modules()}


def imports(path, *, everywhere=True):
    """The modules that a file imports; with `everywhere=False`, those imported with itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if everywhere else _at_module_level(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in NAMES else node.module


def _at_module_level(node):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _at_module_level(child)


def part(module):
    """The part of jabot that a module belongs to: `chat` for `jabot.chat.words`."""
    return module.partition(".")[2].partition(".")[0]


def level(name):
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def inner_imports(path):
    return {part(m) for m in imports(path) if m.partition(".")[0] == "jabot"}


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=[n for n, _ in modules()])
def test_imports_point_downward(module, path):
    mine = part(module)
    used = inner_imports(path) - {mine}
    if "server" in used:
        assert mine in FACES, f"{module} imports the embedded server"
    if mine in ONLY:
        assert used <= ONLY[mine]
    else:
        above = {u for u in used - {"server"} if level(u) >= level(mine)}
        # The example is a program of a user's, and stands on the public face; the rest may not.
        allowed = {""} if mine == "demo" else {"cli"} if mine == "__main__" else set()
        if mine in FACES:
            allowed |= FACES
        assert above <= allowed


def test_every_part_has_its_place():
    assert {part(module) for module in NAMES} <= set.union(*LAYERS) | {"server"}


def test_only_the_xmpp_folder_knows_slixmpp():
    knowing = {n for n, path in modules() if any(m.startswith("slixmpp") for m in imports(path))}
    assert {part(n) for n in knowing} == {"xmpp", "jid"}


def test_no_module_needs_one_that_needs_it():
    graph = {n: set(imports(p, everywhere=False)) & NAMES - {n} for n, p in modules()}
    # A package's __init__ gathers what its own modules offer; that is no dependency of theirs.
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_the_public_names_are_exact_and_sorted():
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(jabot.__all__) == imported
    assert len(jabot.__all__) == len(imported)

    def by_kind(name):  # as ruff sorts them: constants, classes, functions
        return (not name.isupper(), name[0].islower(), name)

    assert jabot.__all__ == sorted(jabot.__all__, key=by_kind)


@pytest.mark.parametrize("name", jabot.__all__)
def test_every_public_name_says_what_it_is(name):
    thing = getattr(jabot, name)
    assert thing.__doc__
    if name == "JID":
        return  # slixmpp's, handed on
    assert not thing.__doc__.startswith(f"{name}("), "a dataclass's own text says nothing"
    for member, value in vars(thing).items():
        if not member.startswith("_") and (
            inspect.isfunction(value) or isinstance(value, property)
        ):
            assert value.__doc__, f"{name}.{member}"


def test_every_error_is_in_the_tree_at_the_top_of_its_module():
    errors = {n for n, v in vars(jabot.errors).items() if isinstance(v, type)}
    tree = jabot.errors.__doc__
    assert errors == {word for word in tree.replace("├──", " ").split() if word in errors}


def test_the_picture_and_the_page_of_it_name_files_that_there_are():
    docs = SOURCE.parents[1] / "docs"
    page = re.findall(r"`((?:\w+/)*\w+\.py)`", (docs / "architecture.md").read_text("utf-8"))
    picture = re.findall(r"(?:\w+/)*\w+\.py", (docs / "architecture.svg").read_text("utf-8"))
    assert len(page) > len(picture) > 10
    there = [f"/{path.relative_to(SOURCE).as_posix()}" for path in SOURCE.rglob("*.py")]
    there.append("/tests/unit/test_layers.py")
    for name in [*page, *picture]:
        assert any(path.endswith(f"/{name}") for path in there), name


def test_importing_jabot_brings_nothing_that_only_the_faces_need():
    program = "import json, sys, jabot; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(answer.stdout)}
    assert "slixmpp" in loaded
    assert not loaded & {"rich", "prompt_toolkit", "click", "cryptography", "scramp", "sqlite3"}
    assert not loaded & {"prometheus_client", "opentelemetry"}
    assert not any(name.startswith("jabot.server") for name in json.loads(answer.stdout))
