"""Requests to nodes (XEP-0060), by a client that is nothing but a socket."""

import re

SERVICE = "pubsub.localhost"
PUBSUB = "http://jabber.org/protocol/pubsub"
INFO = "http://jabber.org/protocol/disco#info"


async def ask(client, kind, content, to=SERVICE, ns=PUBSUB):
    """Send a request, and give its answer; what else came stays in `client.text`."""
    client.send(f"<iq type='{kind}' id='q' to='{to}'><pubsub xmlns='{ns}'>{content}</pubsub></iq>")
    answer = "<iq [^>]*id='q'[^>]*(?:/>|>.*?</iq>)"
    taken = await client.until(answer)
    found = re.search(answer, taken, re.DOTALL)[0]
    client.text = taken[: -len(found)] + client.text
    return found


async def own(client, kind, content, to=SERVICE):
    return await ask(client, kind, content, to, f"{PUBSUB}#owner")


def form(form_type, options):
    fields = "".join(
        f"<field var='pubsub#{name}'><value>{value}</value></field>"
        for name, value in options.items()
    )
    hidden = f"<field var='FORM_TYPE'><value>{PUBSUB}#{form_type}</value></field>"
    return f"<x xmlns='jabber:x:data' type='submit'>{hidden}{fields}</x>"


async def create(client, node, to=SERVICE, **options):
    configure = f"<configure>{form('node_config', options)}</configure>"
    return await ask(client, "set", f"<create node='{node}'/>{configure}", to)


async def configure(client, node, to=SERVICE, **options):
    configured = form("node_config", options)
    return await own(client, "set", f"<configure node='{node}'>{configured}</configure>", to)


async def publish(client, node, value, item="", to=SERVICE):
    named = f"id='{item}'" if item else ""
    content = f"<item {named}><v xmlns='urn:v'>{value}</v></item>"
    return await ask(client, "set", f"<publish node='{node}'>{content}</publish>", to)


async def subscribe(client, node, jid, to=SERVICE):
    return await ask(client, "set", f"<subscribe node='{node}' jid='{jid}'/>", to)


async def items(client, node, to=SERVICE, more=""):
    return await ask(client, "get", f"<items node='{node}'/>{more}", to)


def values(text):
    return re.findall("<v xmlns='urn:v'>([^<]*)</v>", text)


def conditions(text):
    """The general condition, and that of the protocol's own."""
    general = re.search("<([a-z-]+) xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'", text)
    special = re.search(f"<([a-z-]+) xmlns='{PUBSUB}#errors'", text)
    return general[1], special and special[1]


def fine(text):
    return "type='result'" in text


async def done(asked):
    """For what is asked for on the way to something else: it has to be granted."""
    answer = await asked
    assert fine(answer), answer
