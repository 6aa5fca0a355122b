"""Named queries as SQLite runs them: each is a trigger, so that one statement runs all of its own.

Python's sqlite3 gives up the interpreter's lock for each step of a statement, and has to get it
back after that, which takes up to 5 ms while the event loop is busy. A query of ten statements as
the body of a trigger is one step: `INSERT INTO do_claim VALUES (the verbs)`. It leaves its answer
in the table `answer`. A query may call others in the same way: their views are procedures. What is
written for one verb (`-- each: fire(name, planned)`) is called so for all, and answers in `result`.

JSON costs more than all else that SQLite does for a job, and a trigger that runs for each verb
comes next. The queries for plain verbs (`PLAIN`) have neither: they are two statements, each of
which finds all verbs as rows of a table `told`. The first does all that are plain indeed. When
these are fewer than were told, it is taken back, and the second says which are not.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import Raw

from jabot.queue.store.sql import PLAIN, Call

PACKAGE: Final = "jabot.queue.store.sqlite"
_ANSWER: Final = "SELECT json FROM answer"
_MOST_ROWS: Final = 256  # in one statement


_Rows: TypeAlias = list[tuple[int, Any]]  # each verb with its place


class Query(NamedTuple):
    """One named query of a file: `-- name: claim(verbs)`, and its statements below that."""

    name: str
    parameters: list[str]
    text: str


class _Plain(NamedTuple):
    """A query for plain verbs."""

    columns: tuple[str, ...]
    do: str
    others: str


class Program:
    """The queries of one connection."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._plain = install(db)

    def run(self, call: Call) -> bytes:
        """One query, and its answer."""
        if call.query not in PLAIN:
            return self._by_json(call)
        plain, rows = self._plain[call.query], list(enumerate(call.told))
        if self._do_all(plain, rows):
            return b"{}"
        if call.query == "add_plain":
            rows = _counted_by_owner(rows)
        others = self._others(plain, rows)
        if not self._do_all(plain, [row for row in rows if row[0] not in others]):
            others = [place for place, _ in rows]
        if not others:
            return b"{}"
        answer = self._by_json(Call(PLAIN[call.query], [call.told[place] for place in others]))
        answers = msgspec.json.decode(answer, type=list[Raw])
        return msgspec.json.encode(dict(zip(others, answers, strict=True)))

    def _by_json(self, call: Call) -> bytes:
        self._db.execute(f"INSERT INTO do_{call.query} VALUES (?)", (call.json,))  # noqa: S608
        (answer,) = self._db.execute(_ANSWER).fetchone()
        return bytes(answer)

    def _do_all(self, plain: _Plain, rows: _Rows) -> bool:
        """All of these or none."""
        several = len(rows) > 1  # one alone is done or not, without more
        if several:
            self._db.execute("SAVEPOINT plain")
        done = sum(
            self._db.execute(sql, values).rowcount
            for sql, values in _statements(plain.do, plain.columns, rows)
        )
        if several and done != len(rows):
            self._db.execute("ROLLBACK TO plain")
        if several:
            self._db.execute("RELEASE plain")
        return done == len(rows)

    def _others(self, plain: _Plain, rows: _Rows) -> list[int]:
        """Those that are not plain, or follow another verb about the same job."""
        places: set[int] = set()
        for sql, values in _statements(plain.others, plain.columns, rows):
            (found,) = self._db.execute(sql, values).fetchone()
            places.update(msgspec.json.decode(found))
        seen: set[str] = set()
        for place, verb in rows:
            if verb.id in seen:
                places.add(place)
            seen.add(verb.id)
        return sorted(places)


def _counted_by_owner(rows: _Rows) -> _Rows:
    """The query takes all that come before a job for its own owner's. Each may have as many more
    unfinished jobs as there are others before it."""
    own: Counter[str] = Counter()
    counted: _Rows = []
    for place, verb in rows:
        most = None if verb.most is None else verb.most + place - own[verb.owner]
        counted.append((place, msgspec.structs.replace(verb, most=most)))
        own[verb.owner] += 1
    return counted


