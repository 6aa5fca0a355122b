"""Thousands of stories over a made-up network. `JABOT_SEED=n` plays one of them again."""

import os

import pytest

from jabot.protocol import limits
from unit.protocol_simulation.campaign import Campaign, Story
from unit.protocol_simulation.network import Weather

BAD = Weather(drop=0.15, double=0.15, delay=0.25)
STORIES = {
    "calm": Story(Weather(), attacks=2),
    "bad weather": Story(BAD, attacks=2),
    "short cuts": Story(Weather(double=0.1, delay=0.1), cuts=4),
    "long cuts": Story(BAD, cuts=4, cut_for=(0.1, 4.0), attacks=1),
    "deaths": Story(Weather(delay=0.1), kills=2, attacks=1),
    "a crowd": Story(Weather(drop=0.15, delay=0.25), cuts=1, room=1),
    "all of it": Story(BAD, cuts=4, cut_for=(0.1, 3.0), kills=1, drains=1, attacks=2, room=2),
}
SEEDS = 600  # of each story


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """So that ordinary payloads travel in parts."""
    monkeypatch.setattr(limits, "BATCH_MADE", 700)
    monkeypatch.setattr(limits, "PART", 32)


@pytest.mark.parametrize("story", STORIES)
def test_every_story_ends_well(story):
    only = os.environ.get("JABOT_SEED")
    for seed in [int(only)] if only else range(SEEDS):
        try:
            Campaign(seed, STORIES[story]).play()
        except BaseException:
            print(f"\nto see it again: JABOT_SEED={seed} pytest -k '{story}'")
            raise
