"""Thousands of stories over a made-up network. `JABOT_SEED=n` plays one of them again."""

import os

import pytest

from jabot.protocol import limits
from unit.protocol_simulation.campaign import Campaign, Story
from unit.protocol_simulation.network import Weather
from unit.protocol_simulation.queue_campaign import QueueCampaign, QueueStory

BAD = Weather(drop=0.15, double=0.15, delay=0.25)
STORIES = {
    "calm": Story(Weather(), attacks=2),
    "bad weather": Story(BAD, attacks=2),
    "short cuts": Story(Weather(double=0.1, delay=0.1), cuts=4),
    "long cuts": Story(BAD, cuts=4, cut_for=(0.1, 4.0), attacks=1),
    "deaths": Story(Weather(delay=0.1), kills=2, attacks=1),
    "deaths as a caller is back": Story(Weather(delay=0.25), crossings=2),
    "a crowd": Story(Weather(drop=0.15, delay=0.25), cuts=1, room=1),
    "all of it": Story(BAD, cuts=4, cut_for=(0.1, 3.0), kills=1, drains=1, attacks=2, room=2),
}
QUEUE_STORIES = {
    "a calm queue": QueueStory(Weather(), attacks=2),
    "a queue in bad weather": QueueStory(BAD, attacks=2),
    "a queue behind cuts": QueueStory(BAD, cuts=4, cut_for=(0.1, 4.0), attacks=1),
    "a node replaced": QueueStory(Weather(delay=0.1), nodes=1, crashes=2, attacks=1),
    "a node missing for long": QueueStory(BAD, nodes=1, crashes=1, away_for=(2.0, 12.0)),
    "nodes replaced": QueueStory(BAD, crashes=3, drains=1, cuts=1),
    "a sick store": QueueStory(Weather(drop=0.1), sick=1.5, crashes=1),
    "a lost disk": QueueStory(Weather(delay=0.1), losses=2),
    "all of it, with a queue": QueueStory(
        BAD, cuts=3, cut_for=(0.1, 3.0), crashes=2, drains=1, sick=1.0, losses=1, attacks=2
    ),
}
SEEDS = 600  # of each story


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """So that ordinary payloads travel in parts."""
    monkeypatch.setattr(limits, "BATCH_MADE", 700)
    monkeypatch.setattr(limits, "PART", 32)


@pytest.mark.parametrize("story", STORIES)
def test_every_story_ends_well(story):
    play(story, lambda seed: Campaign(seed, STORIES[story]))


@pytest.mark.parametrize("story", QUEUE_STORIES)
def test_every_story_of_a_queue_ends_well(story):
    play(story, lambda seed: QueueCampaign(seed, QUEUE_STORIES[story]))


def play(story, campaign):
    only = os.environ.get("JABOT_SEED")
    for seed in [int(only)] if only else range(SEEDS):
        try:
            campaign(seed).play()
        except BaseException:
            print(f"\nto see it again: JABOT_SEED={seed} pytest -k '{story}'")
            raise
