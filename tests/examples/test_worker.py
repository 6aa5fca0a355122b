"""examples/worker.py: the original's worker, run as its docstring says."""

import subprocess
import sys
from pathlib import Path

WORKER = Path(__file__).parents[2] / "examples" / "worker.py"


def test_the_worker_of_2008() -> None:
    worker = subprocess.run(
        [sys.executable, WORKER], capture_output=True, text=True, timeout=30, check=True
    )
    assert worker.stderr == ""
    lines = worker.stdout.splitlines()
    assert lines[:3] == ["Scheduled heavy job..."] * 3
    first_done = lines.index("Done lifting 80 kg")
    assert "tick" in lines[:first_done]  # the loop goes on while threads lift
    assert lines.index("Could not lift: 500 kg are too heavy") < first_done
    assert lines[-2:] == ["2 of 3 lifted", "worker down"]
    assert lines.count("Done lifting 120 kg") == 1
