"""Running jobs: slots, threads, processes, cancellation. Knows no network and no chat."""

from jabot.runner.desk import Desk
from jabot.runner.job import Job, Options
from jabot.runner.runner import Runner

__all__ = ["Desk", "Job", "Options", "Runner"]
