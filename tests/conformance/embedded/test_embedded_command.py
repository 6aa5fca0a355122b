"""`jabot server` as a process: one line when it is ready, accounts, a clean end."""

import asyncio
import os
import pty
import signal
import sys

import pytest
from embedded_client import signed_in

COMMAND = (sys.executable, "-m", "jabot", "server")


class Address:
    """Where a process listens."""

    def __init__(self, line):
        words, _, address = line.strip().rpartition(" ")
        assert words == "listening on"
        self.host, _, port = address.rpartition(":")
        self.port = int(port)


async def run(*arguments, stdin=""):
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture
async def running(tmp_path):
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--port", "0", "--data", tmp_path / "data",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    process.address = Address((await process.stdout.readline()).decode())
    yield process
    if process.returncode is None:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_one_line_and_ends_cleanly(running, tmp_path, number):
    code, out, _ = await run(
        "adduser", "ann@localhost", "--data", tmp_path / "data", stdin="secret\n"
    )
    assert (code, out) == (0, "ann@localhost can sign in now.\n")
    client = await signed_in(running.address)
    running.send_signal(number)
    assert "<system-shutdown " in await client.end()
    await client.close()
    out, err = await running.communicate()
    assert out == b""
    assert b"Traceback" not in err
    assert b"secret" not in err
    assert running.returncode == 0


async def test_a_port_in_use(running, tmp_path):
    port = str(running.address.port)
    code, out, err = await run("--port", port, "--data", tmp_path / "other")
    assert (code, out) == (1, "")
    wanted = (
        f"cannot listen on 127.0.0.1:{port}: address already in use. Choose another with --port"
    )
    assert wanted in err
    assert "Traceback" not in err


async def test_an_address_of_another_machine(tmp_path):
    code, out, err = await run("--host", "192.0.2.1", "--data", tmp_path / "other")
    assert (code, out) == (1, "")
    assert "cannot listen on 192.0.2.1:5222: " in err
    assert ". Choose another with --host" in err


@pytest.mark.parametrize(
    ("jid", "password", "exit_code", "message"),
    [
        ("ann", "x\n", 2, "'ann': an account is written name@domain"),
        ("ann@localhost/x", "x\n", 2, "an account is written name@domain"),
        ("a@b@c", "x\n", 2, "is not an address"),
        ("ann@localhost", "", 1, "the password for ann@localhost is empty"),
    ],
)
async def test_an_account_that_cannot_be(tmp_path, jid, password, exit_code, message):
    code, out, err = await run("adduser", jid, "--data", tmp_path, stdin=password)
    assert (code, out) == (exit_code, "")
    assert message in err
    assert "Traceback" not in err


async def test_a_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = await run("--port", "0", "--data", tmp_path / "file" / "data")
    assert code == 1
    assert "cannot use the directory" in err


async def test_on_a_terminal_the_password_is_asked_for_twice(running, tmp_path):
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "adduser", "ann@localhost", "--data", tmp_path / "data",
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = await asyncio.to_thread(_answer, ours, [b"secret\n", b"secret\n"])
    assert await process.wait() == 0
    os.close(ours)
    assert b"Password for ann@localhost" in shown
    assert b"secret" not in shown
    client = await signed_in(running.address)
    await client.close()


def _answer(terminal, lines):
    """Give one line to each question that ends in a colon; what was shown until the end."""
    shown = b""
    try:
        while data := os.read(terminal, 1024):
            shown += data
            if lines and shown.rstrip(b" ").endswith(b":"):
                os.write(terminal, lines.pop(0))
    except OSError:
        pass  # Linux reports the end of a terminal as an error
    return shown
