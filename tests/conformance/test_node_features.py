"""What a publish-subscribe service says that it can do (XEP-0060 section 10), tried by a client
that is not ours: each feature that is told works, and each that is not is refused."""

import secrets

import pytest
from other_client import LIMIT, condition, online
from pubsub_client import (
    ERRORS,
    PUBSUB,
    SERVICE,
    create,
    event,
    form,
    items,
    owner,
    publish,
    retraction,
    subscribe,
    value,
)
from slixmpp.exceptions import IqError

RETRACT = f"<pubsub xmlns='{PUBSUB}'><retract node='%s'><item id='%s'/></retract></pubsub>"
PAGE = "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max></set>"


class Probe:
    """Two accounts, a node of the first one with two items, and where it is."""

    def __init__(self, ann, bob, to):
        self.ann, self.bob, self.to = ann, bob, to
        self.node = f"probe-{secrets.token_hex(4)}"

    async def begin(self):
        await create(self.ann, self.node, to=self.to, access_model="open", max_items="max")
        for number in ("1", "2"):
            await publish(self.ann, self.node, number, f"id-{number}", to=self.to)

    async def model(self, name):
        configured = form("node_config", {"access_model": name})
        await self.owner("set", f"<configure node='{self.node}'>{configured}</configure>")

    async def owner(self, kind, content):
        return await owner(self.ann, kind, content, to=self.to)

    async def ask(self, kind, content, client=None):
        asked = f"<pubsub xmlns='{PUBSUB}'>{content}</pubsub>"
        return await (client or self.ann).ask(kind, self.to, asked)

    async def hold(self, what):
        changed = f"<affiliation jid='{self.bob.bare}' affiliation='{what}'/>"
        await self.owner("set", f"<affiliations node='{self.node}'>{changed}</affiliations>")

    async def read(self):
        return (await items(self.bob, self.node, to=self.to))[0]

    async def denied(self):
        with pytest.raises(IqError):
            await self.read()


async def access(probe, model):
    await probe.model(model)
    await (probe.read() if model == "open" else probe.denied())


async def affiliation(probe, held, *, reads, publishes):
    await probe.model("whitelist")
    await probe.hold(held)
    await (probe.read() if reads else probe.denied())
    asked = publish(probe.bob, probe.node, "3", to=probe.to)
    if publishes:
        await asked
    else:
        with pytest.raises(IqError):
            await asked


async def subscribes(probe):
    await subscribe(probe.bob, probe.node, to=probe.to)
    await publish(probe.ann, probe.node, "3", to=probe.to)
    await probe.bob.message(value("3"))


async def last(probe):
    await subscribe(probe.bob, probe.node, to=probe.to)
    await probe.bob.message(value("2"))


async def creates(probe):
    await create(probe.ann, f"{probe.node}-2", to=probe.to)


async def instant(probe):
    answer = await probe.ask("set", "<create/>")
    assert answer.find(f".//{{{PUBSUB}}}create").get("node")


async def auto_creates(probe):
    await publish(probe.ann, f"{probe.node}-2", "1", to=probe.to)


async def configures(probe):
    await probe.owner("get", f"<configure node='{probe.node}'/>")
    await probe.model("whitelist")


async def most(probe):
    answer = await probe.owner("get", f"<configure node='{probe.node}'/>")
    fields = {each.get("var"): each for each in answer.iter("{jabber:x:data}field")}
    assert int(fields["pubsub#max_items"].findtext("{jabber:x:data}value")) >= 1000


async def retracts(probe):
    await subscribe(probe.bob, probe.node, to=probe.to)
    configured = form("node_config", {"notify_retract": 1})
    await probe.owner("set", f"<configure node='{probe.node}'>{configured}</configure>")
    await probe.ann.ask("set", probe.to, RETRACT % (probe.node, "id-1"))
    await probe.bob.message(retraction("id-1"))
    assert await probe.read() == ["2"]


async def deletes(probe):
    await probe.owner("set", f"<delete node='{probe.node}'/>")
    await probe.denied()


async def purges(probe):
    await probe.owner("set", f"<purge node='{probe.node}'/>")
    assert await probe.read() == []


async def reads(probe):
    assert await probe.read() == ["1", "2"]


async def named(probe):
    wanted = "<item id='id-2'/>"
    found = await items(probe.bob, probe.node, to=probe.to, content=wanted)
    assert found[0] == ["2"]


async def manages(probe):
    await subscribe(probe.bob, probe.node, to=probe.to)
    ended = f"<subscription jid='{probe.bob.bare}' subscription='none'/>"
    await probe.owner("set", f"<subscriptions node='{probe.node}'>{ended}</subscriptions>")
    await probe.bob.message(event("subscription", probe.node))


async def describes(probe):
    disco = probe.bob.plugin["xep_0030"]
    if "@" in probe.to:  # of an account, only those who see it are told
        disco = probe.ann.plugin["xep_0030"]
    info = (await disco.get_info(probe.to, probe.node, timeout=LIMIT))["disco_info"]
    assert info["form"]["values"]["pubsub#max_items"]


