"""The fault campaign: a queue, its workers and its callers as real programs, and what befalls them.

`python -m campaign` runs one. Callers and workers write down what they do (`journal`), a plan made
from a seed (`plan`) is carried out by a nemesis (`nemesis`), and in the end a pure function judges
what was written (`checker`). After the manner of Jepsen's checkers of queues.
"""
