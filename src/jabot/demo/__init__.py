"""The bot of `jabot demo`: `heavy.py` here is `examples/heavy.py` itself (a symbolic link)."""
