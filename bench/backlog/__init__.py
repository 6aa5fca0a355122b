"""A queue with a million waiting jobs: is it as quick as an empty one? Begin with `run.py`."""
