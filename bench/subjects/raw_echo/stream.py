"""An XMPP session on a blocking socket, by hand: no library in the way of the figures."""

import base64
import re
import socket

_LIMIT = 60.0  # seconds without a byte
_PIECE = 1 << 18


class RawStream:
    """Signed in and bound, with stanzas as bytes in both directions (RFC 6120, plain TCP)."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self._socket = socket.create_connection((host, port), _LIMIT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""
        self._open()
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self._ask(
            f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>",
            b"<success",
        )
        self._open()
        bound = self._ask(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            b"</iq>",
        )
        self.jid = re.findall(rb"<jid>(.*?)</jid>", bound)[0].decode()

    def send(self, stanzas: bytes) -> None:
        self._socket.sendall(stanzas)

    def iqs(self) -> list[bytes]:
        """Wait for something, and return the IQs that are complete by now, each without its end."""
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise ConnectionError("the server closed the connection")
        *complete, self._unread = (self._unread + piece).split(b"</iq>")
        return complete

    def _open(self) -> None:
        self._ask(
            "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams'>",
            b"</stream:features>",
        )

    def _ask(self, text: str, end: bytes) -> bytes:
        self.send(text.encode())
        answer = b""
        while end not in answer:
            piece = self._socket.recv(_PIECE)
            if not piece or b"<failure" in answer:
                raise ConnectionError(f"the server does not want us: {answer!r}")
            answer += piece
        return answer
