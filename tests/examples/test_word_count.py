"""examples/word_count.py: two workers count a folder of texts."""

import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from chatting import account_environment, program
from servers import Server

WORD_COUNT = Path(__file__).parents[2] / "examples" / "word_count.py"
WORKER = [sys.executable, "-m", "jabot", "run", str(WORD_COUNT), "--account"]


def submitter(xmpp: Server, folder: Path, to: str, *options: str):
    command = [sys.executable, str(WORD_COUNT), "texts", "--to", to, *options]
    return program(command, folder, account_environment(xmpp, xmpp.fresh_user("app")), "submitter")


async def test_the_words_of_a_folder_are_counted(xmpp: Server, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    for number in range(40):
        chapter = texts / str(number % 4) / f"{number}.txt"
        chapter.parent.mkdir(parents=True, exist_ok=True)
        chapter.write_text("Lift, lift, LIFT! " * number + "Größe " * 2)
    (texts / "latin1.txt").write_bytes("Größe".encode("latin-1"))
    (texts / "picture.png").write_bytes(b"Not looked at.")
    account = xmpp.fresh_user("bot")
    environment = account_environment(xmpp, account)
    async with AsyncExitStack() as inside:
        workers = [
            await inside.enter_async_context(
                program([*WORKER, account.jid], tmp_path, environment, f"worker{n}")
            )
            for n in range(2)
        ]
        for worker in workers:
            await worker.logged(" is ready")
        async with submitter(xmpp, tmp_path, account.jid) as app:
            assert await app.ended() == 1
            assert app.out == f"{3 * sum(range(40))} lift\n80 größe\n"
            assert app.log.startswith("texts/latin1.txt: UnicodeDecodeError: ")
            assert app.log.count("\n") == 1
        for worker in workers:
            assert "count: running for" in worker.log


async def test_ctrl_c_leaves_nothing_under_way(xmpp: Server, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(30):
        (texts / f"{number}.txt").write_text("lift lift\n" * 200_000)
    account = xmpp.fresh_user("bot")
    async with program(
        [*WORKER, account.jid], tmp_path, account_environment(xmpp, account), "worker"
    ) as worker:
        await worker.logged(" is ready")
        async with submitter(xmpp, tmp_path, account.jid) as app:
            await worker.logged("count: running for")
            app.send(signal.SIGINT)
            assert await app.ended() == 130
            assert app.log == app.out == ""
        worker.send(signal.SIGINT)
        assert await worker.ended() == 0
        assert "cancelled" in worker.log


async def test_no_folder_is_told(xmpp: Server, tmp_path: Path) -> None:
    async with submitter(xmpp, tmp_path, "bot@localhost") as app:
        assert await app.ended() == 2
        assert app.log.endswith("texts is no folder\n")
