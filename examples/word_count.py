"""The words of a folder of texts, counted by a pool of workers: map, then reduce.

Map: each file is a job for whichever worker has the least to do. Reduce: the counts are added up
here as they come. It takes a server with two accounts (see the README). For each worker:

    $ jabot login bot@localhost --server 127.0.0.1
    $ jabot run examples/word_count.py

and then, once:

    $ jabot login app@localhost --server 127.0.0.1
    $ export JABOT_JID=app@localhost
    $ python examples/word_count.py texts/ --top 3
    14201 the
    8317 of
    7250 and
"""

import argparse
import asyncio
import re
import sys
from collections import Counter
from pathlib import Path

import jabot

# Counting is Python's own work, and holds its lock: start one worker for each core.
node = jabot.Node("bot@localhost", allow={"*@localhost": ["count"]}, concurrency=1)


@node.task
def count(text: bytes) -> dict[str, int]:
    """Count the words of a text in UTF-8."""
    return Counter(re.findall(r"\w+", text.decode().lower()))


async def count_words(files: list[Path], pool: str) -> tuple[Counter[str], int]:
    """The sum over all files, and how many of them could not be counted."""
    # When a worker is lost, another one counts its files. What `count` raises, it would raise there
    # as well: that is not tried again.
    retries = jabot.Retry(attempts=3, on=jabot.WorkerLost)
    total: Counter[str] = Counter()
    failed = 0
    async with jabot.connect() as app:
        jobs = {}
        try:
            for file in files:
                job = await app.submit(count, file.read_bytes(), to=pool, retries=retries)
                jobs[job] = file
            async for job in app.as_completed(jobs):
                try:
                    total.update(await job)
                except jabot.TaskFailed as error:
                    failed += 1
                    print(f"{jobs[job]}: {error}", file=sys.stderr)
        finally:  # also after Ctrl-C; nothing happens to a job that is over
            for job in jobs:
                job.cancel("nobody waits for it any more")
    return total, failed


def main() -> None:
    """The program that has the texts."""
    parser = argparse.ArgumentParser(description="Count the words in a folder's *.txt files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--top", type=int, default=10, help="how many words are shown")
    parser.add_argument("--to", default="bot@localhost", help="the address of the workers")
    given = parser.parse_args()
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is no folder")
    try:
        files = sorted(given.folder.rglob("*.txt"))
        total, failed = asyncio.run(count_words(files, given.to))
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, jabot.JabotError) as error:
        sys.exit(f"Error: {error}")
    for word, number in total.most_common(given.top):
        print(number, word)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