async def options(probe):
    with pytest.raises(IqError) as caught:
        await publish(probe.ann, probe.node, "3", to=probe.to, access_model="roster")
    assert condition(caught.value.iq.xml) == "conflict"
    await publish(probe.ann, probe.node, "3", to=probe.to, access_model="open")


async def own_lists(probe, name):
    await subscribe(probe.bob, probe.node, to=probe.to)
    await probe.hold("publisher")
    answer = await probe.ask("get", f"<{name}/>", probe.bob)
    assert probe.node in {each.get("node") for each in answer.iter()}


async def defaults(probe):
    answer = await probe.owner("get", "<default/>")
    assert any(answer.iter("{jabber:x:data}field"))


async def pages(probe):
    found, _ = await items(probe.bob, probe.node, to=probe.to, more=PAGE)
    assert found == ["1"]


async def without_subscribing(probe):
    """Contacts that say so by their capabilities hear of it; here, the account's own programs."""
    await publish(probe.ann, FILTERED, "heard", to=probe.to)
    await probe.ann.message(value("heard"))


FILTERED = "urn:example:filtered"
WORKS = {
    "access-open": lambda p: access(p, "open"),
    "access-presence": lambda p: access(p, "presence"),
    "access-roster": lambda p: access(p, "roster"),
    "access-whitelist": lambda p: access(p, "whitelist"),
    "auto-create": auto_creates,
    "auto-subscribe": without_subscribing,
    "config-node": configures,
    "config-node-max": most,
    "create-and-configure": most,
    "create-nodes": creates,
    "delete-items": retracts,
    "delete-nodes": deletes,
    "filtered-notifications": without_subscribing,
    "instant-nodes": instant,
    "item-ids": named,
    "last-published": last,
    "manage-subscriptions": manages,
    "member-affiliation": lambda p: affiliation(p, "member", reads=True, publishes=False),
    "meta-data": describes,
    "modify-affiliations": lambda p: p.hold("member"),
    "multi-items": reads,
    "outcast-affiliation": lambda p: affiliation(p, "outcast", reads=False, publishes=False),
    "persistent-items": reads,
    "presence-notifications": without_subscribing,
    "publish": reads,
    "publish-only-affiliation": lambda p: affiliation(
        p, "publish-only", reads=False, publishes=True
    ),
    "publish-options": options,
    "publisher-affiliation": lambda p: affiliation(p, "publisher", reads=True, publishes=True),
    "pubsub-on-a-jid": reads,
    "purge-nodes": purges,
    "retract-items": retracts,
    "retrieve-affiliations": lambda p: own_lists(p, "affiliations"),
    "retrieve-default": defaults,
    "retrieve-items": reads,
    "retrieve-subscriptions": lambda p: own_lists(p, "subscriptions"),
    "rsm": pages,
    "subscribe": subscribes,
}
# Of section 10 what has a request, or a setting, by which it would be asked for.
REFUSED = {
    "access-authorize": lambda p: p.model("authorize"),
    "get-pending": lambda p: p.ask(
        "set",
        "<command xmlns='http://jabber.org/protocol/commands' action='execute' "
        f"node='{PUBSUB}#get-pending'/>",
    ),
    "leased-subscription": lambda p: p.ask("get", f"<options node='{p.node}' jid='a@b'/>"),
    "retrieve-default-sub": lambda p: p.ask("get", f"<default node='{p.node}'/>"),
    "subscription-options": lambda p: p.ask("get", f"<options node='{p.node}' jid='a@b'/>"),
}


@pytest.mark.not_on("ejabberd")  # which can do other things
@pytest.mark.parametrize("place", ["service", "account"])
async def test_each_feature_that_is_told_works_and_no_other(xmpp, place):
    wanted = [f"{FILTERED}+notify"]
    async with online(xmpp, features=wanted) as ann, online(xmpp, resource="b") as bob:
        to = SERVICE if place == "service" else ann.bare
        told = (await ann.plugin["xep_0030"].get_info(to, timeout=LIMIT))["disco_info"]["features"]
        features = {each.partition("#")[2] for each in told if each.startswith(f"{PUBSUB}#")}
        assert features <= WORKS.keys()
        account_s = {"auto-subscribe", "filtered-notifications", "presence-notifications"}
        missing = account_s | {"pubsub-on-a-jid"} if place == "service" else set()
        assert WORKS.keys() - features == missing
        for feature in sorted(features):
            probe = Probe(ann, bob, to)
            await probe.begin()
            try:
                await WORKS[feature](probe)
            except (AssertionError, IqError) as error:
                raise AssertionError(f"{feature} is told, and does not work") from error
        for feature, asked in REFUSED.items():
            probe = Probe(ann, bob, to)
            await probe.begin()
            with pytest.raises(IqError):
                await asked(probe)
                pytest.fail(f"{feature} is not told, and was not refused")
        with pytest.raises(IqError) as caught:
            await probe.ask("get", f"<options node='{probe.node}' jid='{ann.bare}'/>")
        own = caught.value.iq.xml.find(f".//{ERRORS}unsupported")
        assert own.get("feature") == "subscription-options"
