"""examples/thumbnails.py: real pictures, and two workers in one pool."""

import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from PIL import Image

from chatting import Program, account_environment, program
from servers import Server

THUMBNAILS = Path(__file__).parents[2] / "examples" / "thumbnails.py"


async def workers(
    inside: AsyncExitStack, xmpp: Server, folder: Path, number: int
) -> tuple[str, list[Program]]:
    """So many workers of one account, ready; its address goes first."""
    account = xmpp.fresh_user("bot")
    command = [sys.executable, "-m", "jabot", "run", str(THUMBNAILS), "--account", account.jid]
    environment = account_environment(xmpp, account)
    running = [
        await inside.enter_async_context(program(command, folder, environment, f"worker{n}"))
        for n in range(number)
    ]
    for worker in running:
        await worker.logged(" is ready")
    return account.jid, running


def make_pictures(folder: Path, number: int, width: int = 400, height: int = 300) -> None:
    folder.mkdir()
    for n in range(number):
        Image.effect_noise((width, height), 60).convert("RGB").save(folder / f"{n}.jpg")


def submitter(xmpp: Server, folder: Path, to: str, *options: str):
    command = [sys.executable, str(THUMBNAILS), "photos", "small", "--to", to, *options]
    return program(command, folder, account_environment(xmpp, xmpp.fresh_user("app")), "submitter")


async def test_two_workers_fill_the_folder(xmpp: Server, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    make_pictures(photos, 60)
    Image.new("RGBA", (30, 900), "red").save(photos / "tall.png")
    (photos / "broken.jpg").write_text("This is no picture.")
    (photos / "notes.txt").write_text("Not looked at.")
    async with AsyncExitStack() as inside:
        to, running = await workers(inside, xmpp, tmp_path, 2)
        async with submitter(xmpp, tmp_path, to, "--size", "64") as app:
            assert await app.ended() == 1
            assert app.out == "61 of 62 thumbnails are in small\n"
            assert app.log == "photos/broken.jpg: this is no picture\n"
        for worker in running:
            assert "thumbnail: running for" in worker.log
    sizes = {}
    for file in (tmp_path / "small").iterdir():
        with Image.open(file) as image:
            assert image.format == "JPEG"
            sizes[file.name] = image.size
    expected = {f"{n}.jpg": (64, 48) for n in range(60)}
    assert sizes == expected | {"tall.png.jpg": (2, 64)}


async def test_a_worker_that_is_killed_costs_no_thumbnail(xmpp: Server, tmp_path: Path) -> None:
    make_pictures(tmp_path / "photos", 60, 800, 600)
    async with AsyncExitStack() as inside:
        to, (doomed, survivor) = await workers(inside, xmpp, tmp_path, 2)
        async with submitter(xmpp, tmp_path, to) as app:
            await doomed.logged("thumbnail: running for")
            doomed.send(signal.SIGKILL)
            assert await app.ended() == 0, app.log
            assert app.out == "60 of 60 thumbnails are in small\n"
        assert "thumbnail: running for" in survivor.log
    assert len(list((tmp_path / "small").iterdir())) == 60


async def test_nobody_there_is_told_in_one_line(xmpp: Server, tmp_path: Path) -> None:
    make_pictures(tmp_path / "photos", 1)
    async with submitter(xmpp, tmp_path, xmpp.fresh_user("bot").jid) as app:
        assert await app.ended() == 1
        assert app.log.startswith("Error: nobody at bot")
        assert app.log.count("\n") == 1
