"""Measure jabot and its peers on this machine: `make bench`, or `python bench/run.py --help`.

Exit codes: 0 all was measured, 1 a subject failed, 2 usage or something is not installed,
130 interrupted.
"""

import sys
from pathlib import Path

# The folder above: `bench` and `tests` are packages in it.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.command import main  # noqa: E402 - after the line above

if __name__ == "__main__":
    sys.exit(main())
