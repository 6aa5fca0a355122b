"""Named queries as SQLite runs them: each is a trigger, so that one statement runs all of its own.

Python's sqlite3 gives up the interpreter's lock for each step of a statement, and has to get it
back after that, which takes up to 5 ms while the event loop is busy. A query of ten statements as
the body of a trigger is one step: `INSERT INTO do_claim VALUES (the verbs)`. It leaves its answer
in the table `answer`. A query may call others in the same way: their views are procedures.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from importlib import resources
from typing import Final

from jabot.queue.store.sql import Call, Query, queries

PACKAGE: Final = "jabot.queue.store.sqlite"
_ANSWER: Final = "SELECT json FROM answer"


def install(db: sqlite3.Connection) -> dict[str, str]:
    """Make the scratch tables and procedures of a connection; the statement for each query."""
    scratch = resources.files(PACKAGE).joinpath("scratch.sql").read_text(encoding="utf-8")
    for statement in statements(scratch):
        db.execute(statement)
    found = queries(PACKAGE)
    # Those called by others must be there first, as views; what they do may follow.
    for query in found.values():
        columns = ", ".join(f"NULL AS {name}" for name in query.parameters)
        db.execute(f"CREATE TEMP VIEW {_view(query)} AS SELECT {columns}")
    for query in found.values():
        db.execute(_trigger(query))
    return {
        query.name: f"INSERT INTO {_view(query)} VALUES (?)"  # noqa: S608
        for query in found.values()
        if _is_verb(query)
    }


def run(db: sqlite3.Connection, prepared: dict[str, str], call: Call) -> bytes:
    """One query, and its answer."""
    db.execute(prepared[call.query], (call.verbs,))
    (answer,) = db.execute(_ANSWER).fetchone()
    return bytes(answer)


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit before them."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(text):
            yield text
            text = ""


def _is_verb(query: Query) -> bool:
    return query.parameters == ["verbs"]


def _view(query: Query) -> str:
    return f"do_{query.name}" if _is_verb(query) else query.name


def _trigger(query: Query) -> str:
    def column(match: re.Match[str]) -> str:
        return f"NEW.{match[1]}" if match[1] in query.parameters else match[0]

    body = re.sub(r":(\w+)", column, query.text)
    first = "DELETE FROM answer;\n" if _is_verb(query) else ""
    view = _view(query)
    return f"CREATE TEMP TRIGGER run_{view} INSTEAD OF INSERT ON {view} BEGIN\n{first}{body}\nEND"
