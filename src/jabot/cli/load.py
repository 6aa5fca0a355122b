"""Finding the node in a program."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import TracebackType

from jabot.errors import ConfigError, JabotError
from jabot.node import Node

_LOADERS = (__file__, importlib.__file__, "<frozen importlib")
_OWN = str(Path(__file__).parents[1])  # this package


def load_node(target: str) -> Node:
    """The node of `FILE_OR_MODULE[:NAME]`; without a name, `node`, or the only one there is.

    Raises `ConfigError` when there is no such program, when it cannot be imported, and when there
    is no node in it.
    """
    where, colon, name = target.rpartition(":")
    if not colon:
        where, name = target, ""
    module = _import(where)
    if name:
        found = getattr(module, name, None)
        if not isinstance(found, Node):
            raise ConfigError(f"{where} has no node named {name}")
        return found
    usual = getattr(module, "node", None)
    if isinstance(usual, Node):
        return usual
    nodes = {key: value for key, value in vars(module).items() if isinstance(value, Node)}
    if len(nodes) != 1:
        if not nodes:
            raise ConfigError(f"{where} has no Node at its top level")
        names = ", ".join(nodes)
        raise ConfigError(f"{where} has {len(nodes)} nodes; choose one with {where}:NAME ({names})")
    return nodes.popitem()[1]


def source_dir(target: str) -> Path:
    """The folder in which a program's files are looked after, for `--reload`."""
    path = Path(target.rpartition(":")[0] or target)
    return path.parent if path.suffix == ".py" else Path()


def _import(where: str) -> object:
    """Import a file under its own name, as if it had been run from its folder, or a module."""
    path = Path(where)
    if path.suffix == ".py":
        if not path.is_file():
            raise ConfigError(f"there is no file {where}")
        sys.path.insert(0, str(path.resolve().parent))
        where = path.stem
    else:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(where)
    except JabotError as error:
        raise ConfigError(f"{_line_of(error)}{error}") from error
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{where}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"there is no module {where} (a file is named with its .py)"
            ) from None
        told = "".join(traceback.format_exception(type(error), error, _of_program(error)))
        raise ConfigError(f"{path} cannot be imported:\n{told.rstrip()}") from error
    loaded = getattr(module, "__file__", None)
    if path.suffix == ".py" and (loaded is None or not Path(loaded).samefile(path)):
        raise ConfigError(f"{path}: another module is named {where} already; rename the file")
    return module


def _of_program(error: Exception) -> TracebackType | None:
    """The traceback from the program's own first line on; how we came there helps nobody."""
    start = error.__traceback__
    while start is not None and start.tb_frame.f_code.co_filename.startswith(_LOADERS):
        start = start.tb_next
    return start


def _line_of(error: JabotError) -> str:
    """Where in the program that was which we refuse, as `bot.py:7: `."""
    lines = [
        frame
        for frame in traceback.extract_tb(_of_program(error))
        if not frame.filename.startswith((_OWN, *_LOADERS))
    ]
    return f"{Path(lines[-1].filename).name}:{lines[-1].lineno}: " if lines else ""
