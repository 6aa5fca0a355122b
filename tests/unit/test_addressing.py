"""Whom a line in a room is for."""

import pytest

from jabot.chat.addressing import Address, read_address

NICKS = ["worker-3", "worker-33", "Ann", "bot", "bot: the elder", "BOT"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("all: uptime", Address("uptime")),
        ("  ALL : lift 3  ", Address("lift 3")),
        ("worker-3: lift", Address("lift", nick="worker-3")),
        ("worker-3, lift", Address("lift", nick="worker-3")),
        ("Worker-33:lift", Address("lift", nick="worker-33")),
        ("BOT: lift", Address("lift", nick="BOT")),
        ("Bot: lift", Address("lift", nick="BOT")),
        ("bot: the elder: lift", Address("lift", nick="bot: the elder")),
        ("@gpu: status", Address("status", label="gpu")),
        ("@gpu=a100: status", Address("status", label="gpu", value="a100")),
        ("@gpu=a100:\nstatus", Address("status", label="gpu", value="a100")),
    ],
)
def test_who_is_meant(text, address):
    assert read_address(text, NICKS) == address


@pytest.mark.parametrize(
    "text",
    [
        "uptime",
        "all uptime",
        "all, uptime",
        "all:",
        "worker-4: lift",
        "@gpu status",
        "@: x",
        "worker-3 lift",
        "so all: uptime",
        "",
        " : ",
        "worker-3:  ",
    ],
)
def test_nobody_is_meant(text):
    assert read_address(text, NICKS) is None


@pytest.mark.parametrize(
    ("text", "labels", "fits"),
    [
        ("all: x", {}, True),
        ("@gpu: x", {"gpu": "a100"}, True),
        ("@gpu: x", {"cpu": "8"}, False),
        ("@gpu=a100: x", {"gpu": "a100"}, True),
        ("@gpu=a100: x", {"gpu": "h100"}, False),
    ],
)
def test_labels(text, labels, fits):
    assert read_address(text, []).fits(labels) is fits
