"""A client that is nothing but a socket: says what it is told to, and waits for what it expects."""

import asyncio
import base64
import contextlib
import re
import ssl

from scramp import ScramClient

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
TIMEOUT = 30.0  # seconds, for a machine that is busy with other things
USERS = dict.fromkeys(("ann", "bob", "cat"), "secret")


class Raw:
    """One connection. `text` is what was received and not taken yet."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.text = ""
        self.jid = ""

    @classmethod
    async def connect(cls, server):
        return cls(*await asyncio.open_connection(server.host, server.port))

    def send(self, text):
        self.writer.write(text.encode() if isinstance(text, str) else text)

    async def until(self, pattern):
        """Take everything up to the end of the first match, and give it."""
        async with asyncio.timeout(TIMEOUT):
            while (found := re.search(pattern, self.text, re.DOTALL)) is None:
                data = await self.reader.read(65536)
                if not data:
                    raise EOFError(f"closed while {pattern!r} was awaited: {self.text!r}")
                self.text += data.decode()
        taken, self.text = self.text[: found.end()], self.text[found.end() :]
        return taken

    async def end(self):
        """Take everything up to the end of the connection."""
        try:
            async with asyncio.timeout(TIMEOUT):
                while data := await self.reader.read(65536):
                    self.text += data.decode()
        except ConnectionResetError:
            pass  # an end as good as any
        taken, self.text = self.text, ""
        return taken

    async def open(self, to="localhost", extra="version='1.0'"):
        """Open a stream, and give the features."""
        self.send(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
            f"xmlns:stream='http://etherx.jabber.org/streams' to='{to}' {extra}>"
        )
        return await self.until("</stream:features>|</stream:stream>")

    async def start_tls(self):
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await self.until("<proceed[^>]*>")
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        await self.writer.start_tls(context)

    async def login(self, name, password, mechanism="SCRAM-SHA-1"):
        """Run SCRAM; gives the server's last word on it."""
        client = ScramClient([mechanism], name, password)
        self.send(
            f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{_b64(client.get_client_first())}</auth>"
        )
        challenge = re.search(">([^<]+)</challenge>", await self.until("</challenge>"))
        client.set_server_first(base64.b64decode(challenge[1]).decode())
        self.send(f"<response xmlns='{SASL}'>{_b64(client.get_client_final())}</response>")
        answer = await self.until("</success>|</failure>")
        if "</success>" in answer:
            client.set_server_final(
                base64.b64decode(re.search(">([^<]+)</suc", answer)[1]).decode()
            )
        return answer

    async def bind(self, resource="r"):
        wanted = f"<resource>{resource}</resource>" if resource else ""
        self.send(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"{wanted}</bind></iq>"
        )
        reply = await self.until("</iq>")
        found = re.search("<jid>([^<]+)</jid>", reply)
        self.jid = found[1] if found else ""
        return reply

    async def sync(self):
        """Wait until the server has handled all that was sent; gives what came before."""
        self.send("<iq type='get' id='sync' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        return await self.until("<iq[^>]*id='sync'[^>]*/>")

    async def close(self):
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # the server was first
            await self.writer.wait_closed()


def _b64(text):
    return base64.b64encode(text.encode()).decode()


async def signed_in(server, name="ann", resource="r", presence="<presence/>", tls=False):
    """A client with a session; `presence` is sent, and its echo taken."""
    client = await Raw.connect(server)
    await client.open()
    if tls:
        await client.start_tls()
        await client.open()
    assert "</success>" in await client.login(name, "secret")
    await client.open()
    assert await client.bind(resource)
    if presence:
        client.send(presence)
        await client.sync()
    return client
