"""`jabot top` where there is no screen for it."""

import sys

from click.testing import CliRunner

from jabot.cli.top.command import top


def test_without_a_terminal_it_names_what_prints_lines():
    result = CliRunner().invoke(top)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: jabot top is a screen, and this is no terminal; ")
    assert "`jabot nodes --watch`" in result.stderr


def test_without_textual_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.setattr("jabot.cli.top.command.is_terminal", lambda: True)
    result = CliRunner().invoke(top)
    assert result.exit_code == 2
    assert result.stderr == 'Error: jabot top needs textual: pip install "jabot[top]"\n'


def test_an_address_that_is_none():
    result = CliRunner().invoke(top, ["bot@"])
    assert result.exit_code == 2
    assert "bot@" in result.stderr
