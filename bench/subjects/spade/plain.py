"""An agent that signs in over plain TCP, as the other XMPP subjects do: SPADE itself wants TLS."""

from spade.agent import Agent


class PlainAgent(Agent):
    async def _async_connect(self) -> None:
        self.client.enable_starttls = False
        self.client.enable_plaintext = True
        self.client["feature_mechanisms"].unencrypted_scram = True
        await super()._async_connect()
