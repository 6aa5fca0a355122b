"""`make bench`: jabot beside its peers, in one run on one machine. Begin with `run.py`."""
