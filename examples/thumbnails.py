"""Thumbnails of a folder of pictures, made by a pool of workers.

The workers need none of the files: a picture (of up to 12 MB) travels to one of them, and its
thumbnail comes back. It takes a server with two accounts (see the README) and Pillow (`pip install
pillow`). For each worker:

    $ jabot login bot@localhost --server 127.0.0.1
    $ jabot run examples/thumbnails.py

There may be as many as you like, on any machine that reaches the server, and more may come later.
Then, once:

    $ jabot login app@localhost --server 127.0.0.1
    $ export JABOT_JID=app@localhost
    $ python examples/thumbnails.py photos/ thumbnails/
"""

import argparse
import asyncio
import io
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

import jabot

SUFFIXES = {".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}

node = jabot.Node("bot@localhost", allow={"*@localhost": ["thumbnail"]})


@dataclass
class Thumbnail:
    """A JPEG, or the reason why there is none."""

    jpeg: bytes = b""
    problem: str = ""


@node.task
def thumbnail(picture: bytes, size: int) -> Thumbnail:
    """Make a JPEG whose longer side has `size` pixels at most."""
    # A plain function runs in a thread, and Pillow lets go of Python's lock while it works: eight
    # of these keep eight cores busy.
    out = io.BytesIO()
    try:
        with Image.open(io.BytesIO(picture)) as image:
            image.draft("RGB", (size, size))  # reads no more of a JPEG than it needs
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail((size, size))
            small.save(out, "JPEG")
    except UnidentifiedImageError:
        return Thumbnail(problem="this is no picture")
    except (OSError, Image.DecompressionBombError) as error:
        return Thumbnail(problem=str(error))
    return Thumbnail(out.getvalue())


async def make_thumbnails(files: list[Path], target: Path, size: int, pool: str) -> int:
    """Fill the target folder; how many pictures could not be used."""
    # A generator, read no further than 32 pictures ahead: memory holds no more of them.
    pictures = (file.read_bytes() for file in files)
    failed = 0
    async with jabot.connect(to=pool) as app:
        # To make a thumbnail twice harms nobody: so the pictures of a worker that is lost go to
        # another one, and are not reported as lost.
        results = app.map(thumbnail, pictures, itertools.repeat(size), in_flight=32, retries=2)
        unseen = iter(files)  # the results come in the order of the pictures
        async for result in results:
            file = next(unseen)
            if result.problem:
                failed += 1
                print(f"{file}: {result.problem}", file=sys.stderr)
            else:
                name = file.name if file.suffix == ".jpg" else f"{file.name}.jpg"
                (target / name).write_bytes(result.jpeg)
    print(f"{len(files) - failed} of {len(files)} thumbnails are in {target}")
    return failed


def main() -> None:
    """The program that has the pictures."""
    parser = argparse.ArgumentParser(description="Make thumbnails of a folder of pictures.")
    parser.add_argument("source", type=Path, help="the folder with the pictures")
    parser.add_argument("target", type=Path, help="the folder for the thumbnails")
    parser.add_argument("--size", type=int, default=256, help="pixels of the longer side")
    parser.add_argument("--to", default="bot@localhost", help="the address of the workers")
    given = parser.parse_args()
    try:
        files = [file for file in sorted(given.source.iterdir()) if file.suffix.lower() in SUFFIXES]
        given.target.mkdir(parents=True, exist_ok=True)
        failed = asyncio.run(make_thumbnails(files, given.target, given.size, given.to))
    except KeyboardInterrupt:
        sys.exit(130)  # leaving the map has cancelled what was under way
    except (OSError, jabot.JabotError) as error:
        sys.exit(f"Error: {error}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
