"""Programs that give jobs to nodes, in the loop of the test."""

from jabot import Client, connect
from jabot.xmpp import Timing
from servers import Account as TestAccount
from servers import InMemory, Server

from .nodes import Served, jabot_account, jabot_timing


def calling(
    server: Server | InMemory,
    to: Served | str | None,
    account: TestAccount | None = None,
    *,
    address: str | None = None,
    timing: Timing | None = None,
    **options: object,
) -> Client:
    """A client to enter with `async with`. It is of the node's own account, which it obeys, unless
    one is given."""
    if isinstance(to, Served):
        account, to = account or to.account, str(to.jid)
    assert account is not None
    return connect(
        account=jabot_account(server, account, address),
        to=to,
        timing=jabot_timing(server, timing),
        **options,
    )
