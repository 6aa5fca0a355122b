"""Fixtures for every test: servers of several kinds, and a watch over what asyncio would hush up.

    async def test_something(xmpp): ...          # once on each kind, sharing one server per kind
    async def test_crash(own_xmpp): ...          # a server that this test may stop, kill or pause
    async def test_tls(new_xmpp, authority):     # servers with special wishes
        server = new_xmpp(certificate=authority.expired())
    def test_store(postgres): ...                # a database server, shared; `own_postgres` is not

`@pytest.mark.also_prosody` adds Prosody to the kinds of one test, `also_in_memory` no server at all
(`InMemory`). `--servers embedded` limits a run to the kinds that it names.
"""

import asyncio
import gc
import inspect
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from servers import KINDS, MEMORY, Authority, InMemory, Server, ServerMissingError, create
from servers.postgres import Postgres, end_shared, shared

EVERYWHERE = ("embedded", "ejabberd")
LINGER = 2.0  # seconds that tasks have to end by themselves after a test

# How long an example takes, or Hypothesis to think of one, says something about the machine only.
settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("busy")

# slixmpp never ends its sending task: it serves the next connection of the same client.
_HARMLESS_TASKS = {"XMLStream.run_filters"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        default=",".join([*KINDS, MEMORY]),
        help="kinds of XMPP server to test on, separated by commas (default: %(default)s)",
    )


def _hear_signals() -> None:
    # A shell starts what runs in its background deaf to Ctrl-C, and so would be what tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # As Ctrl-C, so that fixtures end, and take away what they made: `timeout` sends it.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def pytest_runtest_setup() -> None:
    _hear_signals()  # again: a loop that has heard one leaves it as Python has it


def pytest_configure(config: pytest.Config) -> None:
    _hear_signals()
    config.addinivalue_line("markers", "also_prosody: run this test on Prosody, too")
    config.addinivalue_line("markers", "also_in_memory: run it without a server, too, in no time")
    config.addinivalue_line("markers", "not_on(kind): why this test can't run there is its comment")
    unknown = set(_wanted_kinds(config)) - {*KINDS, MEMORY}
    if unknown:
        raise pytest.UsageError(f"--servers: no such kind: {', '.join(sorted(unknown))}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_kind" in metafunc.fixturenames:
        kinds = list(EVERYWHERE)
        if metafunc.definition.get_closest_marker("also_prosody"):
            kinds.append("prosody")
        if metafunc.definition.get_closest_marker("also_in_memory"):
            kinds.append(MEMORY)
        for mark in metafunc.definition.iter_markers("not_on"):
            kinds.remove(mark.args[0])
        wanted = _wanted_kinds(metafunc.config)
        metafunc.parametrize(
            "server_kind", [kind for kind in kinds if kind in wanted], scope="session"
        )
    if inspect.iscoroutinefunction(metafunc.function):
        # First, so that it looks around only after all other fixtures have cleaned up.
        metafunc.fixturenames.insert(0, "_no_leaked_tasks")


def _wanted_kinds(config: pytest.Config) -> list[str]:
    return [kind.strip() for kind in config.getoption("--servers").split(",")]


# --- servers ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificates of all servers."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server_kind(request: pytest.FixtureRequest) -> str:
    """The kind of server that this run of the test is about."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def shared_servers(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Callable[[str], Server]]:
    running: dict[str, Server] = {}
    with ExitStack() as at_the_end:

        def shared(kind: str) -> Server:
            if kind not in running:
                server = create(kind, tmp_path_factory.mktemp(kind), authority.good())
                _start(server)
                at_the_end.callback(server.kill)  # nobody reads its data again
                running[kind] = server
            if not running[kind].is_running:
                pytest.fail(f"the shared {kind} is gone:\n{running[kind].log()}", pytrace=False)
            return running[kind]

        yield shared


@pytest.fixture
def xmpp(server_kind: str, shared_servers: Callable[[str], Server]) -> Iterator[Server | InMemory]:
    """A running server that other tests use as well: take a `fresh_user()`, leave it be."""
    if server_kind != MEMORY:
        yield shared_servers(server_kind)
        return
    memory = InMemory()
    yield memory
    memory.close()


@pytest.fixture
def new_xmpp(
    server_kind: str, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Callable[..., Server]]:
    """Starts servers of this test's own; takes the options of the kind, and `certificate`."""
    with ExitStack() as at_the_end:

        def new(**options: object) -> Server:
            options.setdefault("certificate", authority.good())
            server = create(server_kind, tmp_path_factory.mktemp(f"own-{server_kind}"), **options)
            at_the_end.callback(server.kill)  # nobody reads its data again
            _start(server)
            return server

        yield new


@pytest.fixture
def own_xmpp(new_xmpp: Callable[..., Server]) -> Server:
    """A running server that this test may stop, kill, pause and start again."""
    return new_xmpp()


@pytest.fixture(scope="session", autouse=True)
def _shared_postgres_ends() -> Iterator[None]:
    yield
    end_shared()


@pytest.fixture
def postgres() -> Postgres:
    """A running PostgreSQL that other tests use as well: take a `fresh_database()`."""
    try:
        return shared()
    except ServerMissingError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A running PostgreSQL that this test may stop, kill, pause and start again."""
    try:
        server = Postgres()
    except ServerMissingError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _start(server: Server) -> None:
    try:
        server.start()
    except ServerMissingError as error:
        # Not skipped: a suite that is green because half of it did not run is a trap.
        pytest.fail(str(error), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Iterator[None]:
    report = yield
    if report.failed:
        for name in ("xmpp", "own_xmpp"):
            server = getattr(item, "funcargs", {}).get(name)
            if isinstance(server, Server):
                report.sections.append((f"log of {server.kind}", server.log()))
    return report


# --- what asyncio would only mention ------------------------------------------------------------


class _Complaints(logging.Handler):
    """Collects what asyncio logs: exceptions nobody fetched, tasks destroyed while pending."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("Executing "):
            return  # debug mode's "took 0.2 seconds" is about the machine, not about the code
        self.texts.append(logging.Formatter().format(record))


@pytest.fixture(scope="module", autouse=True)
def _garbage_of_this_module() -> None:
    """Each test looks for garbage: not through all that was there before its module, please."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def asyncio_complaints(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Fails a test about whose loop asyncio had to complain in the log.

    A test that provokes a complaint on purpose takes this fixture and clears the list.
    """
    handler = _Complaints()
    logger = logging.getLogger("asyncio")
    logger.addHandler(handler)
    try:
        yield handler.texts
        if inspect.iscoroutinefunction(request.function):
            gc.collect()  # asyncio complains when the forgotten task is collected
    finally:
        logger.removeHandler(handler)
    if handler.texts:
        pytest.fail("asyncio complained:\n" + "\n".join(handler.texts), pytrace=False)


@pytest.fixture
async def _no_leaked_tasks() -> AsyncIterator[None]:
    """Fails a test that leaves tasks behind: closing the loop would cancel them silently."""
    yield
    loop = asyncio.get_running_loop()
    tasks = {
        task
        for task in asyncio.all_tasks(loop) - {asyncio.current_task()}
        if getattr(task.get_coro(), "__qualname__", "") not in _HARMLESS_TASKS
    }
    if tasks:
        _, pending = await asyncio.wait(tasks, timeout=LINGER)
        if pending:
            names = "\n".join(sorted(repr(task) for task in pending))
            pytest.fail(f"the test left tasks behind:\n{names}", pytrace=False)
