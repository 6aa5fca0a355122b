"""A link over a session that is made up: what is sent is read back, and answered by the test."""

import itertools
from xml.etree import ElementTree as ET

from jabot.jid import JID
from jabot.protocol import codec
from jabot.xmpp import IncomingPresence, Link, frames
from jabot.xmpp.disco import Disco
from jabot.xmpp.frames import read_answer, read_batch
from jabot.xmpp.requests import Requests

OWN = JID("app@localhost/web-1")
BOT = "bot@localhost/host-1"
OTHER = "bot@localhost/host-2"


class Session:
    """Keeps what it is given to send."""

    def __init__(self):
        self.jid, self.is_online, self.choked = OWN, True, False
        self.carrier = None
        self.stanzas = []  # of the link, as elements
        self.elements = []  # presence and the like
        self.texts = []  # for people, each with what its arrival is told to
        self.can = frozenset()  # what people's programs show
        self.requests = Requests(lambda: self.jid, self.send)
        self.disco = Disco(self.requests)

    def carry(self, carrier):
        self.carrier = carrier

    @property
    def has_room(self):
        return self.is_online and not self.choked

    def send_stanzas(self, xml):
        assert self.is_online
        self.stanzas += ET.fromstring(f"<stream xmlns='jabber:client'>{xml}</stream>")
        return True

    def send_text(self, text, arrived=None):
        self.texts.append((text, arrived))

    async def features(self, jid):
        return self.can

    def send(self, element):
        if self.is_online:
            self.elements.append(element)
        return self.is_online


class Wire:
    """A link, and what the other side of the wire does."""

    def __init__(self, *ends):
        self.session = Session()
        self.link = Link(self.session)
        self.link.ends += ends
        self._numbers = itertools.count(1)

    def take(self):
        """What was sent since the last call: `(peer, frames, id)` for a batch, and
        `(peer, condition)` for an answer."""
        stanzas, self.session.stanzas = self.session.stanzas, []
        return [self._read(stanza) for stanza in stanzas]

    def batches(self):
        """The batches of these only."""
        return [entry for entry in self.take() if len(entry) == 3]

    def _read(self, iq):
        peer = iq.get("to")
        iq.set("from", peer)
        batch = read_batch(iq)
        if batch is not None:
            return peer, codec.decode_batch(batch.text, deflated=batch.deflated), batch.id
        if iq.get("type") == "result":
            return peer, ""
        answer = read_answer(iq)
        if answer is not None:
            return peer, answer.condition
        iq.set("id", "jabot-1")
        return peer, read_answer(iq).condition

    def answer(self, peer, batch_id, condition=""):
        """The peer (or the server for it) answers a batch."""
        if condition:
            xml = frames.refusal(peer, batch_id, condition, "so it is")
        else:
            xml = frames.responsible(peer, batch_id)
        return self.come(peer, xml)

    def say(self, peer, *said):
        """A batch of the peer's comes in."""
        encoded = [codec.encode_frame(frame) for frame in said]
        text = codec.encode_batch(encoded)
        return self.come(peer, frames.batch("x", next(self._numbers), text.text, text.deflated))

    def come(self, peer, xml):
        (iq,) = ET.fromstring(f"<stream xmlns='jabber:client'>{xml}</stream>")
        iq.set("from", peer)
        return self.session.carrier.iq_received(iq)

    def see(self, peer, type="available", node=None, condition=""):  # noqa: A002
        """A peer's presence comes in, as the owner of the session hands it on."""
        stanza = IncomingPresence(JID(peer), OWN, type, "", "", node, False, condition)
        for end in self.link.ends:
            if hasattr(end, "presence_received"):
                end.presence_received(stanza)
        self.link.presence_received(stanza)

    def drop(self):
        self.session.is_online = False
        self.link.offline()

    def back(self):
        self.session.is_online = True
        self.link.online()
