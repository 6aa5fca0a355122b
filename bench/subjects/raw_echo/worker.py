"""Answers each IQ with what it carries. Usage: worker.py HOST PORT USER"""

import os
import re
import sys

from stream import RawStream

from bench.closed_loop import say

_IQ = re.compile(rb"<iq [^>]*?>(.*)", re.DOTALL)
_FROM = re.compile(rb" from='([^']*)'")
_ID = re.compile(rb" id='([^']*)'")


def main() -> None:
    host, port, user = sys.argv[1:]
    stream = RawStream(host, int(port), user, os.environ["BENCH_PASSWORD"])
    say(f"ready {stream.jid}")
    while True:
        stream.send(b"".join(map(_answer, stream.iqs())))


def _answer(iq: bytes) -> bytes:
    payload, sender, number = _IQ.search(iq), _FROM.search(iq), _ID.search(iq)
    if not (payload and sender and number):
        raise ValueError(f"not an IQ of ours: {iq!r}")
    return b"<iq type='result' id='%s' to='%s'>%s</iq>" % (number[1], sender[1], payload[1])


if __name__ == "__main__":
    main()
