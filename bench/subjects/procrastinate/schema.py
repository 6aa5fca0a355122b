"""Creates Procrastinate's tables, and the one for results. Usage: schema.py CONNINFO"""

import sys

import psycopg
from procrastinate import App, SyncPsycopgConnector

_RESULTS = """
CREATE TABLE results (token bigint PRIMARY KEY, value bigint NOT NULL);
"""


def main(conninfo: str) -> None:
    with App(connector=SyncPsycopgConnector(conninfo=conninfo)).open() as app:
        app.schema_manager.apply_schema()
    with psycopg.connect(conninfo) as connection:
        connection.execute(_RESULTS)


if __name__ == "__main__":
    main(sys.argv[1])
