"""Sends IQs as large as a job and awaits them. Usage: caller.py HOST PORT USER WORKER"""

import os
import re
import sys
from time import perf_counter

from stream import RawStream

from bench.closed_loop import Measured, answer_orders_blocking, check

# What jabot sends for one job: a frame with an id and an argument, in a batch of one.
_IQ = (
    "<iq type='set' id='%d' to='{worker}'><frames xmlns='urn:jabot:0'>"
    "<json xmlns='urn:xmpp:json:0'>"
    '[["submit","0192f0c4-7c1e-7d3a-8f5e-2b9d4c6a1e00","echo",[%d]]]'
    "</json></frames></iq>"
)
_ID = re.compile(rb" id='(\d+)'")
_VALUE = re.compile(rb",\[(\d+)\]\]\]")


class Caller:
    """Keeps a window full: as many new IQs as answers came, all of them in one write."""

    def __init__(self, stream: RawStream, worker: str) -> None:
        self._stream = stream
        self._iq = _IQ.format(worker=worker)

    def measure(self, in_flight: int, seconds: float) -> Measured:
        measured = Measured()
        begin = perf_counter()
        deadline = begin + seconds
        self._send(0, in_flight)
        sent, submitted = in_flight, begin
        while measured.jobs < sent:
            came = self._answers()
            measured.jobs += came
            now = perf_counter()
            if in_flight == 1:
                measured.latencies.append(now - submitted)
            if now < deadline:
                submitted = perf_counter()
                self._send(sent, came)
                sent += came
        measured.seconds = perf_counter() - begin
        return measured

    def _send(self, first: int, count: int) -> None:
        iqs = [self._iq % (number, number) for number in range(first, first + count)]
        self._stream.send("".join(iqs).encode())

    def _answers(self) -> int:
        iqs = self._stream.iqs()
        for iq in iqs:
            number, value = _ID.search(iq), _VALUE.search(iq)
            check(int(number[1]) if number else -1, int(value[1]) if value else iq)
        return len(iqs)


def main() -> None:
    host, port, user, worker = sys.argv[1:]
    stream = RawStream(host, int(port), user, os.environ["BENCH_PASSWORD"])
    answer_orders_blocking(Caller(stream, worker).measure)


if __name__ == "__main__":
    main()
