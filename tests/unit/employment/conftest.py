"""A node that looks for its queue, and one that works with its first node."""

import pytest

from unit.employed import HELLO, ONE, TWO, Scene


@pytest.fixture
async def scene(clock):
    scene = Scene(clock)
    scene.back()
    yield scene
    await scene.runner.abandon(1)
    scene.employment.close()
    scene.intake.close()
    scene.link.close()


@pytest.fixture
async def working(scene):
    """It works with the first of two nodes."""
    scene.shows(ONE, TWO)
    await scene.clock.advance(0.2)
    assert await scene.hear() == [(ONE, HELLO)]
    return scene
