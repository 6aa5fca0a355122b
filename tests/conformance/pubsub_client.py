"""Requests to nodes (XEP-0060) and what subscribers are told, for a client that is not ours."""

import pytest
from other_client import EVENT, condition
from slixmpp.exceptions import IqError

SERVICE = "pubsub.localhost"
PUBSUB = "http://jabber.org/protocol/pubsub"
ERRORS = "{http://jabber.org/protocol/pubsub#errors}"
VALUE = "{urn:example:value}v"


def form(form_type, options):
    fields = "".join(
        f"<field var='pubsub#{name}'><value>{value}</value></field>"
        for name, value in options.items()
    )
    return (
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{PUBSUB}#{form_type}</value></field>{fields}</x>"
    )


async def create(client, node, to=SERVICE, **options):
    configure = f"<configure>{form('node_config', options)}</configure>" if options else ""
    return await client.ask(
        "set", to, f"<pubsub xmlns='{PUBSUB}'><create node='{node}'/>{configure}</pubsub>"
    )


async def publish(client, node, value, item="", to=SERVICE, **options):
    named = f" id='{item}'" if item else ""
    given = f"<publish-options>{form('publish-options', options)}</publish-options>"
    answer = await client.ask(
        "set",
        to,
        f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item{named}>"
        f"<v xmlns='urn:example:value'>{value}</v></item></publish>{given if options else ''}"
        "</pubsub>",
    )
    return answer.find(f".//{{{PUBSUB}}}item").get("id")


async def subscribe(client, node, to=SERVICE, jid=None):
    asked = f"<subscribe node='{node}' jid='{jid or client.bare}'/>"
    return await client.ask("set", to, f"<pubsub xmlns='{PUBSUB}'>{asked}</pubsub>")


async def unsubscribe(client, node, to=SERVICE, jid=None):
    asked = f"<unsubscribe node='{node}' jid='{jid or client.bare}'/>"
    return await client.ask("set", to, f"<pubsub xmlns='{PUBSUB}'>{asked}</pubsub>")


async def items(client, node, to=SERVICE, attributes="", content="", more=""):
    """The values of what is at a node, oldest first, and the whole answer."""
    answer = await client.ask(
        "get",
        to,
        f"<pubsub xmlns='{PUBSUB}'><items node='{node}' {attributes}>{content}</items>{more}"
        "</pubsub>",
    )
    return [each.text for each in answer.iter(VALUE)], answer


async def owner(client, kind, content, to=SERVICE):
    return await client.ask(kind, to, f"<pubsub xmlns='{PUBSUB}#owner'>{content}</pubsub>")


async def affiliate(client, node, jid, affiliation):
    changed = f"<affiliation jid='{jid}' affiliation='{affiliation}'/>"
    await owner(client, "set", f"<affiliations node='{node}'>{changed}</affiliations>")


def value(text):
    """A message that tells of an item with this value."""
    return lambda xml: xml.findtext(f"{EVENT}event/{EVENT}items/{EVENT}item/{VALUE}") == text


def event(name, node):
    def fits(xml):
        found = xml.find(f"{EVENT}event/{EVENT}{name}")
        return found is not None and found.get("node") == node

    return fits


def retraction(item):
    def fits(xml):
        gone = xml.iterfind(f"{EVENT}event/{EVENT}items/{EVENT}retract")
        return item in {each.get("id") for each in gone}

    return fits


async def refused(asked):
    """The conditions of a refusal: the general one, and that of the protocol's own, if any."""
    with pytest.raises(IqError) as caught:
        await asked
    error = caught.value.iq.xml
    own = [each.tag for each in error.iter() if each.tag.startswith(ERRORS)]
    return condition(error), own[0].removeprefix(ERRORS) if own else None
