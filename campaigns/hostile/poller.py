"""A client that asks for /healthz ten times a second: `python -m campaigns.hostile.poller HOST PORT PID`.

It is a process of its own, so that its figures are those of the daemon PID. It prints a line for each answer: when, the
seconds that it took, the same without waits for a processor, and the status; status 0 is no answer.
"""

import http.client
import sys
import time

from tests.support.fair_clock import FairClock

INTERVAL_S = 0.1
TIMEOUT_S = 30.0


def poll(host: str, port: int, pid: int) -> None:
    """Ask until the process is ended."""
    clock = FairClock(pid)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    while True:
        at, fair = time.monotonic(), clock.now()
        status = _ask(connection)
        ended, fair_ended = time.monotonic(), clock.now()
        print(f"{at:.3f} {ended - at:.4f} {fair_ended - fair:.4f} {status}", flush=True)
        time.sleep(max(0.0, at + INTERVAL_S - ended))


def _ask(connection: http.client.HTTPConnection) -> int:
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        response.read()
    except OSError:
        connection.close()
        return 0
    return response.status


if __name__ == "__main__":
    poll(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
