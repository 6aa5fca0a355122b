"""Long jobs behind a web application: Flask, and the blocking client.

It takes a server with two accounts (see the README), and Flask (`pip install flask`). The worker:

    $ jabot login bot@localhost --server 127.0.0.1
    $ jabot run examples/heavy.py

and the application:

    $ jabot login app@localhost --server 127.0.0.1
    $ export JABOT_JID=app@localhost
    $ flask --app examples/flask_app.py run
    $ curl -i -d seconds=5 http://127.0.0.1:5000/lifts      # 202, and the Location of the job
    $ curl http://127.0.0.1:5000/lifts/ID                   # how far it is, or its result
    $ curl -N http://127.0.0.1:5000/lifts/ID/events         # the same as events, as they happen
    $ curl -X DELETE http://127.0.0.1:5000/lifts/ID         # stop it

The application keeps nothing: the worker knows the jobs of this account by their ids, and their
outcomes for 15 minutes. So it may run in many processes, and be restarted meanwhile.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, request, url_for

import jabot
import jabot.sync

app = Flask(__name__)
# It signs in at its first job. All threads of the web server share the one connection.
workers = jabot.sync.connect(to=os.environ.get("WORKERS", "bot@localhost"))

STATUS = {
    jabot.BadArguments: 400,
    jabot.NotAllowed: 403,
    jabot.UnknownJob: 404,
    jabot.TooManyJobs: 429,
    jabot.NobodyThere: 503,
    jabot.Draining: 503,
}


@app.post("/lifts")
def begin() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Give the job away. Returns as soon as a worker has it."""
    seconds = request.form.get("seconds", 2.0, type=float)
    job = workers.submit("lift", seconds, timeout="10m")
    return {"id": job.id}, 202, {"Location": url_for("look", job_id=job.id)}


@app.get("/lifts/<job_id>")
def look(job_id: str) -> dict[str, Any]:
    """Tell how far it is."""
    return describe(workers.job(job_id))


@app.get("/lifts/<job_id>/events")
def watch(job_id: str) -> Response:
    """Tell how it gets on, as server-sent events: in a browser, `new EventSource(url)`."""
    job = workers.job(job_id)

    def events() -> Iterator[str]:
        for _ in job.progress:
            yield f"event: progress\ndata: {json.dumps(describe(job))}\n\n"
        yield f"event: end\ndata: {json.dumps(describe(job))}\n\n"

    return Response(events(), mimetype="text/event-stream")


@app.delete("/lifts/<job_id>")
def stop(job_id: str) -> tuple[dict[str, Any], int]:
    """Ask for it to be stopped."""
    job = workers.job(job_id)
    job.cancel("by the web")
    return describe(job), 202


@app.errorhandler(jabot.JabotError)
def failed(error: jabot.JabotError) -> tuple[dict[str, str], int]:
    """What kept a job from being taken, in the words of HTTP."""
    return {"error": str(error)}, STATUS.get(type(error), 500)


def describe(job: jabot.sync.Job[Any]) -> dict[str, Any]:
    """A job as JSON."""
    if not job.done():
        step = job.step
        return {"state": "running", "done": step and step.done, "total": step and step.total}
    error = job.exception()
    if error is None:
        return {"state": "succeeded", "result": job.result()}
    state = "cancelled" if isinstance(error, jabot.JobCancelled) else "failed"
    return {"state": state, "error": str(error)}
