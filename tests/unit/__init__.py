"""The unit tests: no sockets, no waiting by the clock."""
