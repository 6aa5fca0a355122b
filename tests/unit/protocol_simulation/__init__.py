"""Callers and workers over a made-up network, in made-up time, from one seed."""
