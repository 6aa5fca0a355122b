"""How soon a job of a lost worker begins elsewhere, and that a long one runs once."""

import asyncio

import pytest

from jabot import Context, Node
from jabot.testing import queue

LEASE = 15.0


class Gym:
    """Two workers, and when which of them began what."""

    def __init__(self):
        self.began = []  # (loop's time, worker, attempt)
        self.nodes = {name: self._node(name) for name in ("one", "two")}

    def _node(self, name):
        node = Node("bot@localhost")

        @node.task
        async def hold(seconds: float, *, ctx: Context) -> str:
            self.began.append((asyncio.get_running_loop().time(), name, ctx.attempt))
            await asyncio.sleep(seconds)
            return name

        return node


@pytest.mark.parametrize(("harm", "most"), [("lose", 1.5), ("cut_off", LEASE + 2)])
async def test_the_job_of_a_lost_worker_begins_elsewhere_in_time(harm, most):
    gym = Gym()
    async with queue(*gym.nodes.values(), lease=LEASE) as q:
        job = await q.submit("hold", 60.0)
        await q.advance(3.0)
        ((_, first, _),) = gym.began
        at = asyncio.get_running_loop().time()
        done = getattr(q, harm)(gym.nodes[first])
        if done is not None:
            await done
        second = await job
        assert second != first
        (_, _, one), (begun, heir, two) = gym.began
        assert (heir, one, two) == (second, 1, 2)
        assert begun - at <= most


async def test_a_job_that_takes_an_hour_runs_once():
    gym = Gym()
    async with queue(*gym.nodes.values(), lease=LEASE) as q:
        job = await q.submit("hold", 3600.0)
        assert await job in gym.nodes
        assert [attempt for _, _, attempt in gym.began] == [1]
