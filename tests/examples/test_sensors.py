"""examples/sensors.py: three sensors, and a program that plots them."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

from PIL import Image

from chatting import Program, account_environment, program
from servers import Server

SENSORS = Path(__file__).parents[2] / "examples" / "sensors.py"


def plotter(xmpp: Server, folder: Path, seconds: str) -> Program:
    command = [sys.executable, str(SENSORS), "plot.png", "--seconds", seconds]
    return program(command, folder, account_environment(xmpp, xmpp.fresh_user("plot")), "plotter")


async def test_three_sensors_are_plotted(own_xmpp: Server, tmp_path: Path) -> None:
    account = own_xmpp.fresh_user("sensors")
    command = [sys.executable, "-m", "jabot", "run", str(SENSORS), "--account", account.jid]
    async with AsyncExitStack() as inside:
        for name in ("hall", "cellar", "attic"):
            environment = account_environment(own_xmpp, account) | {"SENSOR": name}
            sensor = await inside.enter_async_context(program(command, tmp_path, environment, name))
            await sensor.logged(" is ready")
        async with plotter(own_xmpp, tmp_path, "4") as plot:
            assert await plot.ended() == 0, plot.log
            assert plot.out.startswith("plot.png: ")
            assert plot.out.endswith("readings of attic, cellar, hall\n")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.size == (800, 400)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}
    assert {(178, 34, 34), (65, 105, 225), (46, 139, 87)} <= colours  # a line for each


async def test_no_sensor(own_xmpp: Server, tmp_path: Path) -> None:
    async with plotter(own_xmpp, tmp_path, "0.5") as plot:
        assert await plot.ended() == 1
        assert plot.log == "Error: no sensor said anything in 0.5 s\n"
