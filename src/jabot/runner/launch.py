"""Stands between a node and a program that it runs, so that neither outlives the other.

A script for an interpreter without site-packages, which is there in some 10 ms: it imports nothing
of jabot. Its arguments are a file descriptor and the program with its arguments. To the descriptor
it writes how the program ended: `=` and the exit code (negative: the signal), or `!` and the
reason why it could not be run. Then, or when its node is gone, it waits for the end of standard
input, and takes along what is left in its process group.
"""

import _thread
import os
import signal
import sys


def main() -> None:
    """Run the program, and say how it ended."""
    report = int(sys.argv[1])
    os.set_inheritable(report, False)
    # Not SIG_IGN, which the program would inherit: a SIGTERM to the group is for the program.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        child = os.posix_spawnp(
            sys.argv[2],
            sys.argv[2:],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them
        )
    except OSError as error:
        os.write(report, f"!{error.strerror}".encode())
        child = None
    # What it writes ends with the program, not with us.
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    if child is not None:
        _thread.start_new_thread(_leave_with_the_node, ())
        _, status = os.waitpid(child, 0)
        os.write(report, f"={os.waitstatus_to_exitcode(status)}".encode())
    os.close(report)
    _leave_with_the_node()


def _leave_with_the_node() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
