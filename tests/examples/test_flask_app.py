"""examples/flask_app.py: jobs by HTTP, through a web server that is a process."""

import asyncio
import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chatting import LIMIT, Program, account_environment, program
from servers import Account, Server
from servers.ports import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"


class Web:
    """What a browser would do."""

    def __init__(self, process: Program, port: int) -> None:
        self.process = process
        self._url = f"http://127.0.0.1:{port}"

    async def ask(self, method: str, path: str, **form: object) -> tuple[int, Any, Any]:
        """The status, the JSON and the headers of an answer."""
        text = "&".join(f"{name}={value}" for name, value in form.items())
        request = urllib.request.Request(self._url + path, text.encode(), method=method)
        if method == "GET":
            request.data = None

        def fetch() -> tuple[int, Any, Any]:
            try:
                with urllib.request.urlopen(request, timeout=LIMIT) as answer:
                    return answer.status, json.load(answer), answer.headers
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error), error.headers

        return await asyncio.to_thread(fetch)

    async def events(self, path: str) -> list[tuple[str, Any]]:
        """All server-sent events: kind and data."""

        def read() -> str:
            with urllib.request.urlopen(self._url + path, timeout=LIMIT) as answer:
                assert answer.headers["Content-Type"].startswith("text/event-stream")
                return answer.read().decode()

        found = []
        for event in (await asyncio.to_thread(read)).strip().split("\n\n"):
            kind, data = event.split("\n")
            found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        return found


@asynccontextmanager
async def web_server(
    xmpp: Server, folder: Path, account: Account, to: str, name: str = "web"
) -> AsyncIterator[Web]:
    port = free_port()
    app = EXAMPLES / "flask_app.py"
    command = [sys.executable, "-m", "flask", "--app", str(app), "run", "--port", str(port)]
    environment = account_environment(xmpp, account) | {"WORKERS": to}
    async with program(command, folder, environment, name) as running:
        await running.printed("Serving Flask app")
        await running.logged("Running on")
        yield Web(running, port)


@asynccontextmanager
async def worker(xmpp: Server, folder: Path) -> AsyncIterator[tuple[Program, str]]:
    account = xmpp.fresh_user("bot")
    command = [sys.executable, "-m", "jabot", "run", str(EXAMPLES / "heavy.py")]
    command += ["--account", account.jid]
    async with program(command, folder, account_environment(xmpp, account), "worker") as running:
        await running.logged(" is ready")
        yield running, account.jid


async def test_a_job_by_http(xmpp: Server, tmp_path: Path) -> None:
    account = xmpp.fresh_user("app")
    async with (
        worker(xmpp, tmp_path) as (_, to),
        web_server(xmpp, tmp_path, account, to) as web,
    ):
        status, begun, headers = await web.ask("POST", "/lifts", seconds=1)
        assert status == 202
        place = headers["Location"]
        assert place.endswith(f"/lifts/{begun['id']}")
        events = await web.events(f"{place}/events")
        kinds = [kind for kind, _ in events]
        assert kinds[-1] == "end"
        assert set(kinds[:-1]) == {"progress"}
        assert events[-1][1] == {"state": "succeeded", "result": None}
        done = [data["done"] for _, data in events[:-1] if data["state"] == "running"]
        assert done == sorted(done)
        assert len(done) > 1
        # Another process of the same account knows it as well.
        async with web_server(xmpp, tmp_path, account, to, "other") as other:
            status, outcome, _ = await other.ask("GET", f"/lifts/{begun['id']}")
            assert (status, outcome) == (200, {"state": "succeeded", "result": None})
            await ends_at_ctrl_c(other)
        await ends_at_ctrl_c(web)


async def test_a_job_is_looked_at_and_stopped(xmpp: Server, tmp_path: Path) -> None:
    async with (
        worker(xmpp, tmp_path) as (there, to),
        web_server(xmpp, tmp_path, xmpp.fresh_user("app"), to) as web,
    ):
        _, begun, _ = await web.ask("POST", "/lifts", seconds=60)
        place = f"/lifts/{begun['id']}"
        seen = {"done": None}
        while not seen["done"]:
            _, seen, _ = await web.ask("GET", place)
            assert seen["state"] == "running"
        assert seen["total"] == 600
        status, _, _ = await web.ask("DELETE", place)
        assert status == 202
        await there.logged("lift: cancelled")
        while seen["state"] == "running":
            _, seen, _ = await web.ask("GET", place)
        assert seen["state"] == "cancelled"
        assert "by the web" in seen["error"]


async def test_refusals_have_a_status(xmpp: Server, tmp_path: Path) -> None:
    account = xmpp.fresh_user("app")
    async with worker(xmpp, tmp_path) as (_, to), web_server(xmpp, tmp_path, account, to) as web:
        assert (await web.ask("GET", "/lifts/no-such-job"))[0] == 404
        assert (await web.ask("DELETE", "/lifts/no-such-job"))[0] == 404
    async with web_server(xmpp, tmp_path, account, xmpp.fresh_user("bot").jid, "alone") as web:
        status, answer, _ = await web.ask("POST", "/lifts")
        assert status == 503
        assert answer["error"].startswith("nobody at bot")


async def ends_at_ctrl_c(web: Web) -> None:
    web.process.send(signal.SIGINT)
    assert await web.process.ended() in (0, -signal.SIGINT)
    assert "Traceback" not in web.process.log
