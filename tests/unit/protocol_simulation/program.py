"""A program on the made-up network: its session, and what a link does with its batches."""

from jabot.errors import RemoteProtocolError
from jabot.protocol import codec
from jabot.protocol.parts import Joiner
from jabot.protocol.windows import Windows

ANSWER_WITHIN = 0.7  # seconds after which a batch is sent again


class Program:
    """What it is for says what `came`, `went`, `received`, `answered` and `late` do."""

    def __init__(self, network, account, name):
        self.network, self.account, self.address = network, account, f"{account}/{name}"
        self.windows, self.joiner = Windows(), Joiner()
        self.is_online = self.dead = False
        self.session = 0
        self.pending = set()  # (peer, batch) of this session
        network.nodes.append(self)

    def connect(self):
        if not self.dead and not self.is_online:
            self.is_online = True
            self.session += 1
            self.network.come(self)
            self.came()

    def lose_connection(self):
        if not self.dead and self.is_online:
            self.is_online = False
            self.network.go(self)
            self.pending.clear()
            self.went(self.windows.all_gone())

    def kill(self):
        self.lose_connection()
        self.dead = True

    def forget(self, peer):
        """Its presence went; what it has not answered."""
        self.pending = {entry for entry in self.pending if entry[0] != peer}
        self.joiner.forget(peer)
        return self.windows.gone(peer)

    def batch_received(self, peer, account, text, deflated, answer):
        try:
            frames = codec.decode_batch(text, deflated=deflated)
            frames = self.joiner.join(peer, frames, self.network.now)
        except RemoteProtocolError as error:
            answer("error", str(error))
        else:
            self.received(peer, account, frames, answer)

    def flush(self):
        """Send what may be sent."""
        while self.is_online and (batch := self.windows.take()) is not None:
            number, peer = batch.id, batch.peer
            self.pending.add((peer, number))
            self.network.batch(
                self,
                peer,
                batch.text,
                batch.deflated,
                lambda what, why, p=peer, n=number: self._answered(p, n, what, why),
            )
            self.network.after(ANSWER_WITHIN, self._late, peer, number, self.session)

    def _answered(self, peer, batch, what, why):
        if (peer, batch) in self.pending:
            self.pending.discard((peer, batch))
            self.answered(peer, batch, what, why)
            self.flush()

    def _late(self, peer, batch, session):
        if (peer, batch) in self.pending and session == self.session:
            self.pending.discard((peer, batch))
            self.late(peer, batch)
            self.flush()
