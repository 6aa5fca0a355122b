"""A network of sensors: each publishes what it measures, and one program plots all of it.

It takes a server with two accounts (see the README) and Pillow (`pip install pillow`). For each
sensor, on whatever machine it is attached to:

    $ jabot login sensors@localhost --server 127.0.0.1
    $ SENSOR=hall jabot run examples/sensors.py

and `SENSOR=cellar`, `SENSOR=attic`: there may be as many as you like, and more may come later.
Then, on the machine with the screen:

    $ jabot login plot@localhost --server 127.0.0.1
    $ export JABOT_JID=plot@localhost
    $ python examples/sensors.py plot.png --seconds 30
    plot.png: 90 readings of attic, cellar, hall

A sensor knows nobody who reads; who reads need not know which sensors there are.
"""

import argparse
import asyncio
import itertools
import math
import os
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import Image, ImageDraw

import jabot

SENSOR = os.environ.get("SENSOR", "hall")
COLOURS = ("firebrick", "royalblue", "seagreen", "darkorange", "purple", "black")

node = jabot.Node("sensors@localhost")
# The newest hundred readings are kept for whoever comes later, from any account of the server.
node.topic(f"sensors/{SENSOR}", keep=100, subscribers="*")


@dataclass
class Reading:
    """What a sensor says."""

    celsius: float
    at: float  # seconds since 1970


def measure() -> float:
    """This stands for what a real sensor would be asked."""
    warmth = 15 + sum(SENSOR.encode()) % 10
    return warmth + 3 * math.sin(time.time() / 5) + random.uniform(-0.3, 0.3)  # noqa: S311


@node.every("1s")
async def report() -> None:
    try:
        await node.publish(f"sensors/{SENSOR}", Reading(measure(), time.time()))
    except (jabot.ConnectionFailed, TimeoutError) as error:
        print(f"not published: {error}", file=sys.stderr)  # the next one says more


async def collect(seconds: float) -> dict[str, list[Reading]]:
    """What all sensors say for so long, and what they said shortly before."""
    found: dict[str, list[Reading]] = defaultdict(list)
    async with jabot.connect() as app:
        try:
            async with asyncio.timeout(seconds):
                async for event in app.follow("sensors/*", Reading, history=100):
                    found[event.topic.removeprefix("sensors/")].append(event.payload)
        except TimeoutError:
            return found
    return found


def plot(readings: dict[str, list[Reading]], size: tuple[int, int] = (800, 400)) -> Image.Image:
    """A line for each sensor, in the order of their names."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    everything = [reading for several in readings.values() for reading in several]
    left, right = min(r.at for r in everything), max(r.at for r in everything)
    low, high = min(r.celsius for r in everything) - 1, max(r.celsius for r in everything) + 1
    width, height = size[0] - 120, size[1] - 35

    def place(reading: Reading) -> tuple[float, float]:
        x = 10 + width * (reading.at - left) / ((right - left) or 1)
        return x, 10 + height * (high - reading.celsius) / (high - low)

    for degrees in range(math.ceil(low), math.floor(high) + 1, 2):
        y = place(Reading(degrees, left))[1]
        draw.line([(10, y), (10 + width, y)], fill="gainsboro")
        draw.text((15 + width, y - 6), f"{degrees} °C", fill="grey")
    for at, x in ((left, 10), (right, width - 40)):
        draw.text((x, size[1] - 14), f"{datetime.fromtimestamp(at):%H:%M:%S}", fill="grey")
    colours = dict(zip(sorted(readings), itertools.cycle(COLOURS), strict=False))
    ends: dict[str, float] = {}
    for name, colour in colours.items():
        points = [place(r) for r in sorted(readings[name], key=lambda r: r.at)]
        draw.line(points, fill=colour, width=2)
        ends[name] = points[-1][1] - 6
    lowest = -12.0
    for name in sorted(ends, key=ends.__getitem__):  # no name is written over another one
        lowest = max(ends[name], lowest + 12)
        draw.text((55 + width, lowest), name, fill=colours[name])
    return image


def main() -> None:
    """The program with the screen."""
    parser = argparse.ArgumentParser(description="Plot what the sensors publish.")
    parser.add_argument("picture", type=Path, help="the PNG file to write")
    parser.add_argument("--seconds", type=float, default=30, help="how long to listen")
    given = parser.parse_args()
    try:
        readings = asyncio.run(collect(given.seconds))
        if not readings:
            sys.exit(f"Error: no sensor said anything in {given.seconds:g} s")
        plot(readings).save(given.picture)
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, jabot.JabotError) as error:
        sys.exit(f"Error: {error}")
    count = sum(map(len, readings.values()))
    print(f"{given.picture}: {count} readings of {', '.join(sorted(readings))}")


if __name__ == "__main__":
    main()
