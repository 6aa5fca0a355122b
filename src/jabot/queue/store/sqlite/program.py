"""Named queries as SQLite runs them: each is a trigger, so that one statement runs all of its own.

Python's sqlite3 gives up the interpreter's lock for each step of a statement, and has to get it
back after that, which takes up to 5 ms while the event loop is busy. A query of ten statements as
the body of a trigger is one step: `INSERT INTO do_claim VALUES (the verbs)`. It leaves its answer
in the table `answer`. A query may call others in the same way: their views are procedures.

JSON costs more than all else that SQLite does for a job. The queries for plain verbs (`PLAIN`) get
none: a verb is a row of `INSERT INTO add_plain VALUES (...), (...)`, still in one step. What they
leave is in the table `rest`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, Final

import msgspec
from msgspec import Raw

from jabot.queue.store.sql import PLAIN, Call, Query, queries

PACKAGE: Final = "jabot.queue.store.sqlite"
_ANSWER: Final = "SELECT json FROM answer"
_MOST_ROWS: Final = 256  # in one statement


class Program:
    """The queries of one connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._widths = install(db)

    def run(self, call: Call) -> bytes:
        """One query, and its answer."""
        if call.query not in PLAIN:
            return self._by_json(call)
        self._by_rows(call)
        (rest,) = self._db.execute("SELECT json_group_array(i) FROM rest").fetchone()
        if rest == b"[]":
            return b"{}"
        self._db.execute("DELETE FROM rest")
        places: list[int] = msgspec.json.decode(rest)
        answer = self._by_json(Call(PLAIN[call.query], [call.told[place] for place in places]))
        answers = msgspec.json.decode(answer, type=list[Raw])
        return msgspec.json.encode(dict(zip(places, answers, strict=True)))

    def _by_json(self, call: Call) -> bytes:
        self._db.execute(f"INSERT INTO do_{call.query} VALUES (?)", (call.json,))  # noqa: S608
        (answer,) = self._db.execute(_ANSWER).fetchone()
        return bytes(answer)

    def _by_rows(self, call: Call) -> None:
        """Each verb's first fields, in the order in which the query names them. Statements come in
        few sizes, so that they stay prepared; rows too many have no place, and do nothing."""
        width = self._widths[call.query]
        for start in range(0, len(call.told), _MOST_ROWS):
            told = call.told[start : start + _MOST_ROWS]
            values: list[Any] = []
            for place, each in enumerate(told, start):
                values.append(place)
                values += msgspec.structs.astuple(each)[: width - 1]
            rows = 1 << (len(told) - 1).bit_length()
            values += [None] * (rows * width - len(values))
            self._db.execute(_insert(call.query, width, rows), values)


@cache
def _insert(query: str, width: int, rows: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"INSERT INTO {query} VALUES {', '.join([row] * rows)}"  # noqa: S608


def install(db: sqlite3.Connection) -> dict[str, int]:
    """Make the scratch tables and procedures of a connection; how many parameters each has."""
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
    return {name: len(query.parameters) for name, query in found.items()}


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
    when = " WHEN NEW.i IS NOT NULL" if query.name in PLAIN else ""
    view = _view(query)
    begin = f"CREATE TEMP TRIGGER run_{view} INSTEAD OF INSERT ON {view}{when} BEGIN"
    return f"{begin}\n{first}{body}\nEND"
