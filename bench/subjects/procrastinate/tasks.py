"""The Procrastinate application and its tasks.

Procrastinate keeps no results: what a task found is the task's own business, and its maintainers
advise a table of one's own. The caller looks into that every few milliseconds. With a notification
for each result instead, fewer jobs were done: PostgreSQL makes commits that notify wait in line.
"""

import os

from procrastinate import App, JobContext, PsycopgConnector

from bench.durable import jobs

_CONNECTIONS = 20
_SAVE = """
INSERT INTO results (token, value) VALUES (%(token)s, %(value)s) ON CONFLICT (token) DO NOTHING
"""

app = App(
    connector=PsycopgConnector(
        conninfo=os.environ["BENCH_POSTGRESQL"], min_size=4, max_size=_CONNECTIONS
    )
)


async def _save(token: int, value: int) -> None:
    await app.connector.execute_query_async(_SAVE, token=token, value=value)


@app.task(name="echo")
async def echo(token: int, arguments: list[int]) -> None:
    await _save(token, jobs.echo(*arguments))


@app.task(name="clock")
async def clock(token: int, arguments: list[int]) -> None:
    await _save(token, jobs.clock(*arguments))


@app.task(name="hold")
async def hold(token: int, arguments: list[float]) -> None:
    job, seconds = arguments
    await _save(token, await jobs.hold_on_loop(int(job), seconds))


# "Retry stalled jobs" of its documentation, but each minute where it has every ten.
@app.periodic(cron="* * * * *")
@app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:
    for job in await app.job_manager.get_stalled_jobs():
        await app.job_manager.retry_job(job)


tasks = {"echo": echo, "clock": clock, "hold": hold}
