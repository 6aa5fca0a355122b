"""A blocking client, for scripts and for web frameworks with threads.

    with jabot.sync.connect("app@example.org", to="bot@example.org") as app:
        job = app.submit("lift", 30)
        print(job.result(timeout=60))

The connection lives in a thread of its own; any number of threads may use the client.
"""

from jabot.sync.client import Client, connect
from jabot.sync.events import Events
from jabot.sync.job import Job

__all__ = ["Client", "Events", "Job", "connect"]
