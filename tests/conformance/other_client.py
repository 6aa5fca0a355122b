"""A client that is not ours: slixmpp with its own plugins, and a list of all that came."""

import asyncio
import functools
import ssl
from contextlib import asynccontextmanager
from xml.etree import ElementTree as ET

import slixmpp

LIMIT = 20.0  # seconds, for a machine that is busy with other things
CLIENT = "{jabber:client}"
USER = "{http://jabber.org/protocol/muc#user}"
EVENT = "{http://jabber.org/protocol/pubsub#event}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
PLUGINS = ("xep_0004", "xep_0030", "xep_0045", "xep_0059", "xep_0060", "xep_0115", "xep_0199")


class OtherClient(slixmpp.ClientXMPP):
    """Signed in by `online`. `news` is every message and presence that was not taken yet."""

    def __init__(self, server, account, resource):
        super().__init__(
            f"{account.jid}/{resource}", account.password, ssl_context=_context(server.ca_file)
        )
        self.enable_direct_tls = False
        self.news = []
        self._came = asyncio.Event()
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.add_filter("in", self._note)

    @property
    def full(self):
        return self.boundjid.full

    @property
    def bare(self):
        return self.boundjid.bare

    def _note(self, stanza):
        if stanza is not None and stanza.name in ("message", "presence"):
            self.news.append(stanza.xml)
            self._came.set()
        return stanza

    async def take(self, kind, *wanted, sender=None):
        """The first stanza of a kind that fits all of `wanted`, waiting for it; each only once."""

        def fits(xml):
            return (
                xml.tag == CLIENT + kind
                and sender in (None, xml.get("from"))
                and all(each(xml) for each in wanted)
            )

        try:
            async with asyncio.timeout(LIMIT):
                while (found := next((each for each in self.news if fits(each)), None)) is None:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            came = [ET.tostring(each).decode() for each in self.news]
            raise AssertionError(f"no {kind} from {sender} that fits among {came}") from None
        self.news.remove(found)
        return found

    async def presence(self, *wanted, sender=None):
        return await self.take("presence", *wanted, sender=sender)

    async def message(self, *wanted, sender=None):
        return await self.take("message", *wanted, sender=sender)

    async def sync(self):
        """Wait until the server has handled all that was sent, and we all that it answered."""
        await self.plugin["xep_0199"].ping(self.boundjid.domain, timeout=LIMIT)

    def xml(self, text):
        """Send a stanza that is written out."""
        self.send_raw(text)

    async def ask(self, kind, to, payload):
        """Send a request that is written out; gives the answer as XML, or raises IqError."""
        iq = self.make_iq(itype=kind, ito=to)
        iq.append(ET.fromstring(payload))
        return (await iq.send(timeout=LIMIT)).xml


@asynccontextmanager
async def online(server, account=None, resource="a", presence=True, features=()):
    """A client that has a session; `features` are those that it tells of by its capabilities."""
    client = OtherClient(server, account or server.fresh_user("ann"), resource)
    for feature in features:
        client.plugin["xep_0030"].add_feature(feature)
    started = client.loop.create_future()
    client.add_event_handler("session_start", lambda _: started.set_result(None), disposable=True)
    client.connect(server.host, server.port)
    try:
        async with asyncio.timeout(LIMIT):
            await started
        if features:
            await client.plugin["xep_0115"].update_caps(broadcast=False)
        if presence:
            client.send_presence()
        yield client
    finally:
        client.abort()
        if client._run_out_filters is not None:
            client._run_out_filters.cancel()


@functools.cache
def _context(ca_file):
    """One for all clients: making it takes longer than signing in."""
    return ssl.create_default_context(cafile=ca_file)


# What is wanted of a stanza.


def of_type(kind):
    return lambda xml: xml.get("type") == kind


def available(xml):
    return xml.get("type") is None


def codes(xml):
    """The status codes of a presence or message of a room."""
    return {each.get("code") for each in xml.iterfind(f"{USER}x/{USER}status")}


def with_codes(*wanted):
    return lambda xml: set(wanted) <= codes(xml)


def item(xml):
    """What a room says of the occupant whose presence it is."""
    return xml.find(f"{USER}x/{USER}item")


def with_item(**wanted):
    def fits(xml):
        found = item(xml)
        return found is not None and wanted.items() <= found.attrib.items()

    return fits


def with_body(text):
    return lambda xml: xml.findtext(f"{CLIENT}body") == text


def condition(xml):
    """Of an error."""
    error = xml.find(f"{CLIENT}error")
    return next(each.tag.removeprefix(STANZAS) for each in error if each.tag.startswith(STANZAS))
