"""Durable jobs: what is measured of a queue, from the orders to its caller to the figures.

`jobs.py` and `orders.py` run inside the peers' environments: the standard library alone.
"""