def _statements(
    text: str, columns: tuple[str, ...], rows: _Rows
) -> Iterator[tuple[str, list[Any]]]:
    """One of a plain query's, for a part of the rows at a time: its SQL, and its values."""
    for start in range(0, len(rows), _MOST_ROWS):
        some = rows[start : start + _MOST_ROWS]
        values: list[Any] = []
        for place, verb in some:
            values.append(place)
            values += msgspec.structs.astuple(verb)[: len(columns) - 1]
        size = 1 << (len(some) - 1).bit_length()
        values += [None] * (size * len(columns) - len(values))
        yield with_told(text, columns, size), values


@cache
def with_told(text: str, columns: tuple[str, ...], rows: int) -> str:
    """The statement, with the verbs in place of the table `told`. They come in few sizes, so that
    statements stay prepared: rows too many have no place, and are left out."""
    names = ", ".join(f"column{n} AS {name}" for n, name in enumerate(columns, 1))
    row = f"({', '.join('?' * len(columns))})"
    values = f"(VALUES {', '.join([row] * rows)})"
    told = f"(SELECT {names} FROM {values} WHERE column1 IS NOT NULL) AS told"  # noqa: S608
    return text.replace("FROM told", f"FROM {told}")


_NAME: Final = re.compile(r"^-- (name|each): (\w+)\(([\w, ]*)\) *$", re.MULTILINE)
_EACH: Final = """
DELETE FROM result;
INSERT INTO {name}_one SELECT key, {values} FROM json_each(:verbs);
INSERT INTO answer (json) SELECT '[' || group_concat(json) || ']' FROM (
    SELECT coalesce(r.json, 'null') AS json FROM json_each(:verbs) AS v
    LEFT JOIN result AS r ON r.i = v.key ORDER BY v.key
);
"""


def queries(package: str) -> dict[str, Query]:
    """All named queries of the `*.sql` files in a package's folder."""
    found: dict[str, Query] = {}
    for file in sorted(resources.files(package).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            _, *parts = _NAME.split(file.read_text(encoding="utf-8"))
            for how, name, given, text in zip(*(parts[n::4] for n in range(4)), strict=True):
                names = [each.strip() for each in given.split(",") if each.strip()]
                query = Query(name, names, text.strip())
                for each in [query] if how == "name" else _for_each(query):
                    found[each.name] = each
    return found


def _for_each(query: Query) -> Iterator[Query]:
    """What is written for one verb as two queries: one that runs the other for each. That one is
    told its place, and the fields that it names; its answer stands in `result`, if it gives one."""
    values = [
        "value" if name == "verb" else f"json_extract(value, '$.{name}')"
        for name in query.parameters
    ]
    run = _EACH.format(name=query.name, values=", ".join(values))
    yield Query(query.name, ["verbs"], run)
    yield Query(f"{query.name}_one", ["i", *query.parameters], query.text)


def install(db: sqlite3.Connection) -> dict[str, _Plain]:
    """Make the scratch tables and procedures of a connection; gives the queries for plain verbs."""
    scratch = resources.files(PACKAGE).joinpath("scratch.sql").read_text(encoding="utf-8")
    for statement in statements(scratch):
        db.execute(statement)
    found = queries(PACKAGE)
    plain = {name: found.pop(name) for name in PLAIN}
    # Those called by others must be there first, as views; what they do may follow.
    for query in found.values():
        columns = ", ".join(f"NULL AS {name}" for name in query.parameters)
        db.execute(f"CREATE TEMP VIEW {_view(query)} AS SELECT {columns}")
    for query in found.values():
        db.execute(_trigger(query))
    return {
        name: _Plain(tuple(query.parameters), *statements(query.text + "\n"))
        for name, query in plain.items()
    }


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
    begin = f"CREATE TEMP TRIGGER run_{view} INSTEAD OF INSERT ON {view} BEGIN"
    return f"{begin}\n{first}{body}\nEND"
