"""jabot: Python functions as contacts on a Jabber (XMPP) server."""
