"""The tests of docs/testing.md, run by pytest as a user runs them."""

import subprocess
import sys
from pathlib import Path

from test_documents import ROOT, blocks


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=50
    )


def written(folder: Path) -> str:
    """Write the page's node, and give its tests."""
    node, *tests = blocks(ROOT / "docs" / "testing.md", "python")
    (folder / "heavy.py").write_text(node)
    return "\n".join(tests)


def test_the_tests_of_the_page(tmp_path: Path) -> None:
    tests = written(tmp_path)
    (tmp_path / "test_heavy.py").write_text(tests)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\n"
    )
    done = run(tmp_path, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{tests.count('async def test_')} passed" in done.stdout
    assert not list(tmp_path.glob("*.db*"))


def test_they_run_without_pytest(tmp_path: Path) -> None:
    tests = written(tmp_path)
    names = [line.split("(")[0].removeprefix("async def ") for line in tests.splitlines()]
    calls = [f"asyncio.run({n}())" for n in names if n.startswith("test_") and n != "test_the_log"]
    (tmp_path / "program.py").write_text(
        "\n".join(["import asyncio", tests, *calls, "print('ok')"])
    )
    done = run(tmp_path, "program.py")
    assert done.stdout == "ok\n", done.stderr
