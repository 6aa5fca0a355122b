"""`python -m jabot` is the `jabot` command."""

from jabot.cli import main

main()
